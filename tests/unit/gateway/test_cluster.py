"""A cluster as one remote: presence, removal, time, locks."""

from __future__ import annotations

import asyncio

import pytest

from shoal.errors import KeyNotPresent, RemoteRefused, RemoteUnavailable
from shoal.gateway.patience import NodeTimeout
from shoal.remotes.base import Caller, RemoveResult, StoreResult
from shoal.remotes.content import AT_ONCE
from shoal.values.uuid import UUID
from tests.support.fake_cluster import CLUSTER, GATEWAY, IMPATIENT, FakeCluster, node_uuid
from tests.support.loop import in_loop, until
from tests.support.memory_remote import gather, key_of

DATA = b"content of a key"
KEY = key_of(DATA)


def test_what_a_cluster_is() -> None:
    info = FakeCluster().cluster.info
    assert (info.uuid, info.name) == (CLUSTER, "mycluster")
    assert info.monotonic_clock_here
    assert not info.can_lock
    assert not info.read_only


# Presence


@in_loop
async def test_present_when_a_logged_node_says_so() -> None:
    rig = FakeCluster()
    key = rig.give(DATA, 2)
    assert await rig.cluster.check_present(key) is True
    assert rig.remotes[0].calls == rig.remotes[2].calls == []
    assert rig.records.changes == []


@in_loop
async def test_absent_when_all_nodes_say_so() -> None:
    rig = FakeCluster()
    assert await rig.cluster.check_present(KEY) is False
    assert [remote.calls for remote in rig.remotes] == [[("check_present", KEY)]] * 3


@in_loop
async def test_content_that_the_log_does_not_know_is_found_and_recorded() -> None:
    rig = FakeCluster()
    rig.remotes[1].put(DATA)
    assert await rig.cluster.check_present(KEY) is True
    assert rig.logged(KEY) == rig.uuids(2)


@in_loop
async def test_a_log_that_is_wrong_is_not_believed_and_not_changed() -> None:
    """That the content is gone is for fsck to find and record."""
    rig = FakeCluster()
    rig.records.log[KEY] = {node_uuid(1)}
    assert await rig.cluster.check_present(KEY) is False
    assert rig.records.changes == []


@in_loop
async def test_present_on_another_node_when_the_logged_one_lost_it() -> None:
    rig = FakeCluster()
    rig.give(DATA, 1, 3)
    del rig.remotes[0].objects[KEY]
    rig.remotes[2].fail("check_present")
    rig.remotes[1].put(DATA)
    assert await rig.cluster.check_present(KEY) is True
    assert node_uuid(2) in rig.logged(KEY)


@in_loop
async def test_unknown_when_the_logged_node_is_down() -> None:
    rig = FakeCluster()
    key = rig.give(DATA, 2)
    rig.remotes[1].fail("check_present", times=None)
    with pytest.raises(RemoteUnavailable, match="n2: the test says so"):
        await rig.cluster.check_present(key)
    assert rig.logged(key) == rig.uuids(2)


@in_loop
async def test_absent_when_a_node_is_down_that_should_not_have_it() -> None:
    """Else nothing new could be stored while any node is away."""
    rig = FakeCluster()
    rig.remotes[1].fail("check_present", times=None)
    assert await rig.cluster.check_present(KEY) is False


@in_loop
async def test_unknown_when_all_nodes_are_down() -> None:
    rig = FakeCluster()
    for remote in rig.remotes:
        remote.fail("check_present", times=None)
    with pytest.raises(RemoteUnavailable):
        await rig.cluster.check_present(KEY)


@in_loop
async def test_a_node_that_hangs_does_not_hold_up_another_ones_yes() -> None:
    rig = FakeCluster(limits=IMPATIENT)
    key = rig.give(DATA, 1, 2, 3)
    gates = [rig.remotes[number].hold("check_present") for number in (1, 2)]
    assert await rig.cluster.check_present(key) is True
    for _ in range(20):
        await asyncio.sleep(0)
    rig.now += 1
    assert rig.nodes[0].state.failures == 0  # it was not asked for long enough to tell
    for gate in gates:
        gate.open()


