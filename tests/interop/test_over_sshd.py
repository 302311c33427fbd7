"""Both programs at both ends of a real ssh."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import left_behind, make_gateway, objects_of
from tests.support.sshd import Sshd
from tests.support.world import World

Failed = subprocess.CompletedProcess[str]
PROGRAMS = {"real": "git-annex", "shoal": "shoal"}


@pytest.fixture
def sshd(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with Sshd(world, monkeypatch) as running:
        yield running


def _server(world: World) -> Path:
    repo = world.make("server")
    world.git(repo, "commit", "-q", "--allow-empty", "-m", "start")
    return repo


@pytest.mark.parametrize("there", PROGRAMS)
@pytest.mark.parametrize("here", PROGRAMS)
def test_content_goes_there_and_back(world: World, sshd: Sshd, here: str, there: str) -> None:
    server = _server(world)
    client = sshd.clone(server, there)
    program = PROGRAMS[here]

    def act(*words: str) -> None:
        world.run(program, *words, cwd=client)

    act("init", "client")
    contents = {f"f {n}": os.urandom(1 << (n * 7)) for n in range(1, 4)}
    keys = {name: world.add(client, name, data) for name, data in contents.items()}
    act("copy", "--to=origin", "-J2", ".")
    for name, key in keys.items():
        (found,) = objects_of(server, key)
        assert found.read_bytes() == contents[name]
    act("drop", ".")
    act("get", ".")
    assert all((client / name).read_bytes() == data for name, data in contents.items())
    if here == "real":
        act("fsck", "--from=origin", "f 1")
    act("drop", "--from=origin", "f 1")
    assert not objects_of(server, keys["f 1"])
    act("move", "--to=origin", ".")
    assert all(not objects_of(client, key) for key in keys.values())
    act("move", "--from=origin", ".")
    assert all(not objects_of(server, key) for key in keys.values())
    assert left_behind(server) == []
    assert sshd.sockets() == []


def test_a_cluster_and_a_node_through_a_gateway(world: World, sshd: Sshd) -> None:
    gateway = make_gateway(world)
    client = sshd.clone(gateway.path, "shoal")
    world.annex(client, "init", "client")
    world.annex(client, "sync", "-q", "--no-content")
    key = world.add(client, "f", os.urandom(100_000))
    world.annex(client, "copy", "--to=origin-mycluster", "f")
    assert gateway.holders(key) == [node.name for node in gateway.nodes]
    world.annex(client, "testremote", "--fast", "origin-mycluster")
    world.annex(client, "testremote", "--fast", f"origin-{gateway.nodes[0].name}")


def test_shoal_uses_a_cluster_of_the_real_program(world: World, sshd: Sshd) -> None:
    gateway = make_gateway(world)
    client = sshd.clone(gateway.path, "real")
    world.run("shoal", "init", "client", cwd=client)
    key = world.add(client, "f", os.urandom(100_000))
    world.run("shoal", "copy", "--to=origin-mycluster", "f", cwd=client)
    assert gateway.holders(key) == [node.name for node in gateway.nodes]
    world.run("shoal", "drop", "--numcopies=1", "f", cwd=client)
    world.run("shoal", "get", "--from=origin-mycluster", "f", cwd=client)
    world.run("shoal", "drop", "--from=origin-mycluster", "--numcopies=1", "f", cwd=client)
    assert gateway.holders(key) == []


def test_one_connection_is_shared_and_stopped_at_the_end(world: World, sshd: Sshd) -> None:
    """Also with stderr in a pipe, which the process that keeps the connection has open too."""
    server = _server(world)
    client = sshd.clone(server, "shoal")
    world.run("shoal", "init", "client", cwd=client)
    for number in range(4):
        world.add(client, f"f{number}", b"%d" % number)
    world.run("shoal", "copy", "--to=origin", "f0", cwd=client)  # it asks for the UUID, too
    before, commands = sshd.connections(), len(sshd.commands())
    begun = time.monotonic()
    done = world.run("shoal", "copy", "--to=origin", "-J4", ".", cwd=client)
    assert time.monotonic() - begun < 60
    assert done.stderr == ""
    assert sum("p2pstdio" in command for command in sshd.commands()[commands:]) > 1
    assert sshd.connections() - before == 1
    assert sshd.sockets() == []
    world.git(client, "config", "annex.sshcaching", "false")
    world.run("shoal", "get", "--from=origin", "f1", cwd=client)


def _failing(
    world: World, client: Path, host: str, server: Path
) -> subprocess.CompletedProcess[str]:
    world.git(client, "config", "remote.origin.url", f"ssh://{host}{server}")
    return world.run("shoal", "copy", "--to=origin", "f", cwd=client, check=False)


CAUSES = {
    "stranger": "ssh could not connect",
    "changed": "ssh could not connect",
    "closed": "ssh could not connect",
    "none": "git-annex-shell is not installed there, or not in PATH",
}


@pytest.fixture
def client(world: World, sshd: Sshd) -> Path:
    """A client that knows its server already."""
    client = sshd.clone(_server(world), "shoal")
    world.run("shoal", "init", "client", cwd=client)
    world.add(client, "f", b"content")
    world.git(client, "config", "remote.origin.annex-uuid", _uuid(world))
    return client


def _uuid(world: World) -> str:
    return world.git(world.root / "server", "config", "annex.uuid")


@pytest.mark.parametrize(("host", "cause"), CAUSES.items())
def test_what_goes_wrong_is_said(
    world: World, sshd: Sshd, client: Path, host: str, cause: str
) -> None:
    done = _failing(world, client, host, world.root / "server")
    assert done.returncode == 1
    assert cause in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 25
    assert sshd.sockets() == []


def test_a_repository_that_is_not_there(world: World, client: Path) -> None:
    done = _failing(world, client, "shoal", world.root / "nowhere")
    assert done.returncode == 1
    assert "perhaps this repository is not set up correctly or has moved" in done.stderr


def test_a_server_that_is_met_first(world: World, sshd: Sshd, client: Path) -> None:
    """Whether it can be reached decides whether it is asked again."""
    world.git(client, "config", "--unset", "remote.origin.annex-uuid")
    done = _failing(world, client, "stranger", world.root / "server")
    assert "Unable to connect to repository origin to get its annex.uuid" in done.stderr
    assert "cannot determine uuid for origin" in done.stderr
    assert "annex-ignore" not in world.git(client, "config", "--list")
    done = _failing(world, client, "none", world.root / "server")
    assert "Remote origin does not have git-annex installed; setting annex-ignore" in done.stderr
    assert world.git(client, "config", "remote.origin.annex-ignore") == "true"
