"""What follows a push: the git-annex branch, and the work tree if that is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.git.postreceive import follow, pushed_refs
from shoal.git.repository import Repository
from tests.support.gitrepo import git, make_repository, on_branch, put_on_branch

_SYNCED = "refs/heads/synced/main"


@pytest.fixture
def repository(tmp_path: Path, close_repositories: None) -> Repository:
    made = make_repository(tmp_path / "repo", bare=False)
    path = Path(made.path)
    git(path, "config", "receive.denyCurrentBranch", "updateInstead")
    git(path, "commit", "-q", "--allow-empty", "-m", "start")
    git(path, "checkout", "-q", "-b", "work")
    (path / "file").write_text("pushed")
    git(path, "add", "file")
    git(path, "commit", "-q", "-m", "file")
    git(path, "update-ref", _SYNCED, "work")
    git(path, "checkout", "-q", "main")
    git(path, "branch", "-q", "-D", "work")
    made.refresh_config()
    return made


def _has_file(repository: Repository) -> bool:
    return (Path(repository.path) / "file").exists()


def test_what_git_says_was_pushed() -> None:
    zero, some = b"0" * 40, b"1" * 40
    lines = [b"%b %b refs/heads/a b\n" % (zero, some), b"broken\n", b"%b %b refs/x" % (some, zero)]
    assert pushed_refs(lines) == {"refs/heads/a b": some.decode(), "refs/x": zero.decode()}


def test_the_git_annex_branch_is_merged(repository: Repository) -> None:
    put_on_branch(Path(repository.path), {"a.log": "1s 1 x\n"})
    put_on_branch(Path(repository.path), {"b.log": "1s 1 y\n"}, ref="refs/heads/synced/git-annex")
    assert follow(repository, frozenset()) == []
    assert set(on_branch(Path(repository.path))) == {"a.log", "b.log"}


def test_the_work_tree_follows(repository: Repository) -> None:
    assert follow(repository, frozenset({_SYNCED})) == []
    assert _has_file(repository)


def test_the_work_tree_follows_only_what_was_pushed_for_it(repository: Repository) -> None:
    assert follow(repository, frozenset({"refs/heads/synced/other"})) == []
    assert not _has_file(repository)


def test_the_work_tree_follows_only_when_that_is_wanted(repository: Repository) -> None:
    git(Path(repository.path), "config", "receive.denyCurrentBranch", "refuse")
    repository.refresh_config()
    assert follow(repository, frozenset({_SYNCED})) == []
    assert not _has_file(repository)


def test_nothing_is_overwritten(repository: Repository) -> None:
    file = Path(repository.path) / "file"
    file.write_text("mine")
    (warning,) = follow(repository, frozenset({_SYNCED}))
    assert warning.startswith("synced/main was not merged into main")
    assert file.read_text() == "mine"


def test_two_histories_are_left_to_a_sync(repository: Repository) -> None:
    git(Path(repository.path), "commit", "-q", "--allow-empty", "-m", "mine")
    assert len(follow(repository, frozenset({_SYNCED}))) == 1
    assert not _has_file(repository)
