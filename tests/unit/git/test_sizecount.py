"""Sizes by the branch and the journal, as they are found out step by step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.git.process import GitError
from shoal.git.repository import Repository
from shoal.git.sizecount import SizeCount
from shoal.git.sizescan import Sums
from shoal.logs import location
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE, THERE, git, make_annex

KEY = Key.parse(b"SHA256E-s1000--aa")
OTHER = Key.parse(b"SHA256E-s7--bb")


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with make_annex(tmp_path / "r") as repository:
        yield repository


class Stored:
    """What a database would keep."""

    def __init__(self) -> None:
        self.sums: Sums = {}
        self.commit: str | None = None
        self.times = 0

    def count(self, repository: Repository) -> SizeCount:
        return SizeCount(repository, lambda: (self.sums, self.commit), self.store)

    def store(self, sums: Sums, commit: str) -> None:
        self.sums, self.commit = sums, commit
        self.times += 1


def push(repository: Repository, key: Key, log: str) -> None:
    """Put a log on the branch behind the repository's back."""
    script = "commit refs/heads/git-annex\ncommitter a <a> 1 +0000\ndata 0\n"
    script += f"from {repository.branch.tip}\n"
    script += f"M 100644 inline {location.path(key)}\ndata {len(log)}\n{log}\n"
    git(Path(repository.path), "fast-import", "--quiet", data=script.encode())


def test_what_was_counted_is_kept_for_the_next_process(repository: Repository) -> None:
    stored = Stored()
    repository.logs.set_location(KEY, HERE, True)
    repository.branch.commit()
    repository.logs.set_location(OTHER, HERE, True)
    assert stored.count(repository).sizes() == {HERE: 1007}
    assert stored.sums == {HERE: 1000}, "only what is committed"
    assert stored.commit == repository.branch.tip
    assert stored.count(repository).sizes() == {HERE: 1007}
    assert stored.times == 1


def test_the_next_process_reads_only_what_changed(repository: Repository) -> None:
    stored = Stored()
    repository.logs.set_location(KEY, HERE, True)
    repository.branch.commit()
    stored.count(repository).sizes()
    stored.sums = {HERE: 5_000_000}  # a scan would find something else
    repository.logs.set_location(KEY, THERE, True)
    repository.logs.set_location(OTHER, HERE, True)
    repository.branch.commit()
    assert stored.count(repository).sizes() == {HERE: 5_000_007, THERE: 1000}
    assert stored.commit == repository.branch.tip


def test_a_commit_that_is_lost_means_a_scan(repository: Repository) -> None:
    stored = Stored()
    stored.sums, stored.commit = {HERE: 5_000_000}, "1" * 40
    repository.logs.set_location(KEY, HERE, True)
    repository.branch.commit()
    assert stored.count(repository).sizes() == {HERE: 1000}
    assert stored.commit == repository.branch.tip


def test_a_journalled_log_is_compared_with_the_commit_that_is_counted(
    repository: Repository,
) -> None:
    """The branch moves between a change and the next refresh()."""
    count = Stored().count(repository)
    repository.logs.set_location(OTHER, HERE, True)
    repository.branch.commit()
    repository.logs.set_location(KEY, HERE, True)
    assert count.sizes() == {HERE: 1007}
    push(repository, KEY, f"1s 1 {THERE}\n")
    assert count.sizes() == {HERE: 1007, THERE: 1000}
    repository.branch.commit()
    assert count.sizes() == {HERE: 1007, THERE: 1000}


def test_a_branch_that_comes_later_is_compared_too(repository: Repository) -> None:
    """Counted in the journal alone, then found on a branch that others counted already."""
    stored = Stored()
    count = stored.count(repository)
    repository.logs.set_location(KEY, HERE, True)
    assert count.sizes() == {HERE: 1000}
    with Repository.open(repository.path) as other:
        other.branch.commit()
        stored.count(other).sizes()
        other.logs.set_location(OTHER, HERE, True)
        other.branch.commit()
    assert count.sizes() == {HERE: 1007}


def test_the_journal_is_not_read_again_when_it_is_long(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When too much changed to be named, only what did change is read."""
    count = Stored().count(repository)
    for number in range(20):
        repository.logs.set_location(Key.parse(b"SHA256E-s1--%d" % number), HERE, True)
    assert count.sizes() == {HERE: 20}
    repository.branch.forget_known()  # announces that anything may have changed
    assert count.sizes() == {HERE: 20}
    repository.logs.set_location(KEY, HERE, True)
    repository.branch.forget_known()
    read: list[str] = []
    real = repository.branch.read

    def note(path: str) -> bytes:
        read.append(path)
        return real(path)

    monkeypatch.setattr(repository.branch, "read", note)
    assert count.sizes() == {HERE: 1020}
    assert set(read) <= {location.path(KEY), "uuid.log"}


def test_a_count_that_failed_is_made_good(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = Stored().count(repository)
    repository.logs.set_location(KEY, HERE, True)
    with monkeypatch.context() as patched:

        def fail(path: str) -> bytes:
            raise GitError("cat-file", 1, "died")

        repository.logs.descriptions()
        patched.setattr(repository.branch, "read", fail)
        with pytest.raises(GitError):
            count.sizes()
    assert count.sizes() == {HERE: 1000}


def test_siblings_that_cannot_be_merged_count_too(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a repository that must not be written to."""
    count = Stored().count(repository)
    repository.logs.set_location(KEY, HERE, True)
    repository.branch.commit()
    assert count.sizes() == {HERE: 1000}
    monkeypatch.setattr(Repository, "is_writable", property(lambda self: False))
    path = Path(repository.path)
    git(path, "update-ref", "refs/remotes/other/git-annex", "refs/heads/git-annex")
    log = f"1s 1 {UUID('sibling')}\n"
    script = "commit refs/remotes/other/git-annex\ncommitter a <a> 1 +0000\ndata 0\n"
    script += "from refs/remotes/other/git-annex^0\n"
    script += f"M 100644 inline {location.path(OTHER)}\ndata {len(log)}\n{log}\n"
    git(path, "fast-import", "--quiet", data=script.encode())
    repository.refresh()
    assert count.sizes() == {HERE: 1000, UUID("sibling"): 7}