@in_loop
async def test_a_node_that_was_too_slow_is_asked_later_the_next_time() -> None:
    rig = FakeCluster(2, limits=IMPATIENT)
    key = rig.give(DATA, 1, 2)
    gate = rig.remotes[1].hold("check_present")
    asking = asyncio.create_task(rig.cluster.check_present(key))
    await gate.reached()
    rig.now += 1  # seconds of the nodes' clock
    assert await asking is True
    for _ in range(20):
        await asyncio.sleep(0)
    assert rig.nodes[0].state.failures == 1
    rig.remotes[1].heal()
    rig.remotes[1].calls.clear()
    assert await rig.cluster.check_present(key) is True
    assert rig.remotes[1].calls == []
    gate.open()


@in_loop
async def test_a_cluster_without_nodes_has_nothing() -> None:
    cluster = FakeCluster(0).cluster
    assert await cluster.check_present(KEY) is False
    with pytest.raises(KeyNotPresent):
        async with cluster.retrieve(KEY):
            pass
    with pytest.raises(RemoteUnavailable, match="it has no nodes"):
        await cluster.begin_store(KEY)
    assert await cluster.remove(KEY) == RemoveResult(False)


@in_loop
async def test_nodes_are_asked_in_the_gateways_name() -> None:
    rig = FakeCluster(1)
    await rig.cluster.check_present(KEY, caller=Caller(UUID("client"), frozenset({UUID("g2")}), 2))
    assert rig.remotes[0].callers == [Caller(GATEWAY, frozenset({UUID("g2"), GATEWAY}))]


# At once


def quick_cluster(count: int = 3) -> FakeCluster:
    """A cluster whose nodes answer at once, and whose location log is at hand."""
    rig = FakeCluster(count)
    for remote in rig.remotes:
        remote.at_once = True
    rig.records.at_hand = True
    return rig


def test_a_node_that_has_the_key_says_so_at_once() -> None:
    rig = quick_cluster()
    key = rig.give(DATA, 2)
    assert rig.cluster.present_at_once(key, caller=Caller(UUID("client"))) is True
    assert [remote.calls for remote in rig.remotes] == [[], [("present_at_once", key)], []]
    assert rig.remotes[1].callers == [Caller(GATEWAY, frozenset({GATEWAY}))]


def test_absence_at_once_takes_the_word_of_all_nodes() -> None:
    rig = quick_cluster()
    assert rig.cluster.present_at_once(KEY) is False
    assert all(remote.calls == [("present_at_once", KEY)] for remote in rig.remotes)
    rig.remotes[0].at_once = False
    assert rig.cluster.present_at_once(KEY) is None


@pytest.mark.parametrize("silent", [0, 1])
def test_who_cannot_say_at_once_does_not_matter_when_another_has_the_key(silent: int) -> None:
    rig = quick_cluster(2)
    key = rig.give(DATA, 1, 2)
    rig.remotes[silent].at_once = False
    assert rig.cluster.present_at_once(key) is True
    for remote in rig.remotes:
        remote.objects.clear()
    assert rig.cluster.present_at_once(key) is None


@in_loop
async def test_what_the_log_does_not_know_is_not_said_at_once() -> None:
    rig = quick_cluster()
    key = rig.remotes[0].put(DATA)
    assert rig.cluster.present_at_once(key) is None
    assert rig.cluster.read_at_once(key, 0, AT_ONCE) is None
    assert rig.records.changes == []
    assert await rig.cluster.check_present(key) is True
    assert rig.records.changes == [(key, rig.uuids(1), ())]


@pytest.mark.parametrize("most", [0, 5])
def test_what_is_found_without_the_log_is_compared_with_it_soon(most: int) -> None:
    """Unless too much waits for that already."""
    rig = quick_cluster()
    key = rig.give(DATA, 2)
    rig.records.at_hand = False
    rig.records.most_seen = most
    assert rig.cluster.present_at_once(key) is (True if most else None)
    assert rig.cluster.read_at_once(key, 0, AT_ONCE) == (DATA if most else None)
    assert rig.records.seen == [(key, rig.remotes[1].uuid)] * min(most, 2)
    assert rig.cluster.present_at_once(key_of(b"absent")) is False


