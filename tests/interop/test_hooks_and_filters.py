"""git works in a repository where only shoal is installed, and the real program agrees later."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.world import World


@pytest.fixture
def alone(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A PATH with shoal, git and what hooks need, but without git-annex."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "shoal").symlink_to(Path(sys.executable).parent / "shoal")
    for directory in ("/usr/bin", "/bin"):
        for name in ("git", "sh", "env", "cat", "sed", "uname", "basename", "dirname"):
            found = Path(directory) / name
            if found.exists() and not (place / name).exists():
                (place / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(place))
    assert shutil.which("git-annex") is None
    return world


def test_git_filters_and_hooks_without_git_annex(alone: World) -> None:
    world = alone
    repo = world.root / "repo"
    world.run("git", "init", "-q", repo)
    world.run("shoal", "init", "repo", cwd=repo)
    world.git(repo, "config", "annex.largefiles", "largerthan=10b")
    (repo / "large.bin").write_bytes(b"large enough to be annexed")
    (repo / "small.txt").write_bytes(b"small")
    world.git(repo, "add", "large.bin", "small.txt")
    world.git(repo, "commit", "-q", "-m", "by git add")
    assert world.git(repo, "show", "HEAD:large.bin").startswith("/annex/objects/SHA256E-s26--")
    assert world.git(repo, "show", "HEAD:small.txt") == "small"
    assert (repo / "large.bin").read_bytes() == b"large enough to be annexed"
    world.git(repo, "checkout", "-q", "-b", "other")
    (repo / "large.bin").write_bytes(b"something else that is large")
    world.git(repo, "commit", "-q", "-a", "-m", "changed")
    world.git(repo, "checkout", "-q", "-")
    assert (repo / "large.bin").read_bytes() == b"large enough to be annexed"
    world.git(repo, "checkout", "-q", "other")
    assert (repo / "large.bin").read_bytes() == b"something else that is large"
    assert world.git(repo, "status", "--porcelain") == ""


def test_a_link_that_is_moved_is_mended_by_the_commit(alone: World) -> None:
    world = alone
    repo = world.root / "repo"
    world.run("git", "init", "-q", repo)
    world.run("shoal", "init", "repo", cwd=repo)
    (repo / "d").mkdir()
    (repo / "d/f").write_bytes(b"content")
    (repo / "d/g").write_bytes(b"other")
    world.run("shoal", "add", "d", cwd=repo)
    world.git(repo, "commit", "-q", "-m", "add")
    world.git(repo, "mv", "d/f", "f")
    assert not (repo / "f").exists()
    world.git(repo, "commit", "-q", "-m", "move")
    assert (repo / "f").read_bytes() == b"content"
    assert world.git(repo, "show", "HEAD:f") == os.readlink(repo / "f")
    (repo / "e").mkdir()
    (repo / "d/g").rename(repo / "e/g")
    world.git(repo, "add", "e/g")
    world.git(repo, "commit", "-q", "-a", "-m", "move with -a")
    assert world.git(repo, "status", "--porcelain") == ""


def test_pushes_go_through(alone: World) -> None:
    world = alone
    world.run("git", "init", "-q", "--bare", "b")
    repo = world.root / "repo"
    world.run("git", "init", "-q", repo)
    world.run("shoal", "init", "repo", cwd=repo)
    (repo / "f").write_bytes(b"content")
    world.run("shoal", "add", "f", cwd=repo)
    world.git(repo, "commit", "-q", "-m", "add")
    world.git(repo, "push", "-q", "../b", "HEAD", "git-annex")
    world.run("shoal", "init", "b", cwd=world.root / "b")
    world.git(repo, "push", "-q", "../b", "HEAD", "git-annex:synced/git-annex")


def test_the_real_program_finds_all_well(world: World) -> None:
    """What shoal added, locked and unlocked, is what git-annex would have added."""
    repo = world.root / "repo"
    world.run("git", "init", "-q", repo)
    world.run("shoal", "init", "repo", cwd=repo)
    (repo / "locked").write_bytes(b"locked content")
    world.run("shoal", "add", "locked", cwd=repo)
    (repo / "unlocked").write_bytes(b"unlocked content")
    world.run("shoal", "add", "-c", "annex.addunlocked=true", "unlocked", cwd=repo)
    world.git(repo, "commit", "-q", "-m", "both")
    assert world.git(repo, "status", "--porcelain") == ""
    shown = world.annex(repo, "fsck")
    assert shown.count("ok\n") == 2
    assert "fix" not in shown
    assert world.annex(repo, "find", "--unlocked") == "unlocked\n"
    world.annex(repo, "drop", "--force", "unlocked")
    assert (repo / "unlocked").read_bytes().startswith(b"/annex/objects/")
    assert world.git(repo, "status", "--porcelain") == ""
