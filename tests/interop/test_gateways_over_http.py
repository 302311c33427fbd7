"""A real client over HTTP of a shoal gateway with a real one behind it, and the other way round.

The shoal gateway reaches the real one over HTTP, too. The real program cannot proxy for what is
reached over HTTP: it reaches the shoal gateway over ssh.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.fake_ssh import Ssh
from tests.support.gateway import served
from tests.support.gateway_pair import Pair, make_pair
from tests.support.real_p2phttp import RealServer
from tests.support.wait import wait_until
from tests.support.world import World


@pytest.fixture(params=["server", "real"])
def pair(
    request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pair]:
    Ssh(world, monkeypatch).install()
    made = make_pair(world, request.param)
    behind = RealServer(world, made.second.path)
    program = "git-annex"
    if request.param == "server":
        program = "shoal"
        behind.start("--wideopen")
        world.git(made.first.path, "config", "remote.second.annexUrl", behind.url)
    world.git(made.client, "config", "remote.origin.annexUrl", made.first.url)
    try:
        with served(made.first, "--wideopen", "-J4", program=program):
            yield made
    finally:
        behind.stop()


def known_soon(pair: Pair, key: str, nodes: set[str]) -> None:
    """Wait until the first gateway has committed where a key is."""
    wait_until(lambda: pair.logged(pair.first.path, key) == nodes)


def test_contents_go_through_both_gateways_and_back(world: World, pair: Pair) -> None:
    client = pair.client
    contents = {"small": b"small content", "large": os.urandom(1_500_000)}
    keys = {name: world.add(client, name, data) for name, data in contents.items()}
    world.annex(client, "copy", "--to=origin-mycluster", ".")
    for key in keys.values():
        assert pair.holders(key) == ["node1", "node2"]
        known_soon(pair, key, {"node1", "node2"})
    world.annex(client, "fsck", "--from=origin-mycluster", ".")
    world.annex(client, "drop", ".", "--numcopies=1")
    world.annex(client, "get", "--from=origin-second-node2", ".")
    for name, data in contents.items():
        assert (client / name).read_bytes() == data
    world.annex(client, "drop", "--from=origin-mycluster", ".")
    for key in keys.values():
        assert pair.holders(key) == []
        known_soon(pair, key, set())


def test_an_upload_goes_on_where_it_broke_off(world: World, pair: Pair) -> None:
    """The node behind the second gateway has a part already."""
    data = os.urandom(1_000_000)
    key = world.add(pair.client, "f", data)
    for node in (*pair.first.nodes, *pair.second.nodes):
        partial = node / ".git" / "annex" / "tmp" / key
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data[:300_000])
    world.annex(pair.client, "copy", "--to=origin-mycluster", "f")
    assert pair.holders(key) == ["node1", "node2"]


def test_the_real_program_tests_the_node_behind_both(world: World, pair: Pair) -> None:
    words = ["git-annex", "testremote", "--fast", "origin-second-node2"]
    said = world.run(*words, cwd=pair.client, check=False).stdout
    # "unavailable remote" wants a server that is not there at another path of the same host:
    # these three fail with any server.
    assert said.count("FAIL") == 3
    assert "3 out of" in said
