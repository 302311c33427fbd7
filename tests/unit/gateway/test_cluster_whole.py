"""Small contents that are whole in memory, stored in a cluster: as test_cluster_store.py."""

from __future__ import annotations

import asyncio
import threading

import pytest

from shoal.errors import NotEnoughSpace, RemoteRefused, RemoteUnavailable, ShoalError
from shoal.gateway.choosing import Placed
from shoal.gateway.node import Node
from shoal.gateway.patience import Limits, NodeTimeout, Patience
from shoal.gateway.proxied import ProxiedRemote
from shoal.gateway.select import Unwanted
from shoal.git.waiting import about_to_wait
from shoal.remotes.base import NOBODY, AlreadyPresent, Caller, Remote, StoreResult
from shoal.remotes.content import WholeContent
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.fake_cluster import GATEWAY, IMPATIENT, FakeCluster, NodeRemote, node_uuid
from tests.support.loop import in_loop, pass_time, until
from tests.support.memory_remote import key_of

DATA = bytes(range(256)) * 40
KEY = key_of(DATA)


async def put(remote: Remote, data: bytes = DATA, file: str = "") -> StoreResult | AlreadyPresent:
    return await remote.store_whole(KEY, WholeContent(data), file=file)


def nobody(uuid: UUID, present: frozenset[UUID]) -> bool:
    return False


def only_one(uuid: UUID, present: frozenset[UUID]) -> bool:
    """As an archive that wants what no other has."""
    return not present


@in_loop
async def test_all_nodes_store_and_the_log_knows() -> None:
    rig = FakeCluster()
    assert await put(rig.cluster, file="a/f") == StoreResult(True, rig.uuids(1, 2, 3))
    assert rig.holders(KEY) == rig.logged(KEY) == rig.uuids(1, 2, 3)
    assert rig.records.asked_files == {"a/f"}
    assert rig.idle


@in_loop
async def test_the_log_is_written_before_the_answer() -> None:
    rig = FakeCluster()
    rig.records.broken = OSError(28, "No space left on device")
    with pytest.raises(OSError, match="No space left"):
        await put(rig.cluster)
    assert rig.holders(KEY) == rig.uuids(1, 2, 3)
    assert rig.idle


@in_loop
async def test_nodes_are_judged_one_after_another() -> None:
    rig = FakeCluster()
    rig.records.wanted = only_one
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(3))
    assert rig.remotes[0].calls == rig.remotes[1].calls == []


@pytest.mark.parametrize("verb", ["begin_store", "store"])
@in_loop
async def test_a_node_that_fails_is_replaced(verb: str) -> None:
    """Also one that agreed, and failed then: such as one whose disk is full."""
    rig = FakeCluster()
    rig.records.wanted = only_one
    rig.remotes[2].fail(verb)
    rig.remotes[1].fail(verb, NotEnoughSpace("full"))
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(1))
    assert rig.holders(KEY) == rig.logged(KEY) == rig.uuids(1)
    assert rig.idle


@pytest.mark.parametrize("verb", ["begin_store", "store"])
@in_loop
async def test_a_node_that_is_down_is_left_out(verb: str) -> None:
    rig = FakeCluster()
    rig.remotes[1].fail(verb)
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(1, 3))
    assert rig.logged(KEY) == rig.uuids(1, 3)
    assert rig.idle


@in_loop
async def test_when_no_node_takes_it_that_is_an_error() -> None:
    rig = FakeCluster()
    for remote in rig.remotes:
        remote.fail("begin_store")
    with pytest.raises(RemoteUnavailable):
        await put(rig.cluster)
    assert rig.records.changes == []


@in_loop
async def test_when_all_nodes_agree_and_fail_nothing_is_claimed() -> None:
    rig = FakeCluster()
    for remote in rig.remotes:
        remote.fail("store")
    answer = await put(rig.cluster)
    assert isinstance(answer, StoreResult)
    assert (answer.stored, answer.stored_in) == (False, ())
    assert "the test says so" in answer.error
    assert rig.records.changes == []


