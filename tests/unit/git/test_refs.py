"""Refs named git-annex: where they are found, and that changes are noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.git.process import Git
from shoal.git.refs import Refs, describe
from tests.support.gitrepo import BRANCH, git, put_on_branch


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "--bare", "repo")
    return tmp_path / "repo"


def _refs(repo: Path) -> Refs:
    return Refs(str(repo), Git(str(repo)))


def test_no_branch(repo: Path) -> None:
    assert _refs(repo).tip() is None
    assert _refs(repo).siblings() == {}


def test_tip_loose_packed_and_both(repo: Path) -> None:
    refs = _refs(repo)
    first = put_on_branch(repo, {"a": "1"})
    assert refs.tip() == first
    git(repo, "pack-refs", "--all")
    assert refs.tip() == first
    second = put_on_branch(repo, {"a": "2"})
    assert refs.tip() == second
    git(repo, "update-ref", "-d", BRANCH)
    assert refs.tip() is None


def test_siblings_are_found_wherever_they_are(repo: Path) -> None:
    refs = _refs(repo)
    put_on_branch(repo, {"a": "1"})
    commit = put_on_branch(repo, {"a": "2"}, ref="refs/heads/other")
    names = [
        "refs/heads/synced/git-annex",
        "refs/remotes/o/deep/git-annex",
        "refs/remotes/o/git-annex",
        "refs/tags/git-annex",
    ]
    for name in names:
        git(repo, "update-ref", name, commit)
    for other in ("refs/heads/git-annex-x", "refs/heads/my-git-annex"):
        git(repo, "update-ref", other, commit)
    expected = dict.fromkeys(names, commit)
    assert refs.siblings() == expected
    assert list(refs.siblings()) == names
    git(repo, "pack-refs", "--all", "--prune")
    assert refs.siblings() == expected
    assert _refs(repo).siblings() == expected


def test_changes_are_noticed_at_once(repo: Path) -> None:
    refs = _refs(repo)
    commits = [put_on_branch(repo, {"a": str(i)}, ref="refs/heads/x") for i in range(30)]
    assert refs.siblings() == {}
    for commit in commits:  # many within one tick of the clock
        git(repo, "update-ref", "refs/remotes/o/git-annex", commit)
        assert refs.siblings() == {"refs/remotes/o/git-annex": commit}
    git(repo, "update-ref", "-d", "refs/remotes/o/git-annex")
    assert refs.siblings() == {}


def test_symbolic_refs_are_resolved_by_git(repo: Path) -> None:
    refs = _refs(repo)
    commit = put_on_branch(repo, {"a": "1"}, ref="refs/heads/real")
    git(repo, "symbolic-ref", "refs/remotes/o/git-annex", "refs/heads/real")
    git(repo, "symbolic-ref", BRANCH, "refs/heads/real")
    assert refs.siblings() == {"refs/remotes/o/git-annex": commit}
    assert refs.tip() == commit


def test_short_names() -> None:
    assert describe("refs/remotes/o/git-annex") == "o/git-annex"
    assert describe("refs/heads/synced/git-annex") == "synced/git-annex"
    assert describe("refs/tags/git-annex") == "refs/tags/git-annex"
