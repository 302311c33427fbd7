"""One of three nodes' disks is missing: a real client goes on working through shoal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, make_gateway, objects_of, served
from tests.support.world import World


@pytest.fixture
def gateway(world: World) -> Iterator[Gateway]:
    with served(make_gateway(world)) as running:
        yield running


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_uploads_go_to_the_nodes_that_are_there(world: World, gateway: Gateway, gone: int) -> None:
    client = gateway.client()
    gateway.take_away(gateway.nodes[gone])
    key = world.add(client, "a.dat", b"a" * 100_000)
    world.annex(client, "copy", "--to=origin-mycluster", "a.dat")
    there = [node.name for n, node in enumerate(gateway.nodes) if n != gone]
    assert gateway.holders(key) == there
    known = world.annex(client, "whereis", "a.dat")
    assert [name for name in ("node1", "node2", "node3") if f"[origin-{name}]" in known] == there
    assert not gateway.nodes[gone].exists()
    assert f'a node failed: remote "node{gone + 1}" is not available' in gateway.log.read_text()


def test_downloads_come_from_the_nodes_that_are_there(world: World, gateway: Gateway) -> None:
    client = gateway.client()
    keys = [world.add(client, f"f{n}", bytes([n]) * 50_000) for n in range(6)]
    world.annex(client, "move", "--to=origin-mycluster", ".")
    gateway.take_away(gateway.nodes[1])
    world.annex(client, "get", ".")
    assert all(objects_of(client, key) for key in keys)


def test_a_drop_reports_failure_and_removes_what_it_can(world: World, gateway: Gateway) -> None:
    client = gateway.client()
    key = world.add(client, "a.dat", b"x" * 1000)
    world.annex(client, "copy", "--to=origin-mycluster", "a.dat")
    gateway.take_away(gateway.nodes[2])
    failed = world.run(
        "git-annex", "drop", "--from=origin-mycluster", "a.dat", cwd=client, check=False
    )
    assert failed.returncode == 1
    assert gateway.holders(key) == []
    gateway.bring_back(gateway.nodes[2])
    world.annex(client, "drop", "--from=origin-mycluster", "a.dat")
    assert gateway.holders(key) == []


@pytest.mark.parametrize("gone", [0, 2])
def test_moving_again_and_again_never_loses_a_file(
    world: World, gateway: Gateway, gone: int
) -> None:
    """The real gateway pools a node connection that broke in the middle of a PUT, then says
    "already have" for keys that no node has, and the client drops the only copy."""
    client = gateway.client()
    keys = {}
    for number in range(4):
        content = bytes([number]) * (300_000 + number)
        keys[world.add(client, f"f{number}", content)] = content
    gateway.take_away(gateway.nodes[gone])
    for _ in range(3):
        world.run("git-annex", "move", "--to=origin-mycluster", ".", cwd=client, check=False)
        for key, content in keys.items():
            copies = objects_of(client, key)
            for node in gateway.nodes:
                copies += objects_of(node, key) if node.exists() else []
            assert copies
            assert all(path.read_bytes() == content for path in copies)


def test_a_node_that_comes_back_is_used_again(world: World, gateway: Gateway) -> None:
    client = gateway.client()
    gateway.take_away(gateway.nodes[0])
    first = world.add(client, "one", b"one")
    world.annex(client, "copy", "--to=origin-mycluster", "one")
    gateway.bring_back(gateway.nodes[0])
    second = world.add(client, "two", b"two")
    world.annex(client, "copy", "--to=origin-mycluster", "two")
    assert gateway.holders(first) == ["node2", "node3"]
    assert gateway.holders(second) == ["node1", "node2", "node3"]