@in_loop
async def test_wrong_content_is_refused_by_all() -> None:
    rig = FakeCluster()
    answer = await put(rig.cluster, b"!" * len(DATA))
    assert answer == StoreResult(False, error="Verification of content failed")
    assert rig.records.changes == []


@in_loop
async def test_a_bug_is_raised_after_the_rest_is_recorded() -> None:
    rig = FakeCluster()
    rig.remotes[1].fail("store", ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        await put(rig.cluster)
    assert rig.logged(KEY) == rig.uuids(1, 3)
    assert rig.idle


# Nodes that hang


@in_loop
async def test_a_node_that_hangs_is_left_out() -> None:
    rig = FakeCluster(limits=IMPATIENT)
    gate = rig.remotes[1].hold("begin_store")
    storing = asyncio.create_task(put(rig.cluster))
    await gate.reached()
    await pass_time(15)
    assert await storing == StoreResult(True, rig.uuids(1, 3))
    gate.open()
    await rig.patience.aclose()
    assert rig.idle


@in_loop
async def test_a_node_that_agreed_has_more_time() -> None:
    rig = FakeCluster(limits=Limits(answer=10, stall=10, finish=50, grace=10))
    gate = rig.remotes[1].hold("store")
    storing = asyncio.create_task(put(rig.cluster))
    await gate.reached()
    await pass_time(15)
    assert not storing.done()
    gate.open()
    assert await storing == StoreResult(True, rig.uuids(1, 2, 3))
    assert rig.idle


@in_loop
async def test_but_not_for_ever() -> None:
    rig = FakeCluster(limits=Limits(answer=10, stall=10, finish=20, grace=10))
    gate = rig.remotes[1].hold("store")
    storing = asyncio.create_task(put(rig.cluster))
    await gate.reached()
    await until(lambda: rig.holders(KEY) == rig.uuids(1, 3))
    await pass_time(15)
    assert not storing.done()
    await pass_time(20)
    assert await storing == StoreResult(True, rig.uuids(1, 3))
    assert rig.logged(KEY) == rig.uuids(1, 3)
    gate.open()
    await rig.patience.aclose()
    assert rig.idle


@in_loop
async def test_what_nodes_stored_is_recorded_though_nobody_waits() -> None:
    rig = FakeCluster()
    gate = rig.remotes[1].hold("store")
    task = asyncio.create_task(put(rig.cluster))
    await gate.reached()
    task.cancel()
    await asyncio.sleep(0)
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rig.holders(KEY) == rig.logged(KEY) == rig.uuids(1, 2, 3)
    assert rig.idle


# Who has it already


@in_loop
async def test_already_present_when_all_asked_nodes_say_so() -> None:
    rig = FakeCluster()
    for remote in rig.remotes:
        remote.put(DATA)
    rig.records.log[KEY] = {node_uuid(1)}
    assert await put(rig.cluster) == AlreadyPresent(rig.uuids(2, 3))
    assert rig.logged(KEY) == rig.uuids(1, 2, 3)


@in_loop
async def test_nodes_that_have_it_are_listed_with_those_that_stored() -> None:
    rig = FakeCluster()
    rig.remotes[1].put(DATA)
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(1, 2, 3))
    assert rig.logged(KEY) == rig.uuids(1, 2, 3)


@in_loop
async def test_a_node_that_only_the_log_says_to_have_it_gets_it() -> None:
    rig = FakeCluster(1)
    rig.records.log[KEY] = {node_uuid(1)}
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(1))
    assert rig.holders(KEY) == rig.uuids(1)
    assert rig.idle


# Nobody wants it


@in_loop
async def test_all_store_what_nobody_wants() -> None:
    rig = FakeCluster(unwanted=Unwanted.ALL)
    rig.records.wanted = nobody
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(1, 2, 3))


