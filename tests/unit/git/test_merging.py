"""Merging siblings: which, when, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.git.merging import MergeRefused
from shoal.git.repository import Repository
from tests.support.gitrepo import BRANCH, git, make_repository, on_branch, put_on_branch, to

pytestmark = pytest.mark.usefixtures("close_repositories")
_O1 = "refs/remotes/o1/git-annex"
_O2 = "refs/remotes/o2/git-annex"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "repo"


@pytest.fixture
def repo(path: Path) -> Repository:
    return make_repository(path)


def test_the_branch_is_made_from_origins(repo: Repository, path: Path) -> None:
    theirs = put_on_branch(path, {"a": "1\n"}, ref="refs/remotes/origin/git-annex")
    assert repo.branch.read("a") == b"1\n"
    assert git(path, "rev-parse", BRANCH) == theirs


def test_without_an_origin_the_branch_begins_empty(repo: Repository, path: Path) -> None:
    theirs = put_on_branch(path, {"a": "1\n"}, ref=_O1)
    assert repo.branch.read("a") == b"1\n"
    assert theirs in git(path, "rev-list", BRANCH)
    assert "branch created" in git(path, "log", "--format=%s", BRANCH)


def test_the_journal_is_committed_with_a_merge(repo: Repository, path: Path) -> None:
    put_on_branch(path, {"a": "1\n"})
    repo.branch.read("a")
    repo.branch.change("a", to(b"1\n2\n"))
    put_on_branch(path, {"a": "3\n"}, ref=_O1)
    assert repo.refresh()
    assert repo.branch.read("a") == b"1\n2\n3\n"
    assert repo.branch.journal.is_empty()
    assert on_branch(path) == {"a": "1\n2\n3"}


def test_what_is_merged_is_not_looked_at_again(repo: Repository, path: Path) -> None:
    put_on_branch(path, {"a": "1\n"})
    theirs = put_on_branch(path, {"a": "2\n"}, ref=_O1)
    git(path, "update-ref", "refs/heads/synced/git-annex", theirs)
    assert repo.branch.update()
    assert not repo.branch.update()
    assert f"{theirs}\trefs/heads/synced/git-annex\n" in (path / "annex/mergedrefs").read_text()
    assert not Repository.open(path).branch.update()


def test_a_sibling_without_anything_new_is_only_noted(repo: Repository, path: Path) -> None:
    old = put_on_branch(path, {"a": "1\n"})
    tip = put_on_branch(path, {"a": "2\n"}, parents=(old,))
    git(path, "update-ref", _O1, old)
    assert not repo.branch.update()
    assert git(path, "rev-parse", BRANCH) == tip
    assert (path / "annex" / "mergedrefs").read_text() == f"{old}\t{_O1}\n"


def test_the_newest_of_several_is_fast_forwarded_to(repo: Repository, path: Path) -> None:
    one = put_on_branch(path, {"a": "1\n"})
    two = put_on_branch(path, {"a": "2\n"}, ref=_O1, parents=(one,))
    three = put_on_branch(path, {"a": "3\n"}, ref=_O2, parents=(two,))
    repo.branch.update()
    assert git(path, "rev-parse", BRANCH) == three
    assert repo.branch.read("a") == b"3\n"
    repo.branch.change("b", to(b"b\n"))
    repo.branch.commit()
    assert on_branch(path) == {"a": "3", "b": "b"}


def test_annotated_tags_are_followed_and_others_ignored(repo: Repository, path: Path) -> None:
    put_on_branch(path, {"a": "1\n"})
    put_on_branch(path, {"a": "2\n"}, ref="refs/heads/x")
    git(path, "tag", "-a", "-m", "t", "git-annex", "x")
    blob = git(path, "hash-object", "-w", "--stdin", data=b"x")
    git(path, "update-ref", "refs/odd/git-annex", blob)
    assert repo.branch.update()
    assert repo.branch.read("a") == b"1\n2\n"
    assert not repo.branch.update()


def test_merging_can_be_switched_off(repo: Repository, path: Path) -> None:
    repo.config.set("annex.merge-annex-branches", "false")
    put_on_branch(path, {"a": "1\n"})
    put_on_branch(path, {"a": "2\n"}, ref=_O1)
    assert repo.branch.read("a") == b"1\n"
    repo.config.set("annex.merge-annex-branches", "true")
    repo.refresh()
    assert repo.branch.read("a") == b"1\n2\n"


def test_a_branch_that_is_tuned_differently_is_refused(repo: Repository, path: Path) -> None:
    tip = put_on_branch(path, {"a": "1\n"})
    tuned = {"difference.log": "u fromList [ObjectHashLower] timestamp=1s\n", "a": "2\n"}
    put_on_branch(path, tuned, ref=_O1)
    with pytest.raises(MergeRefused, match="o1/git-annex is tuned in an incompatible way"):
        repo.branch.read("a")
    assert git(path, "rev-parse", BRANCH) == tip
    repo.config.set("annex.tune.objecthashlower", "true")
    repo.refresh()
    assert repo.branch.read("a") == b"1\n2\n"


def test_a_server_goes_on_when_a_sibling_is_refused(repo: Repository, path: Path) -> None:
    put_on_branch(path, {"a": "1\n"})
    repo.refresh()
    assert repo.branch.trouble is None
    put_on_branch(path, {"transitions.log": "Odd 1s\n"}, ref=_O1)
    repo.refresh()
    assert isinstance(repo.branch.trouble, MergeRefused)
    assert repo.branch.read("a") == b"1\n"
    put_on_branch(path, {"a": "2\n"}, ref=_O1)
    repo.refresh()
    assert repo.branch.trouble is None
    assert repo.branch.read("a") == b"1\n2\n"


def _read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Repository, "is_writable", property(lambda self: False))


def test_a_read_only_repository_shows_all_siblings(
    repo: Repository, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = put_on_branch(path, {"a": "1\n", "b": "b\n"})
    put_on_branch(path, {"a": "2\n", "c": "c\n"}, ref=_O1)
    put_on_branch(path, {"a": "3\n"}, ref=_O2)
    _read_only(monkeypatch)
    assert repo.branch.read("a") == b"1\n2\n3\n"
    assert dict(repo.branch.scan()) == {"a": b"1\n2\n3\n", "b": b"b\n", "c": b"c\n"}
    assert git(path, "rev-parse", BRANCH) == tip
    assert not os.path.exists(path / "annex")


def test_a_read_only_repository_makes_transitions_on_the_fly(
    repo: Repository, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, alive = "1-dead", "2-alive"
    put_on_branch(
        path,
        {
            "trust.log": f"{dead} X timestamp=1s\n",
            "group.log": f"{dead} g timestamp=1s\n{alive} g timestamp=1s\n",
            "transitions.log": "ForgetDeadRemotes 1s\n",
        },
    )
    put_on_branch(path, {"group.log": f"{dead} old timestamp=1s\n"}, ref=_O1)
    _read_only(monkeypatch)
    assert repo.branch.read("group.log") == f"{alive} g timestamp=1s\n".encode()


def test_the_index_may_be_ahead_of_the_branch(repo: Repository, path: Path) -> None:
    """As after a push that overwrote the branch: what was committed here comes back."""
    old = put_on_branch(path, {"a": "1\n"})
    repo.branch.change("mine", to(b"m\n"))
    repo.branch.commit()
    git(path, "update-ref", BRANCH, old)
    put_on_branch(path, {"a": "2\n"}, ref=_O1, parents=(old,))
    repo.refresh()
    repo.branch.change("b", to(b"b\n"))
    repo.branch.commit()
    assert on_branch(path) == {"a": "1\n2", "b": "b", "mine": "m"}
