"""A cluster whose nodes are reached over HTTP, as the real gateway cannot have them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.fake_ssh import Ssh
from tests.support.gateway import Gateway, make_gateway
from tests.support.real_p2phttp import RealServer
from tests.support.world import World


@dataclass
class Mixed:
    """A cluster of three nodes; the first is served by the real p2phttp."""

    gateway: Gateway
    node: RealServer
    client: Path


@pytest.fixture
def mixed(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mixed]:
    ssh = Ssh(world, monkeypatch)
    ssh.install()
    gateway = make_gateway(world)
    node = RealServer(world, gateway.nodes[0])
    world.git(gateway.path, "config", "remote.node1.annexUrl", node.url)
    world.git(gateway.path, "config", "remote.node1.url", "http://127.0.0.1:1/nothing")
    client = ssh.clone(gateway.path)
    world.annex(client, "sync", "-q", "--no-content")
    node.start("--wideopen")
    yield Mixed(gateway, node, client)
    node.stop()


def test_an_http_node_is_a_node_as_any_other(world: World, mixed: Mixed) -> None:
    gateway, client = mixed.gateway, mixed.client
    data = os.urandom(2_000_000)
    key = world.add(client, "f", data)
    world.annex(client, "copy", "--to=origin-mycluster", "f")
    assert gateway.holders(key) == ["node1", "node2", "node3"]
    world.annex(client, "drop", "f", "--numcopies=1")
    world.annex(client, "get", "--from=origin-node1", "f")
    assert (client / "f").read_bytes() == data
    world.annex(client, "drop", "--from=origin-node1", "f")
    assert gateway.holders(key) == ["node2", "node3"]
    world.annex(client, "drop", "--from=origin-mycluster", "f")
    assert gateway.holders(key) == []


def test_an_upload_goes_on_in_an_http_node(world: World, mixed: Mixed) -> None:
    data = os.urandom(1_000_000)
    key = world.add(mixed.client, "f", data)
    partial = mixed.gateway.nodes[0] / ".git" / "annex" / "tmp" / key
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(data[:300_000])
    world.annex(mixed.client, "copy", "--to=origin-mycluster", "f")
    assert mixed.gateway.holders(key) == ["node1", "node2", "node3"]


def test_a_server_that_is_down_is_a_node_that_is_down(world: World, mixed: Mixed) -> None:
    key = world.add(mixed.client, "f", b"content")
    mixed.node.stop()
    world.annex(mixed.client, "copy", "--to=origin-mycluster", "f")
    assert mixed.gateway.holders(key) == ["node2", "node3"]
    world.annex(mixed.client, "checkpresentkey", key, "origin-mycluster")
    unknown = world.run(
        "git-annex", "checkpresentkey", key, "origin-node1", cwd=mixed.client, check=False
    )
    assert unknown.returncode == 100
    mixed.node.start("--wideopen")
    world.annex(mixed.client, "copy", "--to=origin-node1", "f")
    assert mixed.gateway.holders(key) == ["node1", "node2", "node3"]
