"""Three gateways in a triangle, as processes, with real git-annex clients."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.federation import Federation, make_federation, running
from tests.support.gateway import objects_of
from tests.support.world import World

TRIANGLE = {"ams": ["nyc", "lon"], "nyc": ["ams", "lon"], "lon": ["ams", "nyc"]}
NODES = ["node-ams", "node-nyc", "node-lon"]


@pytest.fixture
def triangle(world: World) -> Iterator[Federation]:
    federation = make_federation(world, TRIANGLE)
    with running(federation):
        yield federation


def soon(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for what is to happen within seconds, in another process."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def known_soon(triangle: Federation, key: str, nodes: list[str]) -> None:
    """Wait until all gateways know where a key is."""
    soon(lambda: all(triangle.logged(name, key) == nodes for name in triangle.gateways))


def tree_of(world: World, repo: Path) -> str:
    return world.git(repo, "rev-parse", "git-annex^{tree}")


def cut_in_mid_upload(world: World, triangle: Federation, client: Path) -> None:
    """The third gateway passes the upload on; what the answer says is true."""
    key = world.add(client, "f", os.urandom(3_000_000))
    triangle.relays["ams", "nyc"].cut_after(1_000_000)
    world.annex(client, "copy", "--to=origin-mycluster", "f")
    assert triangle.relays["ams", "nyc"].is_cut
    assert triangle.holders(key) == NODES
    assert triangle.logged("ams", key) == NODES
    assert triangle.logged("client", key) == NODES


def test_a_triangle(world: World, triangle: Federation) -> None:
    client = triangle.client("client", of="ams")
    small, large = b"small content", os.urandom(3_000_000)
    keys = [world.add(client, "small", small), world.add(client, "large", large)]
    world.annex(client, "copy", "--to=origin-mycluster", ".")
    for key in keys:
        assert triangle.holders(key) == NODES
        known_soon(triangle, key, NODES)
    world.annex(client, "drop", "--numcopies=1", ".")
    world.annex(client, "get", "--from=origin-nyc-node-nyc", "large")
    assert (client / "large").read_bytes() == large
    other = triangle.client("other", of="lon")
    world.annex(other, "checkpresentkey", keys[0], "origin-mycluster")
    world.git(client, "push", "-q", "origin", "HEAD:refs/heads/files")
    world.annex(client, "get", "small")
    world.annex(client, "drop", "--from=origin-mycluster", ".")
    for key in keys:
        assert triangle.holders(key) == []
        known_soon(triangle, key, [])
    cut_in_mid_upload(world, triangle, client)
    log = world.git(triangle.gateways["lon"].path, "cat-file", "-p", "git-annex:proxy.log")
    names = {word.split(":")[1] for word in log.split() if ":" in word}
    assert names == {f"{name}-node-{name}" for name in TRIANGLE} | {*NODES, "mycluster"}


def test_a_split_network_grows_together(world: World, triangle: Federation) -> None:
    """Nobody reaches lon. What is stored on both sides meanwhile is known to all in the end."""
    here, there = triangle.client("here", of="ams"), triangle.client("there", of="lon")
    for name in ("ams", "nyc"):
        triangle.cut(name, "lon")
        for pair in ((name, "lon"), ("lon", name)):
            world.git(
                triangle.gateways[pair[0]].path, "config", f"remote.{pair[1]}.url", "/nowhere"
            )
    first, second = world.add(here, "f", b"first"), world.add(there, "g", b"second")
    world.annex(here, "copy", "--to=origin-mycluster", "f")
    world.annex(there, "copy", "--to=origin-mycluster", "g")
    assert triangle.holders(first) == ["node-ams", "node-nyc"]
    assert triangle.holders(second) == ["node-lon"]
    absent = world.run(
        "git-annex", "checkpresentkey", second, "origin-mycluster", cwd=here, check=False
    )
    assert absent.returncode == 1
    soon(lambda: triangle.logged("nyc", first) == ["node-ams", "node-nyc"])
    triangle.mend()
    for name in ("ams", "nyc"):
        for pair in ((name, "lon"), ("lon", name)):
            path = triangle.gateways[pair[1]].path
            world.git(triangle.gateways[pair[0]].path, "config", f"remote.{pair[1]}.url", path)
    known_soon(triangle, first, ["node-ams", "node-nyc"])
    known_soon(triangle, second, ["node-lon"])
    world.annex(here, "fsck", "--fast", "--from=origin-mycluster", "--key", second)
    soon(lambda: len({tree_of(world, each.path) for each in triangle.gateways.values()}) == 1)


def test_a_gateway_that_is_killed_in_mid_upload(world: World, triangle: Federation) -> None:
    """The client hears of a failure, or of copies that are there."""
    client = triangle.client("client", of="ams")
    for killed in ("nyc", "ams"):
        key = world.add(client, killed, os.urandom(3_000_000))
        relay, server = triangle.relays["ams", "nyc"], triangle.gateways[killed]
        relay.when_passed(1_000_000, partial(server.stop, signal.SIGKILL))
        words = ["git-annex", "move", "--to=origin-mycluster", killed]
        done = world.run(*words, cwd=client, check=False)
        assert server.process is None
        if killed == "nyc":
            assert done.returncode == 0
            assert triangle.holders(key) == ["node-ams", "node-lon"]
            assert triangle.logged("client", key) == triangle.holders(key)
        else:
            assert done.returncode == 1
            assert objects_of(client, key)
        server.start()
        world.annex(client, "move", "--to=origin-mycluster", killed)
        assert "node-ams" in triangle.holders(key)
        assert objects_of(client, key) == []
