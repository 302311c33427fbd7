"""An unmodified git-annex client in front of `shoal p2phttp` and a cluster of three nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, left_behind, make_gateway, objects_of, served
from tests.support.world import World

NODES = ["node1", "node2", "node3"]


@pytest.fixture(params=[False, True], ids=["work trees", "bare"])
def gateway(world: World, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with served(make_gateway(world, bare=request.param)) as running:
        yield running


def places(world: World, repo: Path, name: str) -> list[str]:
    """Give the descriptions' names of where the client thinks that `name` is."""
    found = json.loads(world.annex(repo, "whereis", "--json", name))["whereis"]
    return sorted(entry["description"] for entry in found)


def test_copy_stores_on_every_node_and_both_sides_know(world: World, gateway: Gateway) -> None:
    client = gateway.client()
    key = world.add(client, "a.dat", b"a" * 70_000)
    world.annex(client, "copy", "--to=origin-mycluster", "a.dat")
    assert gateway.holders(key) == NODES
    where = places(world, client, "a.dat")
    assert len(where) == 5  # the client, three nodes, the cluster
    world.annex(client, "drop", "a.dat")
    assert not objects_of(client, key)
    world.annex(client, "get", "a.dat")
    assert (client / "a.dat").read_bytes() == b"a" * 70_000
    gateway.stop()
    assert left_behind(gateway.path) == []
    logged = world.annex(gateway.path, "whereis", f"--key={key}")
    assert all(f"[{name}]" in logged for name in NODES)
    for node in gateway.nodes:
        assert left_behind(node) == []
        world.annex(node, "fsck", "--all", "--quiet")


def test_move_to_and_from(world: World, gateway: Gateway) -> None:
    client = gateway.client()
    key = world.add(client, "m.dat", b"moving")
    world.annex(client, "move", "--to=origin-mycluster", "m.dat")
    assert not objects_of(client, key)
    assert gateway.holders(key) == NODES
    world.annex(client, "move", "--from=origin-mycluster", "m.dat")
    assert (client / "m.dat").read_bytes() == b"moving"
    assert gateway.holders(key) == []


def test_drop_from_a_node_and_from_the_cluster(world: World, gateway: Gateway) -> None:
    client = gateway.client()
    key = world.add(client, "d.dat", b"dropped")
    world.annex(client, "copy", "--to=origin-mycluster", "d.dat")
    world.annex(client, "drop", "--from=origin-node2", "d.dat")
    assert gateway.holders(key) == ["node1", "node3"]
    world.annex(client, "drop", "--from=origin-mycluster", "d.dat")
    assert gateway.holders(key) == []
    world.annex(client, "copy", "--to=origin-mycluster", "d.dat")
    world.annex(client, "drop", "d.dat")
    refused = world.run(
        "git-annex", "drop", "--from=origin-mycluster", "d.dat", cwd=client, check=False
    )
    assert refused.returncode == 1
    assert gateway.holders(key) == NODES


def test_fsck_and_checkpresentkey(world: World, gateway: Gateway) -> None:
    client = gateway.client()
    key = world.add(client, "f.dat", b"checked" * 1000)
    world.annex(client, "copy", "--to=origin-mycluster", "f.dat")
    for remote in ("origin-mycluster", "origin-node1"):
        world.annex(client, "fsck", f"--from={remote}", "f.dat")
        world.annex(client, "checkpresentkey", key, remote)
    absent = "SHA256E-s3--0000000000000000000000000000000000000000000000000000000000000000"
    gone = world.run(
        "git-annex", "checkpresentkey", absent, "origin-mycluster", cwd=client, check=False
    )
    assert gone.returncode == 1


@pytest.mark.parametrize("jobs", ["1", "8"])
def test_many_files_at_once(world: World, gateway: Gateway, jobs: str) -> None:
    client = gateway.client()
    for number in range(24):
        (client / f"f{number}").write_bytes(bytes([number]) * (1000 + 4000 * number))
    world.annex(client, "add", "--quiet", ".")
    world.git(client, "commit", "-q", "-m", "files")
    world.annex(client, "move", f"-J{jobs}", "--to=origin-mycluster", ".")
    world.annex(client, "get", f"-J{jobs}", ".")
    for number in range(24):
        assert (client / f"f{number}").read_bytes() == bytes([number]) * (1000 + 4000 * number)
    world.annex(client, "drop", f"-J{jobs}", ".")
    assert world.annex(client, "find", "--in=origin-mycluster").count("\n") == 24


def test_the_real_programs_own_test_of_a_remote(world: World) -> None:
    with served(make_gateway(world)) as gateway:
        client = gateway.client()
        for remote in ("origin-mycluster", "origin-node1", "origin"):
            done = world.run("git-annex", "testremote", "--fast", remote, cwd=client, check=False)
            failed = [line for line in done.stdout.splitlines() if "FAIL" in line]
            unavailable = {"retrieveKeyFile:", "removeKey:", "storeKey:", "checkPresent:"}
            assert [x for x in failed if x.split()[0] not in unavailable] == [], done.stdout
