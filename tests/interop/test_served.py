"""What a gateway made by the real program serves, through shoal's own classes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shoal.errors import NoSuchRemote, RemoteRefused, RemoteUnavailable
from shoal.gateway.served import Served
from shoal.git.repository import Repository
from shoal.remotes.base import AlreadyPresent, StoreResult, Upload
from shoal.values.uuid import UUID
from tests.support.fake_cluster import put
from tests.support.gateway import Gateway, left_behind, make_gateway
from tests.support.loop import in_loop
from tests.support.memory_remote import content_from, gather, key_of
from tests.support.wait import wait_until
from tests.support.world import World

DATA = bytes(range(256)) * 3000
KEY = key_of(DATA)


class Rig:
    """A gateway, its UUIDs, and what it serves."""

    def __init__(self, gateway: Gateway, served: Served) -> None:
        self.gateway = gateway
        self.served = served
        self.own = UUID(gateway.uuid_of(gateway.path))
        self.cluster = UUID(gateway.cluster)
        self.nodes = [UUID(gateway.uuid_of(node)) for node in gateway.nodes]

    @classmethod
    @asynccontextmanager
    async def open(cls, world: World) -> AsyncIterator[Rig]:
        gateway = make_gateway(world)
        served = Served(Repository.open(gateway.path))
        try:
            yield cls(gateway, served)
        finally:
            await served.aclose()

    def git(self, *words: str) -> str:
        return self.gateway.world.git(self.gateway.path, *words)

    def annex(self, *words: str) -> str:
        return self.gateway.world.annex(self.gateway.path, *words)

    def whereis(self) -> list[str]:
        """Give the names of the nodes that the real program finds in the gateway's log."""
        shown = self.gateway.world.run(
            "git-annex", "whereis", f"--key={KEY}", cwd=self.gateway.path, check=False
        ).stdout
        return [node.name for node in self.gateway.nodes if f"[{node.name}]" in shown]

    def holders(self) -> list[str]:
        return self.gateway.holders(str(KEY))


@in_loop
async def test_store_and_get_and_remove(world: World) -> None:
    async with Rig.open(world) as rig:
        cluster = await rig.served.remote(rig.cluster)
        assert await cluster.check_present(KEY) is False
        answer = await put(cluster, KEY, DATA)
        assert answer == StoreResult(True, tuple(reversed(rig.nodes)))  # n3, n2, n1
        assert rig.holders() == ["node1", "node2", "node3"]
        assert rig.whereis() == ["node1", "node2", "node3"]
        for node_path in rig.gateway.nodes:
            world.annex(node_path, "fsck", "--all", "--quiet")
        assert await cluster.check_present(KEY) is True
        async with cluster.retrieve(KEY, 1000) as content:
            assert content.region is not None
            assert await gather(content) == DATA[1000:]
            assert await content.confirm() is True
        assert await put(cluster, KEY, DATA) == AlreadyPresent(tuple(reversed(rig.nodes)))
        node = await rig.served.remote(rig.nodes[1])
        assert (await node.remove(KEY)).removed
        assert rig.holders() == rig.whereis() == ["node1", "node3"]
        removed = await cluster.remove(KEY, before=await cluster.timestamp() + 100)
        assert removed.removed
        assert removed.removed_from == tuple(reversed(rig.nodes))
        assert rig.holders() == rig.whereis() == []
    assert [left_behind(repo) for repo in (rig.gateway.path, *rig.gateway.nodes)] == [[]] * 4


@in_loop
async def test_changes_are_committed_by_themselves(world: World) -> None:
    async with Rig.open(world) as rig:
        await put(await rig.served.remote(rig.cluster), KEY, DATA)
        repos = [rig.gateway.path, *rig.gateway.nodes]
        await asyncio.to_thread(
            wait_until,
            lambda: not any(list(repo.glob(".git/annex/journal/*")) for repo in repos),
        )
        for repo in repos:
            files = world.git(repo, "ls-tree", "-r", "--name-only", "git-annex")
            assert str(KEY) in files


@in_loop
async def test_only_what_is_published_and_configured_is_served(world: World) -> None:
    async with Rig.open(world) as rig:
        for uuid in (rig.own, rig.cluster, *rig.nodes):
            assert (await rig.served.remote(uuid)).info.uuid == uuid
        with pytest.raises(NoSuchRemote):
            await rig.served.remote(UUID("unknown"))
        rig.git("config", "--unset", "remote.node1.annex-cluster-node")
        with pytest.raises(NoSuchRemote):  # still published, no longer configured
            await rig.served.remote(rig.nodes[0])
        rig.git("config", "remote.node1.annex-proxy", "true")
        assert await rig.served.remote(rig.nodes[0])
        rig.git("remote", "rename", "node1", "other")
        with pytest.raises(NoSuchRemote):  # published under another name
            await rig.served.remote(rig.nodes[0])
        rig.annex("updateproxy")
        assert await rig.served.remote(rig.nodes[0])


