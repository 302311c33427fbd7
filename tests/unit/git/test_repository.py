"""Finding and opening repositories of every shape."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from shoal.errors import NotARepository
from shoal.git.repository import Repository, UnsupportedVersion


def _git(*words: str | Path) -> None:
    subprocess.run(["git", *map(str, words)], check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    _git("init", "-q", tmp_path / "repo")
    _git("-C", tmp_path / "repo", "commit", "-q", "--allow-empty", "-m", "one")
    return tmp_path / "repo"


@pytest.mark.parametrize("below", ["", ".git"])
def test_a_work_tree(repo: Path, below: str) -> None:
    with Repository.open(repo / below) as opened:
        assert opened.git_dir == opened.common_dir == str(repo / ".git")
        assert opened.work_tree == opened.path == str(repo)
        assert opened.annex_dir == str(repo / ".git" / "annex")
        assert not opened.is_bare


def test_a_bare_repository(tmp_path: Path) -> None:
    _git("init", "-q", "--bare", tmp_path / "bare.git")
    opened = Repository.open(tmp_path / "bare.git")
    assert opened.is_bare
    assert opened.path == opened.git_dir == str(tmp_path / "bare.git")


@pytest.mark.parametrize("by_git_dir", [False, True])
def test_a_linked_work_tree_shares_the_annex(tmp_path: Path, repo: Path, by_git_dir: bool) -> None:
    linked = tmp_path / "linked"
    _git("-C", repo, "worktree", "add", "-q", linked)
    opened = Repository.open(repo / ".git" / "worktrees" / "linked" if by_git_dir else linked)
    assert opened.work_tree == str(linked)
    assert opened.git_dir == str(repo / ".git" / "worktrees" / "linked")
    assert opened.annex_dir == str(repo / ".git" / "annex")


@pytest.mark.parametrize("by_git_dir", [False, True])
def test_a_submodule(tmp_path: Path, repo: Path, by_git_dir: bool) -> None:
    top = tmp_path / "top"
    _git("init", "-q", top)
    _git("-C", top, "submodule", "add", "-q", repo, "sub")
    opened = Repository.open(top / ".git" / "modules" / "sub" if by_git_dir else top / "sub")
    assert opened.work_tree == str(top / "sub")
    assert opened.annex_dir == str(top / ".git" / "modules" / "sub" / "annex")


def test_discover_looks_upwards_and_open_does_not(repo: Path) -> None:
    below = repo / "a" / "b"
    below.mkdir(parents=True)
    assert Repository.discover(below).work_tree == str(repo)
    with pytest.raises(NotARepository, match=r"not a git repository: .*/a/b"):
        Repository.open(below)


def test_discover_honours_the_environment(
    tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(repo / ".git"))
    assert Repository.discover(tmp_path).git_dir == str(repo / ".git")


def test_what_only_looks_like_a_repository(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / ".git").write_text("gitdir: /nonexistent\n")
    with pytest.raises(NotARepository):
        Repository.open(tmp_path / "x")
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "HEAD").write_text("no\n")
    with pytest.raises(NotARepository):
        Repository.open(tmp_path / "y")


def test_a_repository_above_is_never_taken_for_one_that_was_named(repo: Path) -> None:
    (repo / "x").mkdir()
    (repo / "x" / "HEAD").write_text("just a file\n")
    with pytest.raises(NotARepository):
        Repository.open(repo / "x")


def test_not_initialised(repo: Path) -> None:
    opened = Repository.open(repo)
    assert not opened.is_initialised
    with pytest.raises(NotARepository, match="is not initialised") as info:
        opened.uuid  # noqa: B018  # reading it is the test
    assert "init" in info.value.hint


def test_uuid_and_config_are_fresh_after_refresh(repo: Path) -> None:
    opened = Repository.open(repo)
    _git("-C", repo, "config", "annex.uuid", "u-1")
    _git("-C", repo, "config", "annex.version", "10")
    assert opened.refresh()
    assert opened.uuid == "u-1"
    assert opened.is_initialised
    _git("-C", repo, "config", "core.sharedRepository", "group")
    opened.refresh()
    os.umask(0o022)
    opened.make_directory(opened.annex_path("journal"))
    assert os.stat(opened.annex_dir).st_mode & 0o777 == 0o775


@pytest.mark.parametrize(("version", "hint"), [("8", "upgrade"), ("9", "upgrade"), ("11", "newer")])
def test_other_versions_are_refused(repo: Path, version: str, hint: str) -> None:
    _git("-C", repo, "config", "annex.uuid", "u-1")
    _git("-C", repo, "config", "annex.version", version)
    with pytest.raises(UnsupportedVersion, match=f"of version {version}, and shoal uses") as info:
        Repository.open(repo)
    assert hint in info.value.hint


def test_annex_dbdir_moves_databases(repo: Path, tmp_path: Path) -> None:
    opened = Repository.open(repo)
    assert opened.database_dir == opened.annex_dir
    for key, value in (("uuid", "u-1"), ("version", "10"), ("dbdir", str(tmp_path / "db"))):
        opened.config.set(f"annex.{key}", value)
    opened.refresh()
    assert Repository.open(repo).database_dir == str(tmp_path / "db" / "u-1")
