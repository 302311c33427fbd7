"""Uploads to a cluster whose nodes have maximum sizes, or become full."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shoal.errors import NotEnoughSpace, RemoteUnavailable, ShoalError
from shoal.gateway.node import Node
from shoal.gateway.outcome import NO_SPACE
from shoal.gateway.patience import Limits
from shoal.gateway.proxied import ProxiedRemote
from shoal.gateway.select import Full, Unwanted
from shoal.remotes.base import AlreadyPresent, Remote, StoreResult, Upload
from shoal.remotes.content import WholeContent
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.fake_cluster import GATEWAY, FakeCluster, node_uuid, put
from tests.support.loop import in_loop
from tests.support.memory_remote import content_from, key_of

DATA = bytes(range(256)) * 500
KEY = key_of(DATA)

Put = Callable[[Remote, Key, bytes], Awaitable[StoreResult | AlreadyPresent]]


async def put_whole(remote: Remote, key: Key, content: bytes) -> StoreResult | AlreadyPresent:
    return await remote.store_whole(key, WholeContent(content))


both_ways = pytest.mark.parametrize("store", [put, put_whole])


def want_copies(count: int) -> Callable[[UUID, frozenset[UUID]], bool]:
    """Nodes want a key as long as fewer others than this have it."""
    return lambda uuid, present: len(present) < count


def nobody(uuid: UUID, present: frozenset[UUID]) -> bool:
    return False


@both_ways
@in_loop
async def test_a_node_without_room_is_left_out(store: Put) -> None:
    rig = FakeCluster()
    rig.records.limits = {node_uuid(2): len(DATA) - 1, node_uuid(3): len(DATA)}
    assert await store(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(1, 3))
    assert rig.remotes[1].calls == []
    assert [room.node for room in rig.records.rooms] == [node_uuid(3)]
    assert rig.records.reserved == []
    assert rig.idle


@both_ways
@in_loop
async def test_the_next_archive_takes_what_a_full_one_cannot(store: Put) -> None:
    rig = FakeCluster()
    rig.records.wanted = want_copies(1)
    rig.records.limits = {node_uuid(3): 10, node_uuid(2): 10}
    assert await store(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(1))


@pytest.mark.parametrize("unwanted", Unwanted)
@both_ways
@in_loop
async def test_when_all_that_want_it_are_full_it_is_refused(store: Put, unwanted: Unwanted) -> None:
    """Also when other nodes, which do not want it, have room."""
    rig = FakeCluster(unwanted=unwanted)
    rig.records.wanted = lambda uuid, present: uuid != node_uuid(3)
    rig.records.limits = {node_uuid(1): 10, node_uuid(2): 10}
    with pytest.raises(NotEnoughSpace) as refused:
        await store(rig.cluster, KEY, DATA)
    assert str(refused.value) == NO_SPACE == "not enough space on any wanted node"
    assert all(remote.calls == [] for remote in rig.remotes)


@both_ways
@in_loop
async def test_maximum_sizes_count_for_nothing_if_configured(store: Put) -> None:
    rig = FakeCluster(full=Full.STORE)
    rig.records.limits = {node_uuid(n): 10 for n in (1, 2, 3)}
    assert await store(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(1, 2, 3))


@pytest.mark.parametrize(("unwanted", "numbers"), [(Unwanted.ALL, (1, 2)), (Unwanted.ONE, (2,))])
@both_ways
@in_loop
async def test_what_no_node_wants_goes_where_there_is_room(
    store: Put, unwanted: Unwanted, numbers: tuple[int, ...]
) -> None:
    rig = FakeCluster(unwanted=unwanted)
    rig.records.wanted = nobody
    rig.records.limits = {node_uuid(3): 10}
    assert await store(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(*numbers))


@pytest.mark.parametrize("unwanted", [Unwanted.ALL, Unwanted.ONE])
@both_ways
@in_loop
async def test_what_no_node_wants_is_refused_when_all_are_full(
    store: Put, unwanted: Unwanted
) -> None:
    rig = FakeCluster(unwanted=unwanted)
    rig.records.wanted = nobody
    rig.records.limits = {node_uuid(n): 10 for n in (1, 2, 3)}
    with pytest.raises(NotEnoughSpace, match=NO_SPACE):
        await store(rig.cluster, KEY, DATA)


@pytest.mark.parametrize("full", Full)
@pytest.mark.parametrize("wanted", [nobody, want_copies(9)])
@both_ways
@in_loop
async def test_a_node_that_is_being_emptied_gets_nothing(
    store: Put, wanted: Callable[[UUID, frozenset[UUID]], bool], full: Full
) -> None:
    rig = FakeCluster(full=full)
    rig.records.wanted = wanted
    rig.records.leaving = {node_uuid(3)}
    assert await store(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(1, 2))
    assert rig.remotes[2].calls == []


@in_loop
async def test_a_node_that_is_being_emptied_and_lost_its_copy_does_not_get_it_again() -> None:
    rig = FakeCluster(2)
    rig.records.leaving = {node_uuid(1)}
    rig.records.wanted = nobody
    rig.records.log[KEY] = {node_uuid(1)}
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(2))


@in_loop
async def test_there_is_no_place_when_all_nodes_are_being_emptied() -> None:
    rig = FakeCluster(1)
    rig.records.leaving = {node_uuid(1)}
    with pytest.raises(ShoalError, match="being emptied"):
        await put(rig.cluster, KEY, DATA)


# Nodes that are full without a maximum size


@both_ways
@in_loop
async def test_disks_that_are_full_count_as_full(store: Put) -> None:
    rig = FakeCluster()
    for remote in rig.remotes:
        remote.fail("begin_store", NotEnoughSpace("need 7 kB more"))
    with pytest.raises(NotEnoughSpace) as refused:
        await store(rig.cluster, KEY, DATA)
    assert str(refused.value) == f"{NO_SPACE}: need 7 kB more"


@pytest.mark.parametrize("verb", ["begin_store", "store"])
@both_ways
@in_loop
async def test_the_others_are_judged_as_if_a_full_disk_had_no_room(store: Put, verb: str) -> None:
    """So that balanced content goes to the next member."""
    rig = FakeCluster(2)
    judged: list[frozenset[UUID]] = []
    rig.records.on_choosing = lambda placed: judged.append(placed.full)
    rig.remotes[1].fail(verb, NotEnoughSpace("full"))
    rig.records.wanted = want_copies(1)
    answer = await store(rig.cluster, KEY, DATA)
    if store is put and verb == "store":
        assert isinstance(answer, StoreResult)
        assert not answer.stored  # nobody has the content, which has gone by
        assert judged == [frozenset()]
    else:
        assert answer == StoreResult(True, rig.uuids(1))
        assert judged == [frozenset(), {node_uuid(2)}]


# What fails in the middle of a large content


@in_loop
async def test_who_fails_in_the_middle_is_replaced() -> None:
    """The replacement gets it from the one that has it."""
    rig = FakeCluster()
    rig.records.wanted = want_copies(2)
    rig.remotes[2].fail("store", NotEnoughSpace("full"), after=70_000)
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(1, 2))
    assert rig.holders(KEY) == rig.logged(KEY) == rig.uuids(1, 2)
    assert ("retrieve", KEY) in rig.remotes[1].calls
    assert rig.idle


@in_loop
async def test_replacements_are_replaced_too() -> None:
    rig = FakeCluster(4)
    rig.records.wanted = want_copies(2)
    rig.remotes[3].fail("store", after=70_000)
    rig.remotes[1].fail("store", NotEnoughSpace("full"), after=100)
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(1, 3))
    assert rig.holders(KEY) == rig.logged(KEY) == rig.uuids(1, 3)
    assert rig.idle


@in_loop
async def test_a_replacement_goes_on_where_it_was() -> None:
    rig = FakeCluster()
    rig.records.wanted = want_copies(2)
    rig.remotes[0].partial[KEY] = DATA[:100_000]
    rig.remotes[2].fail("store", after=70_000)
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(1, 2))
    assert rig.holders(KEY) == rig.uuids(1, 2)


@in_loop
async def test_what_is_stored_is_stored_though_it_cannot_be_copied() -> None:
    rig = FakeCluster()
    rig.records.wanted = want_copies(2)
    rig.remotes[2].fail("store", after=70_000)
    rig.remotes[1].fail("retrieve")
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(2))
    assert rig.logged(KEY) == rig.uuids(2)
    assert rig.idle


@in_loop
async def test_a_client_does_not_wait_for_ever_for_replacements() -> None:
    rig = FakeCluster(limits=Limits(answer=30, stall=30, finish=2, grace=0.5))
    rig.records.wanted = want_copies(2)
    rig.remotes[2].fail("store", after=70_000)
    gate = rig.remotes[0].hold("store", after=1000)
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(2))
    assert rig.logged(KEY) == rig.uuids(2)
    gate.open()
    await rig.patience.aclose()
    assert rig.idle


@in_loop
async def test_nobody_replaces_who_is_not_missed() -> None:
    rig = FakeCluster()
    rig.records.wanted = lambda uuid, present: uuid != node_uuid(1)
    rig.remotes[2].fail("store", after=70_000)
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(2))
    assert rig.remotes[0].calls == []


# Reservations


@both_ways
@in_loop
async def test_sixteen_at_once_into_room_for_ten(store: Put) -> None:
    rig = FakeCluster()
    rig.records.limits = {node_uuid(1): 40_000, node_uuid(2): 30_999, node_uuid(3): 30_001}
    rig.records.wanted = want_copies(1)
    contents = [bytes([number]) * 10_000 for number in range(16)]
    answers = await asyncio.gather(
        *(store(rig.cluster, key_of(content), content) for content in contents),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, NotEnoughSpace)]
    assert [str(error) for error in refused] == [NO_SPACE] * 6
    assert sum(isinstance(answer, StoreResult) and answer.stored for answer in answers) == 10
    assert [len(remote.objects) for remote in rig.remotes] == [4, 3, 3]
    assert rig.records.reserved == []


@in_loop
async def test_room_is_kept_while_content_comes_and_given_back_when_it_breaks_off() -> None:
    rig = FakeCluster(1)
    rig.records.limits = {node_uuid(1): len(DATA)}
    other = b"other"
    upload = await rig.cluster.begin_store(KEY)
    assert isinstance(upload, Upload)
    async with upload:
        assert rig.records.reserved == [node_uuid(1)]
        with pytest.raises(NotEnoughSpace):
            await rig.cluster.begin_store(key_of(other))
        broken = content_from(DATA[:1000], size=len(DATA))
        with pytest.raises(RemoteUnavailable):
            await upload.store(broken)
    assert rig.records.reserved == []
    assert await put(rig.cluster, key_of(other), other) == StoreResult(True, rig.uuids(1))


@both_ways
@in_loop
async def test_who_fails_keeps_no_room_while_others_go_on(store: Put) -> None:
    rig = FakeCluster()
    rig.records.limits = {node_uuid(n): len(DATA) for n in (1, 2, 3)}
    rig.records.wanted = want_copies(1)
    rig.remotes[2].fail("begin_store")
    gate = rig.remotes[1].hold("begin_store")
    storing = asyncio.ensure_future(store(rig.cluster, KEY, DATA))
    await gate.reached()
    assert rig.records.reserved == [node_uuid(2)]
    gate.open()
    assert await storing == StoreResult(True, rig.uuids(2))
    assert rig.records.reserved == []


@both_ways
@in_loop
async def test_cancelled_at_any_time_no_room_stays_reserved(store: Put) -> None:
    for turns in range(25):
        rig = FakeCluster()
        rig.records.limits = {node_uuid(n): len(DATA) for n in (1, 2, 3)}
        task = asyncio.ensure_future(store(rig.cluster, KEY, DATA))
        for _ in range(turns):
            await asyncio.sleep(0.0002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert rig.records.reserved == []
        assert rig.idle


@in_loop
async def test_wrong_content_leaves_no_room_reserved() -> None:
    rig = FakeCluster(1)
    rig.records.limits = {node_uuid(1): len(DATA)}
    answer = await put(rig.cluster, KEY, b"!" * len(DATA))
    assert isinstance(answer, StoreResult)
    assert not answer.stored
    assert rig.records.rooms != []
    assert rig.records.reserved == []


# One node, proxied


@in_loop
async def test_a_proxied_node_takes_what_is_too_much_and_others_know() -> None:
    rig = FakeCluster(1)
    rig.records.limits = {node_uuid(1): 10}
    proxied = ProxiedRemote(Node(rig.remotes[0], rig.patience), GATEWAY, rig.records)
    upload = await proxied.begin_store(KEY)
    assert isinstance(upload, Upload)
    assert rig.records.reserved == [node_uuid(1)]
    await upload.aclose()
    assert rig.records.reserved == []
    gate = rig.remotes[0].hold("store")
    storing = asyncio.create_task(put_whole(proxied, KEY, DATA))
    await gate.reached()
    assert rig.records.reserved == [node_uuid(1)]
    gate.open()
    assert await storing == StoreResult(True)
    assert rig.records.reserved == []
    assert await put(proxied, KEY, DATA) == AlreadyPresent()
    assert rig.records.reserved == []


@both_ways
@in_loop
async def test_a_proxied_node_that_fails_keeps_no_room(store: Put) -> None:
    rig = FakeCluster(1)
    rig.records.limits = {node_uuid(1): 10}
    proxied = ProxiedRemote(Node(rig.remotes[0], rig.patience), GATEWAY, rig.records)
    rig.remotes[0].fail("begin_store")
    with pytest.raises(RemoteUnavailable):
        await store(proxied, KEY, DATA)
    assert rig.records.rooms != []
    assert rig.records.reserved == []