@in_loop
async def test_changes_take_effect_at_the_next_request(world: World) -> None:
    async with Rig.open(world) as rig:
        await rig.served.remote(rig.cluster)
        rig.git("config", "--unset", "remote.node2.annex-cluster-node")
        rig.annex("updatecluster")
        rig.annex("wanted", "node1", "exclude=*")
        cluster = await rig.served.remote(rig.cluster)
        assert await put(cluster, KEY, DATA, file="a") == StoreResult(True, (rig.nodes[2],))
        rig.annex("dead", "node3")
        cluster = await rig.served.remote(rig.cluster)
        rig.annex("wanted", "node1", "")
        cluster = await rig.served.remote(rig.cluster)
        assert await put(cluster, KEY, DATA) == StoreResult(True, (rig.nodes[0],))


@pytest.mark.parametrize(("policy", "expected"), [(None, 3), ("all", 3), ("one", 1), ("none", 0)])
@in_loop
async def test_what_no_node_wants(world: World, policy: str | None, expected: int) -> None:
    async with Rig.open(world) as rig:
        for name in ("node1", "node2", "node3"):
            rig.annex("wanted", name, "nothing")
        if policy is not None:
            rig.git("config", "shoal.unwanted", policy)
        cluster = await rig.served.remote(rig.cluster)
        if expected:
            await put(cluster, KEY, DATA)
        else:
            with pytest.raises(RemoteRefused):
                await put(cluster, KEY, DATA)
        assert len(rig.holders()) == expected


@in_loop
async def test_a_node_whose_disk_is_away(world: World) -> None:
    async with Rig.open(world) as rig:
        gateway = rig.gateway
        cluster = await rig.served.remote(rig.cluster)
        await put(cluster, KEY, DATA)
        gateway.take_away(gateway.nodes[1])
        assert await cluster.check_present(KEY) is True
        async with cluster.retrieve(KEY) as content:
            assert await gather(content) == DATA
        node = await rig.served.remote(rig.nodes[1])
        with pytest.raises(RemoteUnavailable):
            await node.check_present(KEY)
        answer = await cluster.remove(KEY)
        assert answer.removed is False
        assert answer.removed_from == (rig.nodes[2], rig.nodes[0])
        assert rig.whereis() == ["node2"]
        with pytest.raises(RemoteUnavailable):
            await cluster.check_present(KEY)
        stored = await put(cluster, KEY, DATA)
        assert stored == StoreResult(True, (rig.nodes[2], rig.nodes[0]))
        gateway.bring_back(gateway.nodes[1])
        assert await node.check_present(KEY) is True
        assert rig.holders() == rig.whereis() == ["node1", "node2", "node3"]


@in_loop
async def test_another_disk_in_the_place_of_a_node(world: World) -> None:
    """It is not taken for the node, and nothing is written to it."""
    async with Rig.open(world) as rig:
        gateway = rig.gateway
        gateway.take_away(gateway.nodes[0])
        gateway.nodes[0].mkdir()
        cluster = await rig.served.remote(rig.cluster)
        assert await put(cluster, KEY, DATA) == StoreResult(True, (rig.nodes[2], rig.nodes[1]))
        assert list(gateway.nodes[0].iterdir()) == []
        gateway.nodes[0].rmdir()
        world.make("node1")
        assert await cluster.check_present(KEY) is True
        node = await rig.served.remote(rig.nodes[0])
        with pytest.raises(RemoteUnavailable):
            await node.begin_store(KEY)


@in_loop
async def test_partial_content_is_kept_when_the_client_goes(world: World) -> None:
    async with Rig.open(world) as rig:
        cluster = await rig.served.remote(rig.cluster)
        half = content_from(DATA[:500_000], size=len(DATA), chunk=1 << 16)
        upload = await cluster.begin_store(KEY)
        assert isinstance(upload, Upload)
        async with upload:
            with pytest.raises(RemoteUnavailable):
                await upload.store(half)
        assert rig.holders() == []
        upload = await cluster.begin_store(KEY)
        assert isinstance(upload, Upload)
        async with upload:
            assert upload.offset == 500_000
            rest = content_from(DATA, offset=500_000, chunk=1 << 16)
            answer = await upload.store(rest)
        assert answer == StoreResult(True, tuple(reversed(rig.nodes)))
        assert rig.whereis() == ["node1", "node2", "node3"]


@in_loop
async def test_an_unusable_kind_of_node_is_a_node_that_is_down(world: World) -> None:
    async with Rig.open(world) as rig:
        rig.git("config", "remote.node1.url", "ssh://nowhere.invalid/node1")
        cluster = await rig.served.remote(rig.cluster)
        assert await put(cluster, KEY, DATA) == StoreResult(True, (rig.nodes[2], rig.nodes[1]))
        assert (await cluster.remove(KEY)).removed is False


@in_loop
async def test_requests_at_once(world: World) -> None:
    async with Rig.open(world) as rig:
        contents = [bytes([number]) * 10_000 for number in range(40)]

        async def store(content: bytes) -> None:
            cluster = await rig.served.remote(rig.cluster)
            answer = await put(cluster, key_of(content), content)
            assert answer == StoreResult(True, tuple(reversed(rig.nodes)))

        await asyncio.gather(*map(store, contents))
        for content in contents:
            assert len(rig.gateway.holders(str(key_of(content)))) == 3
