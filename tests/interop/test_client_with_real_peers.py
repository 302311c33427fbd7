"""shoal's client with repositories and servers of the real program, and the other way round.

What one stores the other finds, checks and removes; and neither drops a last copy.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, make_gateway, served
from tests.support.world import World

CONTENTS = {
    "small": b"x",
    "empty": b"",
    "text.txt": b"hello\n",
    "large.bin": bytes(range(256)) * 9000,
}


def shoal(world: World, repo: Path, *words: str) -> str:
    """Run shoal; give what it shows."""
    return world.run("shoal", *words, cwd=repo).stdout


def fails(world: World, repo: Path, *words: str) -> str:
    """Run shoal, which must fail with exit code 1; give what it shows."""
    done = world.run("shoal", *words, cwd=repo, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def copies(world: World, repo: Path, name: str) -> set[str]:
    """Give the descriptions of the repositories that have a file, as the real program says."""
    done = world.run("git-annex", "whereis", "--json", name, cwd=repo, check=False)
    return {place["description"] for place in json.loads(done.stdout)["whereis"]}


def check(world: World, *repos: Path) -> None:
    """Let the real program check contents and logs."""
    for repo in repos:
        done = world.run("git-annex", "fsck", "--quiet", "--all", cwd=repo, check=False)
        assert "fixing location log" not in done.stdout, done.stdout
        assert "Bad file" not in done.stdout, done.stdout


@pytest.fixture
def far(world: World) -> Path:
    """A repository of the real program with files."""
    repo = world.make("far")
    for name, content in CONTENTS.items():
        world.add(repo, name, content)
    return repo


@pytest.fixture
def here(world: World, far: Path) -> Path:
    """A clone of it, initialised by shoal, with a bare repository of the real program as well."""
    world.run("git", "clone", "-q", "far", "here")
    world.run("git", "clone", "-q", "--bare", "far", "bare")
    world.annex(world.root / "bare", "init", "-q", "bare")
    here = world.root / "here"
    shoal(world, here, "init", "here")
    world.git(here, "remote", "add", "bare", "../bare")
    world.git(here, "fetch", "-q", "bare")
    return here


def test_path_remotes(world: World, far: Path, here: Path) -> None:
    """All of get, copy, move and drop with repositories on disk; the real program agrees."""
    bare = world.root / "bare"
    shoal(world, here, "get")
    for name, content in CONTENTS.items():
        assert (here / name).read_bytes() == content
    shoal(world, here, "copy", "--to", "bare", "-J2")
    assert copies(world, here, "small") == {"here", "far [origin]", "[bare]"}
    shoal(world, here, "drop", "small", "--numcopies=2")
    shoal(world, here, "move", "--from", "bare", "small")
    shoal(world, here, "move", "--to", "bare", "text.txt")
    shoal(world, here, "drop", "--from", "origin", "large.bin")
    assert copies(world, here, "small") == {"here", "far [origin]"}
    assert copies(world, here, "text.txt") == {"far [origin]", "[bare]"}
    assert copies(world, here, "large.bin") == {"here", "[bare]"}
    check(world, here, bare, far)
    world.annex(here, "get", "text.txt")
    world.annex(here, "copy", "--to", "origin", "large.bin")
    shoal(world, here, "drop", "--numcopies=2", "large.bin", "text.txt")
    check(world, here, bare, far)


def test_the_last_copy_is_not_dropped(world: World, far: Path, here: Path) -> None:
    """Whichever way it is asked for, and whatever the log says."""
    shoal(world, here, "move", "--from", "origin", "small")
    assert "unsafe" in fails(world, here, "drop", "small")
    key = world.annex(here, "lookupkey", "small").strip()
    uuid = world.git(far, "config", "annex.uuid")
    shoal(world, here, "setpresentkey", key, uuid, "1")  # not true
    assert "unsafe" in fails(world, here, "drop", "small")
    shoal(world, here, "get", "text.txt")
    assert "unsafe" in fails(world, here, "move", "--to", "origin", "--numcopies=3", "text.txt")
    assert "unsafe" in fails(world, here, "drop", "--from", "origin", "empty")
    assert (here / "small").read_bytes() == CONTENTS["small"]
    check(world, here)


def test_a_real_client_uses_what_shoal_stored(world: World, far: Path, here: Path) -> None:
    """A real client gets from, and drops from, a repository that only shoal wrote to."""
    shoal(world, here, "get")
    world.run("git", "clone", "-q", "here", "third")
    third = world.root / "third"
    world.annex(third, "init", "-q", "third")
    world.annex(third, "get")
    for name, content in CONTENTS.items():
        assert (third / name).read_bytes() == content
    world.annex(third, "drop", "--from", "origin")
    assert not (here / "text.txt").exists()
    check(world, here, third)


def test_two_clients_drop_at_the_same_time(world: World, far: Path, here: Path) -> None:
    """One of each program: with numcopies 1 a copy is left, whoever was first."""
    world.run("git", "clone", "-q", "far", "other")
    other = world.root / "other"
    world.annex(other, "init", "-q", "other")
    for repo, remote in ((here, other), (other, here)):
        world.annex(repo, "get", "-q")
        world.git(repo, "remote", "add", "peer", remote)
    world.annex(far, "drop", "-q", "--force")
    for repo in (here, other):
        world.git(repo, "fetch", "-q", "--all")
        world.annex(repo, "merge", "-q")
    world.git(here, "fetch", "-q", "peer")
    both = [
        subprocess.Popen([program, "drop", "-J2"], cwd=repo, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
        for program, repo in (("shoal", here), ("git-annex", other))
    ]  # fmt: skip
    for process in both:
        process.wait(120)
    for name, content in CONTENTS.items():
        left = [repo for repo in (here, other) if (repo / name).exists()]
        assert left, f"{name} is lost"
        assert (left[0] / name).read_bytes() == content


@pytest.fixture(params=["git-annex", "shoal"])
def peer(world: World, request: pytest.FixtureRequest) -> Iterator[tuple[Gateway, Path]]:
    """A cluster gateway over HTTP, of either program, and a client of it."""
    gateway = make_gateway(world)
    for name, content in CONTENTS.items():
        world.add(gateway.path, name, content)
    with served(gateway, "--wideopen", "--jobs=4", program=request.param):
        world.run("git", "clone", "-q", gateway.path, "client")
        client = world.root / "client"
        world.git(client, "config", "remote.origin.annexUrl", gateway.url)
        shoal(world, client, "init", "client")
        yield gateway, client


def test_a_gateway_over_http(world: World, peer: tuple[Gateway, Path]) -> None:
    """shoal's client stores in, gets from and drops from a cluster, its nodes and the gateway."""
    server, client = peer
    shoal(world, client, "get", "-J3")
    for name, content in CONTENTS.items():
        assert (client / name).read_bytes() == content
    shoal(world, client, "copy", "--to", "origin-mycluster")
    nodes = len(server.nodes)
    places = copies(world, client, "text.txt")
    assert len([place for place in places if "node" in place]) == nodes
    shoal(world, client, "drop", "text.txt", f"--numcopies={nodes}")
    shoal(world, client, "drop", "--from", "origin", "text.txt", f"--numcopies={nodes}")
    assert "unsafe" in fails(world, client, "drop", "--from", "origin-mycluster", "text.txt")
    shoal(world, client, "get", "text.txt")
    assert (client / "text.txt").read_bytes() == CONTENTS["text.txt"]
    shoal(world, client, "move", "--from", "origin-mycluster", "text.txt")
    assert copies(world, client, "text.txt") == {"client"}
    assert "unsafe" in fails(world, client, "drop", "text.txt")
    shoal(world, client, "move", "--to", "origin-mycluster", "text.txt")
    assert not (client / "text.txt").exists()
    shoal(world, client, "get", "text.txt", "--from", "origin-mycluster")
    check(world, client, *server.nodes)


def test_an_interrupted_download_resumes(world: World, peer: tuple[Gateway, Path]) -> None:
    """What is in annex/tmp from before is not fetched again, and is verified."""
    _, client = peer
    key = world.annex(client, "lookupkey", "large.bin").strip()
    partial = client / ".git/annex/tmp" / key
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(CONTENTS["large.bin"][:1_000_000])
    shoal(world, client, "get", "large.bin")
    assert (client / "large.bin").read_bytes() == CONTENTS["large.bin"]
    shoal(world, client, "drop", "large.bin")
    partial.write_bytes(b"z" * 1000)  # not the beginning of that content
    fails(world, client, "get", "large.bin", "--from", "origin")
    shoal(world, client, "get", "large.bin", "--from", "origin")
    assert (client / "large.bin").read_bytes() == CONTENTS["large.bin"]
    check(world, client)