# Soon


def distant_cluster(count: int = 2) -> FakeCluster:
    """A cluster whose nodes are on other machines, and whose location log is at hand."""
    rig = FakeCluster(count)
    for remote in rig.remotes:
        remote.soon = True
        remote.untold = []
    rig.records.at_hand = True
    return rig


def tell(rig: FakeCluster) -> None:
    for remote in rig.remotes:
        assert remote.untold is not None
        while remote.untold:
            remote.untold.pop()()


def test_the_node_that_should_have_the_key_is_asked_soon() -> None:
    rig = distant_cluster()
    key = rig.give(DATA, 2)
    told: list[object] = []
    assert rig.cluster.present_soon(key, told.append, caller=Caller(UUID("client")))
    assert rig.cluster.read_soon(key, 3, AT_ONCE, told.append)
    assert told == []
    tell(rig)
    assert told == [DATA[3:], True]
    assert [remote.calls for remote in rig.remotes] == [
        [],
        [("present_soon", key), ("read_soon", key)],
    ]
    assert rig.remotes[1].callers == [Caller(GATEWAY, frozenset({GATEWAY}))] * 2


def test_that_one_node_lacks_the_key_tells_nothing_soon() -> None:
    rig = distant_cluster()
    key = rig.give(DATA, 1, 2)
    for remote in rig.remotes:
        remote.objects.clear()
    told: list[object] = []
    assert rig.cluster.present_soon(key, told.append)
    assert rig.cluster.read_soon(key, 0, AT_ONCE, told.append)
    tell(rig)
    assert told == [None, None]
    assert not rig.cluster.present_soon(key_of(b"absent"), told.append)  # nobody should have it


def test_without_the_log_only_a_single_node_is_asked_soon() -> None:
    told: list[object] = []
    for count in (1, 2):
        rig = distant_cluster(count)
        key = rig.give(DATA, 1)
        rig.records.at_hand = False
        rig.records.most_seen = 5
        assert rig.cluster.present_soon(key, told.append) is (count == 1)
        tell(rig)
        assert rig.records.seen == [(key, rig.remotes[0].uuid)] * (count == 1)
    assert told == [True]


def test_content_that_one_node_lost_comes_at_once_from_another() -> None:
    rig = quick_cluster()
    key = rig.give(DATA, 1, 3)
    del rig.remotes[2].objects[key]
    assert rig.cluster.present_at_once(key) is True
    assert rig.cluster.read_at_once(key, 0, AT_ONCE) == DATA


def test_content_at_once_never_comes_from_a_node_that_costs_more() -> None:
    rig = quick_cluster(2)
    key = rig.give(DATA, 1, 2)
    rig.remotes[1].at_once = False
    assert rig.cluster.read_at_once(key, 0, AT_ONCE) == DATA
    rig.nodes[1].cost += 1  # n1's: the nodes are in reverse order
    assert rig.cluster.read_at_once(key, 0, AT_ONCE) is None


def test_content_at_once_comes_from_one_node_each_in_its_turn() -> None:
    rig = quick_cluster()
    key = rig.give(DATA, 1, 3)
    for _ in range(4):
        assert rig.cluster.read_at_once(key, 2, AT_ONCE) == DATA[2:]
    assert [len(remote.calls) for remote in rig.remotes] == [2, 0, 2]
    assert rig.cluster.read_at_once(key, 0, len(DATA) - 1) is None


