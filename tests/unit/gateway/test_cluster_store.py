"""Uploads to a cluster: who is asked, who gets the content, what is said and recorded."""

from __future__ import annotations

import asyncio

import pytest

from shoal.errors import (
    LocalProtocolError,
    NotEnoughSpace,
    RemoteRefused,
    RemoteUnavailable,
    TransferInProgress,
)
from shoal.gateway.select import Unwanted
from shoal.remotes.base import AlreadyPresent, StoreResult, Upload
from shoal.values.uuid import UUID
from tests.support.fake_cluster import IMPATIENT, FakeCluster, node_uuid, put
from tests.support.loop import in_loop, pass_time, until
from tests.support.memory_remote import content_from, key_of

DATA = bytes(range(256)) * 500
KEY = key_of(DATA)


def nobody(uuid: UUID, present: frozenset[UUID]) -> bool:
    return False


@in_loop
async def test_all_nodes_store_and_the_log_knows() -> None:
    rig = FakeCluster()
    assert await put(rig.cluster, KEY, DATA, file="a/f") == StoreResult(True, rig.uuids(1, 2, 3))
    assert rig.holders(KEY) == rig.logged(KEY) == rig.uuids(1, 2, 3)
    assert rig.records.asked_files == {"a/f"}
    assert rig.idle


@in_loop
async def test_the_log_is_written_before_the_answer() -> None:
    """If it cannot be written, the client does not hear of success."""
    rig = FakeCluster()
    rig.records.broken = OSError(28, "No space left on device")
    with pytest.raises(OSError, match="No space left"):
        await put(rig.cluster, KEY, DATA)
    assert rig.holders(KEY) == rig.uuids(1, 2, 3)
    assert rig.idle


@in_loop
async def test_only_nodes_that_want_it_get_it() -> None:
    rig = FakeCluster()
    rig.records.wanted = lambda uuid, present: uuid == node_uuid(2)
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(2))
    assert rig.remotes[0].calls == rig.remotes[2].calls == []


@in_loop
async def test_nodes_that_are_logged_are_not_asked() -> None:
    rig = FakeCluster()
    rig.give(DATA, 1)
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(2, 3))
    assert rig.remotes[0].calls == []


@in_loop
async def test_one_copy_for_archives_that_want_one() -> None:
    """The real program stores on each of them, since it judges each by itself."""
    rig = FakeCluster()
    rig.records.wanted = lambda uuid, present: not present
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(3))


@in_loop
async def test_when_the_chosen_node_cannot_the_next_that_wants_it_is_chosen() -> None:
    rig = FakeCluster()
    rig.records.wanted = lambda uuid, present: not present
    rig.remotes[2].fail("begin_store")
    rig.remotes[1].fail("begin_store", NotEnoughSpace("full"))
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(1))


@in_loop
async def test_a_choice_that_depends_on_the_node_only_is_not_changed_by_a_failure() -> None:
    """Such as balanced content: where it belongs does not change when a node is away."""
    rig = FakeCluster()
    rig.records.wanted = lambda uuid, present: uuid == node_uuid(2)
    rig.remotes[1].fail("begin_store")
    with pytest.raises(RemoteUnavailable):
        await rig.cluster.begin_store(KEY)
    assert rig.holders(KEY) == ()
    assert rig.idle


@in_loop
async def test_a_node_that_is_down_is_left_out() -> None:
    rig = FakeCluster()
    rig.remotes[1].fail("begin_store")
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(1, 3))
    assert rig.logged(KEY) == rig.uuids(1, 3)
    assert rig.idle


@in_loop
async def test_a_node_that_hangs_is_left_out() -> None:
    rig = FakeCluster(limits=IMPATIENT)
    gate = rig.remotes[1].hold("begin_store")
    storing = asyncio.create_task(put(rig.cluster, KEY, DATA))
    await gate.reached()
    await pass_time(15)
    assert await storing == StoreResult(True, rig.uuids(1, 3))
    gate.open()
    await rig.patience.aclose()
    assert rig.idle