@pytest.mark.parametrize("verb", ["begin_store", "store"])
@in_loop
async def test_one_stores_what_nobody_wants(verb: str) -> None:
    rig = FakeCluster(unwanted=Unwanted.ONE)
    rig.records.wanted = nobody
    rig.remotes[2].fail(verb)
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(2))
    assert rig.remotes[0].calls == []
    assert rig.idle


@in_loop
async def test_what_nobody_wants_can_be_refused() -> None:
    rig = FakeCluster(unwanted=Unwanted.NONE)
    rig.records.wanted = nobody
    with pytest.raises(RemoteRefused, match="no node"):
        await put(rig.cluster)
    assert rig.idle


# One node, proxied


@in_loop
async def test_what_a_proxied_remote_stores_is_recorded() -> None:
    rig = FakeCluster(1)
    node = Node(rig.remotes[0], Patience(IMPATIENT))
    proxied = ProxiedRemote(node, GATEWAY, rig.records)
    assert await put(proxied, b"wrong") == StoreResult(
        False, error="Verification of content failed"
    )
    assert rig.records.changes == []
    assert await put(proxied) == StoreResult(True)
    assert rig.logged(KEY) == rig.uuids(1)
    rig.records.log.clear()
    assert await put(proxied) == AlreadyPresent()
    assert rig.logged(KEY) == rig.uuids(1)


@pytest.mark.parametrize("verb", ["begin_store", "store"])
@in_loop
async def test_an_error_of_a_proxied_remote_is_passed_on(verb: str) -> None:
    rig = FakeCluster(1)
    proxied = ProxiedRemote(Node(rig.remotes[0], Patience(IMPATIENT)), GATEWAY, rig.records)
    rig.remotes[0].fail(verb, NotEnoughSpace("full"))
    with pytest.raises(NotEnoughSpace):
        await put(proxied)
    assert rig.records.changes == []
    assert rig.idle


# Nodes that need to wait for nothing


class PromptNode(NodeRemote):
    """Stores at once, unless it is `busy`; gives `error` when that is set."""

    busy = False
    error: ShoalError | None = None

    def store_at_once(
        self, key: Key, content: WholeContent, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult | AlreadyPresent | ShoalError | None:
        if self.busy:
            return None
        self.calls.append(("store_at_once", key))
        if self.error is not None or key in self.objects:
            return self.error or AlreadyPresent()
        self.objects[key] = content.data
        return StoreResult(True)


def prompt_cluster() -> tuple[FakeCluster, list[PromptNode]]:
    rig = FakeCluster(kind=PromptNode)
    return rig, [remote for remote in rig.remotes if isinstance(remote, PromptNode)]


def verbs(remote: NodeRemote) -> list[str]:
    return [verb for verb, _ in remote.calls]


@in_loop
async def test_prompt_nodes_store_at_once() -> None:
    rig, nodes = prompt_cluster()
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(1, 2, 3))
    assert rig.logged(KEY) == rig.uuids(1, 2, 3)
    assert all(verbs(node) == ["store_at_once"] for node in nodes)
    assert rig.idle


@in_loop
async def test_with_prompt_nodes_there_is_nothing_to_wait_for() -> None:
    """Recorded it is, too. With a busy one, there is."""
    rig, nodes = prompt_cluster()
    before = asyncio.all_tasks()
    assert rig.cluster.store_soon(KEY, WholeContent(DATA)) == StoreResult(True, rig.uuids(1, 2, 3))
    assert rig.logged(KEY) == rig.uuids(1, 2, 3)
    rig.records.log.clear()
    assert rig.cluster.store_soon(KEY, WholeContent(DATA)) == AlreadyPresent(rig.uuids(1, 2, 3))
    assert rig.logged(KEY) == rig.uuids(1, 2, 3)
    assert asyncio.all_tasks() == before
    nodes[1].objects.clear()
    rig.records.log.clear()
    nodes[1].busy = True
    stored = rig.cluster.store_soon(KEY, WholeContent(DATA))
    assert not isinstance(stored, StoreResult | AlreadyPresent)
    assert await stored == StoreResult(True, rig.uuids(1, 2, 3))
    assert rig.idle