@in_loop
async def test_content_is_in_memory_when_its_place_had_to_be_looked_up() -> None:
    rig = quick_cluster()
    rig.records.at_hand = False
    key = rig.give(DATA, 1, 2, 3)
    assert await rig.cluster.check_present(key) is True
    async with rig.cluster.retrieve(key, 3) as content:
        assert (content.offset, content.size, content.whole) == (3, len(DATA) - 3, DATA[3:])
        assert await gather(content) == DATA[3:]
        assert await content.confirm() is True
    verbs = {verb for remote in rig.remotes for verb, _ in remote.calls}
    assert verbs == {"present_at_once", "read_at_once"}


@in_loop
async def test_a_node_that_is_shunned_is_not_asked_at_once() -> None:
    rig = quick_cluster(1)
    key = rig.give(DATA, 1)
    rig.nodes[0].failure(NodeTimeout("n1", "no answer"))
    assert rig.cluster.present_at_once(key) is None
    assert rig.cluster.read_at_once(key, 0, AT_ONCE) is None
    assert rig.remotes[0].calls == []
    rig.now += 1000
    assert rig.cluster.read_at_once(key, 0, AT_ONCE) == DATA
    assert rig.nodes[0].state.failures == 0


# Downloads


@in_loop
async def test_a_download_comes_from_one_node() -> None:
    rig = FakeCluster()
    key = rig.give(DATA, 1, 2, 3)
    async with rig.cluster.retrieve(key, 3, file="f.txt") as content:
        assert (content.offset, content.size) == (3, len(DATA) - 3)
        assert await gather(content) == DATA[3:]
        assert await content.confirm() is True
    assert sorted(len(remote.calls) for remote in rig.remotes) == [0, 0, 1]
    assert [remote.files for remote in rig.remotes if remote.files] == [["f.txt"]]
    assert rig.idle


@in_loop
async def test_downloads_are_spread_over_equal_nodes() -> None:
    rig = FakeCluster()
    key = rig.give(DATA, 1, 2, 3)
    for _ in range(6):
        async with rig.cluster.retrieve(key) as content:
            await gather(content)
    assert [len(remote.calls) for remote in rig.remotes] == [2, 2, 2]


@in_loop
async def test_a_download_of_what_no_node_has() -> None:
    rig = FakeCluster()
    rig.records.log[KEY] = {node_uuid(2)}
    with pytest.raises(KeyNotPresent, match='remote "mycluster" does not have'):
        async with rig.cluster.retrieve(KEY):
            pass
    assert rig.idle


@in_loop
async def test_a_download_from_nodes_that_are_down() -> None:
    rig = FakeCluster()
    key = rig.give(DATA, 1, 2)
    for remote in rig.remotes[:2]:
        remote.fail("retrieve", times=None)
    with pytest.raises(RemoteUnavailable):
        async with rig.cluster.retrieve(key):
            pass
    assert rig.idle


@in_loop
async def test_a_download_from_a_node_that_the_log_does_not_know() -> None:
    rig = FakeCluster()
    rig.remotes[0].put(DATA)
    async with rig.cluster.retrieve(KEY) as content:
        assert await gather(content) == DATA
    assert rig.logged(KEY) == rig.uuids(1)


# Removal


@in_loop
async def test_a_removal_asks_all_nodes() -> None:
    rig = FakeCluster()
    key = rig.give(DATA, 1)
    rig.remotes[1].put(DATA)  # the log does not know
    assert await rig.cluster.remove(key) == RemoveResult(True, rig.uuids(1, 2, 3))
    assert rig.holders(key) == rig.logged(key) == ()


@in_loop
async def test_a_removal_with_a_node_down_tells_who_removed() -> None:
    rig = FakeCluster()
    key = rig.give(DATA, 1, 2, 3)
    rig.remotes[1].fail("remove")
    answer = await rig.cluster.remove(key)
    assert answer.removed is False
    assert answer.removed_from == rig.uuids(1, 3)
    assert "n2" in answer.error
    assert rig.logged(key) == rig.holders(key) == rig.uuids(2)


@in_loop
async def test_a_removal_of_locked_content() -> None:
    rig = FakeCluster()
    key = rig.give(DATA, 1, 2)
    async with rig.remotes[0].lock_content(key):
        answer = await rig.cluster.remove(key)
    assert answer == RemoveResult(False, rig.uuids(2, 3), "content is locked")
    assert rig.logged(key) == rig.uuids(1)


