"""The history of a branch, of all its files and of single ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from shoal.git.history import FileChange, FileHistories, branch_changes, is_nothing
from shoal.git.process import Git, GitError
from tests.support.gitrepo import git

_REF = "refs/heads/x"
_FILES = tuple(b"a/%d.log" % number for number in range(3))
_ONLY_WITH_MANY = [b"none/%d" % number for number in range(60)]


class Histories:
    """Writes commits with given times and parents."""

    def __init__(self, path: Path) -> None:
        git(path, "init", "-q", "--bare", "repo")
        self.repo = path / "repo"
        self._script: list[bytes] = []
        self._mark = 0

    def commit(self, ref: str, time: int, parents: list[int], files: dict[bytes, bytes]) -> int:
        self._mark += 1
        self._script.append(
            b"commit %s\nmark :%d\ncommitter T <t@x> %d +0000\ndata 0\n"
            % (ref.encode(), self._mark, time)
        )
        for number, parent in enumerate(parents):
            self._script.append(b"%s :%d\n" % (b"merge" if number else b"from", parent))
        self._script.append(b"deleteall\n")
        for path, content in files.items():
            self._script.append(b"M 644 inline %s\ndata %d\n%s\n" % (path, len(content), content))
        return self._mark

    def write(self) -> Git:
        git(self.repo, "fast-import", "--quiet", data=b"".join(self._script))
        return Git(str(self.repo))


@pytest.fixture
def histories(tmp_path: Path) -> Histories:
    return Histories(tmp_path)


def _times(changes: list[FileChange]) -> list[tuple[int, bytes, bool, bool]]:
    return [(c.time, c.path, is_nothing(c.old), is_nothing(c.new)) for c in changes]


def test_all_changes_newest_first(histories: Histories) -> None:
    first = histories.commit(_REF, 10, [], {b"a": b"1", b"odd\tname:": b"2"})
    second = histories.commit(_REF, 20, [first], {b"a": b"1", b"b": b"3"})
    histories.commit(_REF, 30, [second], {b"a": b"1", b"b": b"4"})
    found = list(branch_changes(histories.write(), _REF))
    assert _times(found) == [
        (30, b"b", False, False),
        (20, b"b", True, False),
        (20, b"odd\tname:", False, True),
        (10, b"a", True, False),
        (10, b"odd\tname:", True, False),
    ]
    assert found[0].old == found[1].new


def test_a_merge_has_no_changes_of_its_own(histories: Histories) -> None:
    first = histories.commit(_REF, 10, [], {b"a": b"1"})
    left = histories.commit(_REF, 20, [first], {b"a": b"2"})
    right = histories.commit(_REF, 30, [first], {b"a": b"3"})
    histories.commit(_REF, 40, [left, right], {b"a": b"4"})
    found = list(branch_changes(histories.write(), _REF))
    assert [change.time for change in found] == [30, 20, 10]


def test_options_and_a_path(histories: Histories) -> None:
    first = histories.commit(_REF, 10, [], {b"a": b"1", b"b": b"1"})
    histories.commit(_REF, 20, [first], {b"a": b"2", b"b": b"2"})
    repo = histories.write()
    assert [c.time for c in branch_changes(repo, _REF, ["--reverse"], "b")] == [10, 20]
    assert [c.time for c in branch_changes(repo, _REF, ["--max-count=1"], "b")] == [20]


def test_options_that_git_refuses(histories: Histories) -> None:
    histories.commit(_REF, 10, [], {b"a": b"1"})
    with pytest.raises(GitError, match="unrecognized argument"):
        list(branch_changes(histories.write(), _REF, ["--no-such-option"]))


def test_file_histories_are_what_git_shows_for_each_file(histories: Histories) -> None:
    """Random histories with merges, deleted files, several roots and clocks that go back."""
    dice = random.Random(5)
    refs = [f"refs/heads/random{number}" for number in range(30)]
    for ref in refs:
        _make_random(histories, ref, dice)
    repo = histories.write()
    for ref in refs:
        for more in ([], _ONLY_WITH_MANY):  # read with and without naming files to git
            found = FileHistories(repo, ref, [*_FILES, *more])
            for path in _FILES:
                expected = list(branch_changes(repo, ref, ["--remove-empty"], path.decode()))
                assert found.changes(path) == expected, (ref, path)


def _make_random(histories: Histories, ref: str, dice: random.Random) -> None:
    commits: list[tuple[int, dict[bytes, bytes]]] = []
    time = 1000
    for _ in range(dice.randrange(2, 22)):
        time += dice.choice([0, 0, 1, 5, -3])
        recent = commits[-4:]
        count = dice.choice([1, 1, 1, 2, 2, 3]) if dice.random() > 0.03 else 0
        parents = dice.sample(recent, min(count, len(recent)))
        files = dict(parents[0][1]) if parents else {}
        for _, theirs in parents[1:]:
            files |= {path: theirs[path] for path in theirs if dice.random() < 0.5}
        for path in _FILES:
            if (change := dice.random()) < 0.25:
                files[path] = b"%d" % dice.randrange(3)
            elif change < 0.28:
                files.pop(path, None)
        commits.append((histories.commit(ref, time, [mark for mark, _ in parents], files), files))