@in_loop
async def test_a_node_that_fails_in_the_middle_is_left_out() -> None:
    rig = FakeCluster()
    rig.remotes[1].fail("store", after=1000)
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(1, 3))
    assert rig.logged(KEY) == rig.uuids(1, 3)


@in_loop
async def test_when_all_nodes_fail_in_the_middle_nothing_is_claimed() -> None:
    rig = FakeCluster()
    for remote in rig.remotes:
        remote.fail("store", after=1000)
    answer = await put(rig.cluster, KEY, DATA)
    assert isinstance(answer, StoreResult)
    assert (answer.stored, answer.stored_in) == (False, ())
    assert rig.records.changes == []


@in_loop
async def test_wrong_content_is_refused_by_all() -> None:
    rig = FakeCluster()
    answer = await put(rig.cluster, KEY, b"!" * len(DATA))
    assert answer == StoreResult(False, error="Verification of content failed")
    assert rig.records.changes == []


# Who has it already


@in_loop
async def test_already_present_when_all_asked_nodes_say_so() -> None:
    rig = FakeCluster()
    for remote in rig.remotes:
        remote.put(DATA)
    rig.records.log[KEY] = {node_uuid(1)}
    assert await put(rig.cluster, KEY, DATA) == AlreadyPresent(rig.uuids(2, 3))
    assert rig.logged(KEY) == rig.uuids(1, 2, 3)


@in_loop
async def test_nodes_that_have_it_are_recorded_and_listed_with_those_that_store() -> None:
    rig = FakeCluster()
    rig.remotes[0].put(DATA)
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(1, 2, 3))
    assert rig.logged(KEY) == rig.uuids(1, 2, 3)


@in_loop
async def test_nodes_that_have_it_are_recorded_even_if_nothing_is_sent() -> None:
    rig = FakeCluster()
    rig.remotes[0].put(DATA)
    upload = await rig.cluster.begin_store(KEY)
    assert isinstance(upload, Upload)
    await upload.aclose()
    assert rig.logged(KEY) == rig.uuids(1)
    assert rig.idle


@in_loop
async def test_when_the_others_fail_the_one_that_had_it_is_listed_but_no_success() -> None:
    """A client that moves its copy here would count the old copy as the new one."""
    rig = FakeCluster(2)
    rig.remotes[0].put(DATA)
    rig.remotes[1].fail("store")
    answer = await put(rig.cluster, KEY, DATA)
    assert isinstance(answer, StoreResult)
    assert (answer.stored, answer.stored_in) == (False, rig.uuids(1))


@in_loop
async def test_all_nodes_are_logged_and_have_it() -> None:
    rig = FakeCluster()
    rig.give(DATA, 1, 2, 3)
    assert await put(rig.cluster, KEY, DATA) == AlreadyPresent(rig.uuids(1, 2, 3))


@in_loop
async def test_a_log_that_claims_too_much_does_not_make_it_present() -> None:
    """Only what a node says in this request counts."""
    rig = FakeCluster()
    rig.records.log[KEY] = {node_uuid(1), node_uuid(2), node_uuid(3)}
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(1, 2, 3))
    assert rig.holders(KEY) == rig.uuids(1, 2, 3)


@in_loop
async def test_the_only_node_that_wants_it_has_it() -> None:
    """The real program then stores on the nodes that do not want it."""
    rig = FakeCluster()
    rig.give(DATA, 2)
    rig.records.wanted = lambda uuid, present: uuid == node_uuid(2)
    assert await put(rig.cluster, KEY, DATA) == AlreadyPresent(rig.uuids(2))
    assert rig.holders(KEY) == rig.uuids(2)


@in_loop
async def test_the_only_node_that_wants_it_lost_it() -> None:
    rig = FakeCluster()
    rig.records.log[KEY] = {node_uuid(2)}
    rig.records.wanted = lambda uuid, present: uuid == node_uuid(2)
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(2))
    assert rig.idle


@in_loop
async def test_the_only_node_that_wants_it_may_have_it_and_is_down() -> None:
    rig = FakeCluster()
    rig.give(DATA, 2)
    rig.records.wanted = lambda uuid, present: uuid == node_uuid(2)
    rig.remotes[1].fail("begin_store")
    with pytest.raises(RemoteUnavailable):
        await rig.cluster.begin_store(KEY)


