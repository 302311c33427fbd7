"""What a server does at its start for the uploads to come."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shoal.git import countapart
from shoal.git.repository import Repository
from shoal.server.gateways import GatewaySite
from tests.support.gateway import Gateway
from tests.support.loop import in_loop, until
from tests.support.quick_cluster import make_cluster, uuid_of, want_all
from tests.support.world import World


def site_of(gateway: Gateway) -> GatewaySite:
    return GatewaySite(Repository.open(gateway.path), 4)


def counted(gateway: Gateway) -> bool:
    with Repository.open(gateway.path) as repository:
        if not Path(repository.annex_path("reposize", "db")).exists():
            return False
        asked: list[str] = []

        def count() -> bool:
            asked.append("to count")
            return False

        repository.sizes.let_count(count)
        return not asked


def limit(gateway: Gateway) -> None:
    with Repository.open(gateway.path) as repository:
        repository.logs.set_max_size(uuid_of("node1"), 1000)
        repository.branch.commit()


@pytest.mark.parametrize("by", ["maximum size", "balanced"])
@in_loop
async def test_sizes_are_counted_when_they_will_be_looked_at(world: World, by: str) -> None:
    gateway = make_cluster(world, 1)
    if by == "balanced":
        want_all(gateway, "balanced=nodes:1")
    else:
        limit(gateway)
    site = site_of(gateway)
    await until(lambda: counted(gateway))
    await site.aclose()


@in_loop
async def test_nothing_is_counted_when_nobody_looks(world: World) -> None:
    gateway = make_cluster(world, 1)
    site = site_of(gateway)
    await asyncio.gather(*(t for t in asyncio.all_tasks() if t.get_name() == "count sizes"))
    await site.aclose()
    assert not counted(gateway)


@in_loop
async def test_a_server_that_ends_does_not_wait_for_the_count(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_cluster(world, 1)
    limit(gateway)
    monkeypatch.setattr(countapart, "_COMMAND", ("sh", "-c", 'touch "$0/begun"; exec sleep 600'))
    site = site_of(gateway)
    await until((gateway.path / "begun").exists)
    async with asyncio.timeout(30):
        await site.aclose()
    assert not counted(gateway)
