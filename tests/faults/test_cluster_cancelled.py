"""The client goes away at any moment of an upload, a download or a removal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import pytest

from shoal.gateway.served import Served
from shoal.git.repository import Repository
from shoal.remotes.base import Remote
from shoal.values.uuid import UUID
from tests.support.fake_cluster import FakeCluster, put
from tests.support.gateway import left_behind, make_gateway
from tests.support.loop import in_loop
from tests.support.memory_remote import gather, key_of
from tests.support.world import World

P = ParamSpec("P")
T = TypeVar("T")

DATA = bytes(range(200))
KEY = key_of(DATA)
LARGE = bytes(range(256)) * 20_000
LARGE_KEY = key_of(LARGE)


class AtOnce(ThreadPoolExecutor):
    """Does the work when it is submitted, so that turns of the event loop can be counted."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


Action = Callable[[FakeCluster], Coroutine[object, object, None]]


async def uploading(rig: FakeCluster) -> None:
    await put(rig.cluster, KEY, DATA, chunk=7)


async def downloading(rig: FakeCluster) -> None:
    async with rig.cluster.retrieve(KEY) as content:
        assert await gather(content) == DATA


async def removing(rig: FakeCluster) -> None:
    await rig.cluster.remove(KEY, before=6000)


async def looking(rig: FakeCluster) -> None:
    await rig.cluster.check_present(KEY)


async def cut_off(action: Coroutine[object, object, None], turns: int) -> bool:
    """Cancel an action after so many turns of the event loop; tell whether it was still on."""
    task = asyncio.create_task(action)
    for _ in range(turns):
        if task.done():
            break
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
    return task.cancelled()


@pytest.mark.parametrize("action", [uploading, downloading, removing, looking])
@in_loop
async def test_cancelled_at_every_turn(action: Action) -> None:
    asyncio.get_running_loop().set_default_executor(AtOnce())
    turns = 0
    uncut = 0
    while uncut < 3:
        rig = FakeCluster()
        if action is not uploading:
            rig.give(DATA, 1, 2, 3)
        uncut += not await cut_off(action(rig), turns)
        await rig.patience.aclose()
        for _ in range(20):
            await asyncio.sleep(0)
        assert rig.idle
        holders = set(rig.holders(KEY))
        assert set(rig.logged(KEY)) <= holders
        if action is uploading:
            for remote in rig.remotes:
                assert DATA.startswith(remote.partial.get(KEY, b""))
            await put(rig.cluster, KEY, DATA)
            assert rig.holders(KEY) == rig.logged(KEY) == rig.uuids(1, 2, 3)
        turns += 1
    assert turns > 5


@in_loop
async def test_cancelled_with_repositories_on_disk(world: World) -> None:
    gateway = make_gateway(world, 2)
    served = Served(Repository.open(gateway.path))
    cluster = await served.remote(UUID(gateway.cluster))
    delays = [0.0, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.014, 0.02, 0.03, 0.05]
    for delay in delays * 2:
        await cut_short(lambda: put(cluster, LARGE_KEY, LARGE), delay)
        stored = await put(cluster, LARGE_KEY, LARGE)
        assert len(gateway.holders(str(LARGE_KEY))) == 2
        assert stored.stored_in
        await cut_short(lambda: download(cluster), delay)
        await cut_short(lambda: cluster.remove(LARGE_KEY), delay)
        assert (await cluster.remove(LARGE_KEY)).removed
        assert gateway.holders(str(LARGE_KEY)) == []
    await served.aclose()
    for repo in (gateway.path, *gateway.nodes):
        assert left_behind(repo) == []
        assert list(repo.glob(".git/annex/tmp/*")) == []
    logged = world.run("git-annex", "whereis", f"--key={LARGE_KEY}", cwd=gateway.path, check=False)
    assert "0 copies" in logged.stdout


async def download(cluster: Remote) -> None:
    async with cluster.retrieve(LARGE_KEY) as content:
        await gather(content)


async def cut_short(action: Callable[[], Awaitable[object]], seconds: float) -> None:
    """Cancel an action after some time."""

    async def act() -> None:
        await action()

    task = asyncio.create_task(act())
    await asyncio.wait({task}, timeout=seconds)
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
