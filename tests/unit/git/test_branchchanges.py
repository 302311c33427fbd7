"""Changes of the git-annex branch are noticed, and told."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shoal.git.repository import Repository
from tests.support.gitrepo import git, make_repository, put_on_branch, to

pytestmark = pytest.mark.usefixtures("close_repositories")
LOG = "aaa/bbb/MD5-s0--x.log"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "repo"


@pytest.fixture
def repo(path: Path) -> Repository:
    return make_repository(path)


def _set(repo: Repository, path: str, content: bytes) -> bool:
    return repo.branch.change(path, to(content))


def test_refresh_notices_what_others_do(repo: Repository, path: Path) -> None:
    other = Repository.open(path)
    told: list[frozenset[str] | None] = []
    _set(repo, LOG, b"1\n")
    repo.branch.commit()
    repo.refresh()
    repo.branch.changes.on_change(told.append)
    generation = repo.branch.changes.generation
    assert not repo.branch.refresh()
    _set(other, LOG, b"2\n")
    assert repo.branch.refresh()
    assert repo.branch.changes.generation > generation
    assert told == [frozenset({LOG})]
    told.clear()
    other.branch.commit()
    assert repo.branch.refresh()
    assert {path for one in told for path in one or ()} == {LOG}
    told.clear()
    put_on_branch(path, {LOG: "2\n", "uuid.log": "u\n"}, parents=(repo.branch.tip or "",))
    assert repo.branch.refresh()
    assert told == [frozenset({"uuid.log"})]


def test_whether_refs_seem_unchanged_is_known_without_waiting(repo: Repository, path: Path) -> None:
    _set(repo, LOG, b"1\n")
    repo.branch.commit()
    threading.Event().wait(0.05)  # until the times of what was just written count
    repo.refresh()
    assert repo.branch.changes.seems_unchanged()
    git(path, "update-ref", "refs/remotes/other/git-annex", repo.branch.tip or "")
    assert not repo.branch.changes.seems_unchanged()
    threading.Event().wait(0.05)
    repo.refresh()
    assert repo.branch.changes.seems_unchanged()
    put_on_branch(path, {LOG: "2\n"}, parents=(repo.branch.tip or "",))
    assert not repo.branch.changes.seems_unchanged()


def test_whether_refs_seem_unchanged_is_not_known_while_another_thread_is_busy(
    repo: Repository,
) -> None:
    found: list[bool | None] = []

    def ask(paths: frozenset[str] | None) -> None:  # this thread has the lock
        with ThreadPoolExecutor(1) as other:
            found.append(other.submit(repo.branch.changes.seems_unchanged).result())

    repo.branch.changes.on_change(ask)
    _set(repo, LOG, b"1\n")
    assert found == [None]


def test_own_commits_make_nothing_stale(repo: Repository) -> None:
    _set(repo, LOG, b"1\n")
    repo.branch.commit()
    _set(repo, LOG, b"2\n")
    told: list[frozenset[str] | None] = []
    repo.branch.changes.on_change(told.append)
    repo.branch.commit()
    assert told == []


def test_a_settled_repository_is_refreshed_without_git(
    repo: Repository, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(repo, LOG, b"1\n")
    repo.branch.commit()
    for directory in (*path.glob("refs/**/"), path / "config", path / "annex" / "journal"):
        os.utime(directory, ns=(1, 1))
    threading.Event().wait(0.05)  # the times of changes (ctime) cannot be set back
    repo.refresh()
    monkeypatch.setenv("PATH", "/nonexistent")
    assert not repo.refresh()
