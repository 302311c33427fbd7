"""Neither program receives what annex.diskreserve leaves no room for."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.annexrepo import THERE
from tests.support.world import World

_SIZE = 5_000_000_000  # bytes that the key is said to have
_MARGIN = 2_000_000_000  # of other programs that use the disk during the test


@pytest.fixture
def repo(world: World) -> Path:
    """A repository with a file that its remote `origin` has."""
    origin = world.make("origin")
    world.add(origin, "file", b"content")
    world.run("git", "clone", "-q", origin, "repo")
    repo = world.root / "repo"
    world.annex(repo, "init", "repo")
    return repo


def free(repo: Path) -> int:
    found = os.statvfs(repo)
    return found.f_bavail * found.f_frsize


@pytest.mark.parametrize("program", ["git-annex", "shoal"])
def test_a_file_is_got_only_when_the_reserve_stays_free(
    world: World, repo: Path, program: str
) -> None:
    def get(reserve: str) -> subprocess.CompletedProcess[str]:
        world.git(repo, "config", "annex.diskreserve", reserve)
        return world.run(program, "get", "file", cwd=repo, check=False)

    refused = get(str(free(repo) + _MARGIN))
    assert refused.returncode == 1
    assert "not enough free space, need " in refused.stderr
    assert (
        " more (use --force to override this check or adjust annex.diskreserve)" in refused.stderr
    )
    assert "Unable to access these remotes: origin" in refused.stdout
    assert world.annex(repo, "find") == ""
    assert get(str(free(repo) - _MARGIN)).returncode == 0
    assert world.annex(repo, "find") == "file\n"


@pytest.mark.parametrize("program", ["git-annex", "shoal"])
def test_users_can_insist(world: World, repo: Path, program: str) -> None:
    for place in (repo, world.root / "origin"):
        world.git(place, "config", "annex.diskreserve", str(free(repo) + _MARGIN))
    world.run(program, "get", "file", "--force", cwd=repo)
    assert world.annex(repo, "find") == "file\n"
    world.annex(world.root / "origin", "drop", "--force", "file")
    words = ("copy", "file", "--to", "origin", "--json", "--json-error-messages")
    refused = world.run(program, *words, cwd=repo, check=False)
    assert refused.returncode == 1
    messages = json.loads(refused.stdout)["error-messages"]
    assert messages.pop() == "failed to send content to remote"
    assert ["not enough" in text for text in messages] == ([True] if program == "shoal" else [])
    world.run(program, "copy", "file", "--to", "origin", "--force", cwd=repo)
    assert world.annex(world.root / "origin", "find") == "file\n"


@pytest.mark.parametrize("program", ["git-annex-shell", "shoal-shell"])
def test_an_upload_is_taken_only_when_the_reserve_stays_free(
    world: World, repo: Path, program: str
) -> None:
    key = f"SHA256-s{_SIZE}--" + "0" * 64

    def put(reserve: int) -> str:
        """Begin to send the key, and leave; give what was answered.

        The real program looks for space when the content comes, shoal before that.
        """
        world.git(repo, "config", "annex.diskreserve", str(reserve))
        said = f"VERSION 4\nPUT  {key}\nDATA {_SIZE}\n".encode()
        done = world.run(program, "p2pstdio", repo, THERE, data=said, check=False)
        return done.stdout + done.stderr

    assert "not enough free space" in put(free(repo) - _SIZE + _MARGIN)
    taken = put(free(repo) - _SIZE - _MARGIN)
    assert "PUT-FROM 0" in taken
    assert "not enough free space" not in taken