@in_loop
async def test_a_holder_is_asked_when_the_nodes_that_want_it_are_down() -> None:
    rig = FakeCluster(2)
    rig.give(DATA, 1)
    rig.remotes[1].fail("begin_store")
    assert await put(rig.cluster, KEY, DATA) == AlreadyPresent(rig.uuids(1))


# Wanted by nobody


@pytest.mark.parametrize(("policy", "numbers"), [(Unwanted.ALL, (1, 2, 3)), (Unwanted.ONE, (3,))])
@in_loop
async def test_content_that_no_node_wants(policy: Unwanted, numbers: tuple[int, ...]) -> None:
    rig = FakeCluster(unwanted=policy)
    rig.records.wanted = nobody
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(*numbers))
    assert rig.idle


@in_loop
async def test_content_that_no_node_wants_is_refused_if_configured() -> None:
    rig = FakeCluster(unwanted=Unwanted.NONE)
    rig.records.wanted = nobody
    with pytest.raises(RemoteRefused, match="no node of the cluster"):
        await rig.cluster.begin_store(KEY)
    assert all(remote.calls == [] for remote in rig.remotes)


@in_loop
async def test_content_that_no_node_wants_goes_to_the_first_that_takes_it() -> None:
    rig = FakeCluster(unwanted=Unwanted.ONE)
    rig.records.wanted = nobody
    rig.remotes[2].fail("begin_store", NotEnoughSpace("full"))
    assert await put(rig.cluster, KEY, DATA) == StoreResult(True, rig.uuids(2))


@pytest.mark.parametrize("policy", [Unwanted.ALL, Unwanted.ONE])
@in_loop
async def test_content_that_no_node_wants_and_the_log_is_wrong(policy: Unwanted) -> None:
    """A node that should have it and has not takes part like the others."""
    rig = FakeCluster(2, unwanted=policy)
    rig.records.wanted = nobody
    rig.records.log[KEY] = {node_uuid(1)}
    answer = await put(rig.cluster, KEY, DATA)
    numbers = (1, 2) if policy is Unwanted.ALL else (1,)
    assert answer == StoreResult(True, rig.uuids(*numbers))
    assert rig.idle


# Offsets


@in_loop
async def test_the_client_is_told_the_least_offset() -> None:
    rig = FakeCluster()
    for remote, size in zip(rig.remotes, (90_000, 60_000, 40_000), strict=True):
        remote.partial[KEY] = DATA[:size]
    upload = await rig.cluster.begin_store(KEY)
    assert isinstance(upload, Upload)
    async with upload:
        assert upload.offset == 40_000
        answer = await upload.store(content_from(DATA, offset=40_000, chunk=1_000))
    assert answer == StoreResult(True, rig.uuids(1, 2, 3))


@in_loop
async def test_another_offset_than_agreed_is_a_bug_of_the_caller() -> None:
    rig = FakeCluster()
    upload = await rig.cluster.begin_store(KEY)
    assert isinstance(upload, Upload)
    async with upload:
        with pytest.raises(LocalProtocolError):
            await upload.store(content_from(DATA, offset=5))
    assert rig.idle


# Refusals


@pytest.mark.parametrize(
    "error", [NotEnoughSpace("full"), TransferInProgress(), RemoteRefused("read-only")]
)
@in_loop
async def test_when_no_node_takes_it_the_client_hears_why(error: Exception) -> None:
    rig = FakeCluster()
    rig.remotes[0].fail("begin_store")
    rig.remotes[1].fail("begin_store", error)
    rig.remotes[2].fail("begin_store")
    with pytest.raises(type(error), match=str(error)):
        await rig.cluster.begin_store(KEY)


@in_loop
async def test_two_uploads_of_one_key_at_once() -> None:
    rig = FakeCluster()
    first = await rig.cluster.begin_store(KEY)
    assert isinstance(first, Upload)
    with pytest.raises(TransferInProgress):
        await rig.cluster.begin_store(KEY)
    async with first:
        answer = await first.store(content_from(DATA))
    assert answer == StoreResult(True, rig.uuids(1, 2, 3))