@in_loop
async def test_a_deadline_is_told_to_each_node_by_its_own_clock() -> None:
    """The gateway's clock is 5000.5. Until 5010 there are 9.5 seconds, rounded down."""
    rig = FakeCluster()
    key = rig.give(DATA, 1, 2, 3)
    for remote, clock in zip(rig.remotes, (100, 7000, 5001), strict=True):
        remote.clock = clock
    assert (await rig.cluster.remove(key, before=5010)).removed
    assert [remote.befores for remote in rig.remotes] == [[109], [7009], [5010]]


@in_loop
async def test_a_deadline_is_passed_on_to_nodes_that_share_the_clock() -> None:
    rig = FakeCluster(1)
    key = rig.give(DATA, 1)
    rig.remotes[0].here = True
    await rig.cluster.remove(key, before=5010)
    assert rig.remotes[0].befores == [5010]
    assert ("timestamp", None) not in rig.remotes[0].calls


@in_loop
async def test_a_deadline_that_has_passed_removes_nothing() -> None:
    rig = FakeCluster()
    key = rig.give(DATA, 1, 2)
    answer = await rig.cluster.remove(key, before=4000)
    assert answer.removed is False
    assert answer.removed_from == rig.uuids(3)  # it was not there: nothing to remove
    assert rig.holders(key) == rig.logged(key) == rig.uuids(1, 2)


@in_loop
async def test_a_removal_is_carried_to_its_end_when_the_client_goes() -> None:
    """So that the log says what happened."""
    rig = FakeCluster()
    key = rig.give(DATA, 1, 2, 3)
    gate = rig.remotes[0].hold("remove")
    removing = asyncio.create_task(rig.cluster.remove(key))
    await gate.reached()
    removing.cancel()
    await asyncio.sleep(0)
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await removing
    assert rig.holders(key) == rig.logged(key) == ()


@in_loop
async def test_a_removal_is_recorded_before_the_slowest_node_answers() -> None:
    """What another stores in the meantime must not be recorded as missing after that."""
    rig = FakeCluster()
    key = rig.give(DATA, 1, 2, 3)
    gate = rig.remotes[0].hold("remove")
    removing = asyncio.create_task(rig.cluster.remove(key))
    await gate.reached()
    await until(lambda: rig.logged(key) == rig.uuids(1))
    rig.give(DATA, 3)
    gate.open()
    assert await removing == RemoveResult(True, rig.uuids(1, 2, 3))
    assert rig.holders(key) == rig.logged(key) == rig.uuids(3)


@in_loop
async def test_a_bug_in_a_node_does_not_hide_what_the_others_did() -> None:
    rig = FakeCluster()
    key = rig.give(DATA, 1, 2, 3)
    rig.remotes[0].fail("remove", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await rig.cluster.remove(key)
    assert rig.logged(key) == rig.uuids(1)


# The rest


@in_loop
async def test_the_clock_is_the_gateways_rounded_down() -> None:
    assert await FakeCluster().cluster.timestamp() == 5000


@in_loop
async def test_a_cluster_cannot_be_locked() -> None:
    rig = FakeCluster()
    key = rig.give(DATA, 1, 2, 3)
    with pytest.raises(RemoteRefused):
        async with rig.cluster.lock_content(key):
            pass


@in_loop
async def test_content_that_came_by_another_way_is_recorded() -> None:
    rig = FakeCluster()
    rig.remotes[0].put(DATA)
    rig.remotes[1].fail("store_present")
    assert await rig.cluster.store_present(KEY) == StoreResult(True, rig.uuids(1))
    assert rig.logged(KEY) == rig.uuids(1)


@in_loop
async def test_content_that_did_not_come_is_not_recorded() -> None:
    rig = FakeCluster()
    assert (await rig.cluster.store_present(KEY)).stored is False
    assert rig.records.changes == []
