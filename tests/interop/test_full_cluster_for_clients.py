"""What real clients see when a cluster is full, and what stays as it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from shoal.git.repository import Repository
from tests.support.fake_ssh import Ssh
from tests.support.gateway import Gateway, served
from tests.support.quick_cluster import make_cluster, uuid_of, want_all
from tests.support.world import World

FULL = "not enough space on any wanted node"


@pytest.fixture
def gateway(world: World) -> Gateway:
    """A cluster with room for 10 kB in each of two nodes."""
    made = make_cluster(world, 2)
    want_all(made, "balanced=nodes:1")
    with Repository.open(made.path) as repository:
        for node in made.nodes:
            repository.logs.set_max_size(uuid_of(node.name), 10_000)
        repository.branch.commit()
    return made


def copy(client: Path, file: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git-annex", "copy", file, "--to=origin-mycluster"],
        cwd=client,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("size", [20_000, 3_000_000])
def test_a_client_over_http_is_told(gateway: Gateway, size: int) -> None:
    with served(gateway):
        client = gateway.client()
        gateway.world.add(client, "large", b"l" * size)
        gateway.world.add(client, "small", b"s" * 9_000)
        refused = copy(client, "large")
        assert refused.returncode == 1
        assert f"507 {FULL}" in refused.stdout + refused.stderr
        assert copy(client, "small").returncode == 0
        assert copy(client, "large").returncode == 1
        assert (client / "large").read_bytes() == b"l" * size


def test_a_client_over_ssh_is_told(
    world: World, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = Ssh(world, monkeypatch)
    ssh.install()
    client = ssh.clone(gateway.path)
    world.add(client, "large", b"l" * 20_000)
    world.add(client, "small", b"s" * 9_000)
    refused = copy(client, "large")
    assert refused.returncode == 1
    assert FULL in refused.stdout + refused.stderr
    assert copy(client, "small").returncode == 0


def test_the_real_program_as_gateway_stores_on_all_that_are_full(gateway: Gateway) -> None:
    """As shoal does when it is told so."""
    held = {}
    with Repository.open(gateway.path) as repository:
        repository.config.set("shoal.full", "store")
    for program in ("git-annex", "shoal"):
        with served(gateway, program=program):
            client = gateway.client(f"client-of-{program}")
            gateway.world.add(client, "large", program.encode() * 3_000)
            assert copy(client, "large").returncode == 0
            key = gateway.world.annex(client, "lookupkey", "large").strip()
            held[program] = gateway.holders(key)
    assert held["git-annex"] == held["shoal"] == ["node1", "node2"]