@in_loop
async def test_a_read_only_node_refuses() -> None:
    rig = FakeCluster(1)
    rig.remotes[0].read_only = True
    with pytest.raises(RemoteRefused, match="read-only"):
        await rig.cluster.begin_store(KEY)


# The way in which the real gateway loses content


@in_loop
async def test_a_node_that_broke_during_an_upload_does_not_have_later_keys() -> None:
    """The real gateway keeps a node connection that broke in the middle of a PUT in its pool;
    the next question for an offset reads a stale answer, "already have" is said for a key that
    no node has, and a client that moves its file drops the only copy."""
    rig = FakeCluster(2)
    contents = [bytes([number]) * 50_000 for number in range(4)]
    copies = {key_of(content): content for content in contents}  # at the client
    rig.remotes[1].fail("begin_store", times=None)
    rig.remotes[1].fail("check_present", times=None)
    rig.remotes[0].fail("store", after=10_000, times=3)
    for _ in range(3):
        for key, content in list(copies.items()):
            if await rig.cluster.check_present(key):
                del copies[key]
                continue
            answer = await put(rig.cluster, key, content)
            if isinstance(answer, AlreadyPresent) or answer.stored:
                del copies[key]
        for content in contents:
            key = key_of(content)
            held = [remote.objects[key] for remote in rig.remotes if key in remote.objects]
            held += [copies[key]] if key in copies else []
            assert held
            assert all(one == content for one in held)
    assert copies == {}


@in_loop
async def test_cancelled_before_the_content_comes() -> None:
    for turns in range(30):
        rig = FakeCluster()
        begin = asyncio.create_task(rig.cluster.begin_store(KEY))
        for _ in range(turns):
            await asyncio.sleep(0)
        begin.cancel()
        try:
            upload = await begin
        except asyncio.CancelledError:
            pass
        else:
            assert isinstance(upload, Upload)
            await upload.aclose()
        assert rig.idle


@in_loop
async def test_the_log_names_who_stored_before_the_slowest_did() -> None:
    """What another removes in the meantime must not be recorded as present after that."""
    rig = FakeCluster()
    gate = rig.remotes[0].hold("store")
    storing = asyncio.create_task(put(rig.cluster, KEY, DATA))
    await gate.reached()
    await until(lambda: rig.logged(KEY) == rig.uuids(2, 3))
    await rig.remotes[2].remove(KEY)
    rig.records.record(KEY, (), [node_uuid(3)])
    gate.open()
    assert await storing == StoreResult(True, rig.uuids(1, 2, 3))
    assert rig.holders(KEY) == rig.logged(KEY) == rig.uuids(1, 2)
    assert rig.idle


@in_loop
async def test_who_had_it_already_is_recorded_when_that_is_known_and_not_later() -> None:
    rig = FakeCluster()
    rig.remotes[2].put(DATA)
    gate = rig.remotes[0].hold("store")
    storing = asyncio.create_task(put(rig.cluster, KEY, DATA))
    await gate.reached()
    assert node_uuid(3) in rig.logged(KEY)
    await rig.remotes[2].remove(KEY)
    rig.records.record(KEY, (), [node_uuid(3)])
    gate.open()
    await storing
    assert rig.holders(KEY) == rig.logged(KEY) == rig.uuids(1, 2)


@in_loop
async def test_what_cannot_be_recorded_at_first_is_recorded_in_the_end() -> None:
    rig = FakeCluster()
    gate = rig.remotes[0].hold("store")
    rig.records.broken = OSError(28, "No space left on device")
    storing = asyncio.create_task(put(rig.cluster, KEY, DATA))
    await gate.reached()
    await pass_time(5)
    rig.records.broken = None
    gate.open()
    assert await storing == StoreResult(True, rig.uuids(1, 2, 3))
    assert rig.holders(KEY) == rig.logged(KEY) == rig.uuids(1, 2, 3)