@in_loop
async def test_a_busy_node_is_waited_for_and_the_others_are_not_asked_again() -> None:
    rig, nodes = prompt_cluster()
    nodes[1].busy = True
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(1, 2, 3))
    assert rig.holders(KEY) == rig.logged(KEY) == rig.uuids(1, 2, 3)
    assert verbs(nodes[0]) == verbs(nodes[2]) == ["store_at_once"]
    assert verbs(nodes[1]) == ["begin_store", "store"]
    assert rig.idle


@in_loop
async def test_a_prompt_node_that_fails_is_replaced() -> None:
    rig, nodes = prompt_cluster()
    rig.records.wanted = only_one
    nodes[2].error = NotEnoughSpace("full")
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(2))
    assert rig.logged(KEY) == rig.uuids(2)
    assert rig.nodes[0].state.failures == 0  # a full disk is no fault
    nodes[2].error = RemoteUnavailable("n3", "Input/output error")
    rig.records.log.clear()
    answer = await put(rig.cluster)
    assert isinstance(answer, StoreResult)
    assert (answer.stored, answer.stored_in) == (False, rig.uuids(2))
    assert "Input/output error" in answer.error
    assert rig.nodes[0].state.failures == 1


@in_loop
async def test_what_a_prompt_node_has_is_told() -> None:
    rig, nodes = prompt_cluster()
    nodes[1].put(DATA)
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(1, 2, 3))
    assert await put(rig.cluster) == AlreadyPresent(rig.uuids(1, 2, 3))


@in_loop
async def test_a_node_that_is_shunned_is_not_asked_at_once() -> None:
    rig, nodes = prompt_cluster()
    rig.nodes[1].failure(NodeTimeout("n2", "it hangs"))
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(1, 3))
    assert nodes[1].calls == []


@in_loop
async def test_a_prompt_remote_that_is_proxied() -> None:
    rig, nodes = prompt_cluster()
    proxied = ProxiedRemote(Node(nodes[0], Patience(IMPATIENT)), GATEWAY, rig.records)
    nodes[0].error = NotEnoughSpace("full")
    with pytest.raises(NotEnoughSpace):
        await put(proxied)
    nodes[0].error = None
    assert await put(proxied) == StoreResult(True)
    assert rig.logged(KEY) == rig.uuids(1)
    assert verbs(nodes[0]) == ["store_at_once"] * 2


# A gateway whose records need no waiting, or do


@in_loop
async def test_records_are_asked_in_a_thread_when_they_must_be_waited_for() -> None:
    rig, _ = prompt_cluster()
    here: list[bool] = []

    def wait(placed: Placed) -> None:
        about_to_wait()
        here.append(threading.current_thread() is threading.main_thread())

    rig.records.on_choosing = wait
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(1, 2, 3))
    assert here == [False]


@in_loop
async def test_records_are_asked_at_once_when_that_is_enough() -> None:
    rig, _ = prompt_cluster()
    here: list[bool] = []
    rig.records.on_choosing = lambda placed: here.append(
        threading.current_thread() is threading.main_thread()
    )
    assert await put(rig.cluster) == StoreResult(True, rig.uuids(1, 2, 3))
    assert here == [True]


@in_loop
async def test_the_log_names_who_stored_before_the_slowest_did() -> None:
    """What another removes in the meantime must not be recorded as present after that."""
    rig = FakeCluster()
    gate = rig.remotes[0].hold("store")
    storing = asyncio.create_task(put(rig.cluster))
    await gate.reached()
    await until(lambda: rig.logged(KEY) == rig.uuids(2, 3))
    await rig.remotes[2].remove(KEY)
    rig.records.record(KEY, (), [node_uuid(3)])
    gate.open()
    assert await storing == StoreResult(True, rig.uuids(1, 2, 3))
    assert rig.holders(KEY) == rig.logged(KEY) == rig.uuids(1, 2)
    assert rig.idle
