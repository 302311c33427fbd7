"""Several gateways of one cluster: each node is asked once, whatever the graph."""

from __future__ import annotations

import pytest

from shoal.errors import RemoteUnavailable
from shoal.gateway.topology import identity_of, is_repository
from shoal.remotes.base import AlreadyPresent, Caller, StoreResult
from shoal.remotes.content import WholeContent
from shoal.values.uuid import UUID
from tests.support.fake_cluster import CLUSTER, put
from tests.support.fake_gateways import FakeGateways, gateway_uuid, node_of
from tests.support.loop import in_loop
from tests.support.memory_remote import gather, key_of

DATA = b"content of a key" * 20
KEY = key_of(DATA)
TRIANGLE = {"a": "bc", "b": "ac", "c": "ab"}
GRAPHS = {
    "two": {"a": "b", "b": "a"},
    "triangle": TRIANGLE,
    "chain": {"a": "b", "b": "ac", "c": "bd", "d": "c"},
    "cycle of four": {"a": "bd", "b": "ac", "c": "bd", "d": "ac"},
    "star": {"a": "bcd", "b": "a", "c": "a", "d": "a"},
    "all with all": {"a": "bcd", "b": "acd", "c": "abd", "d": "abc"},
    "one way": {"a": "b", "b": "c", "c": "a"},
}
EVERY_GRAPH = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
SHOAL, REAL = frozenset({UUID("g"), gateway_uuid("a")}), frozenset({UUID("g")})


@EVERY_GRAPH
@in_loop
async def test_an_upload_reaches_each_node_once(graph: dict[str, str]) -> None:
    for first in graph:
        rig = FakeGateways(graph, nodes=2)
        stored = await put(rig.clusters[first], KEY, DATA)
        assert isinstance(stored, StoreResult)
        assert stored.stored
        assert set(stored.stored_in) == rig.holders(KEY) == set(rig.remotes)
        assert set(rig.asked("begin_store").values()) == {1}
        assert rig.records[first].log[KEY] == set(rig.remotes)


@EVERY_GRAPH
@in_loop
async def test_small_content_reaches_each_node_once(graph: dict[str, str]) -> None:
    rig = FakeGateways(graph)
    stored = await rig.clusters["a"].store_whole(KEY, WholeContent(DATA))
    assert set(stored.stored_in) == set(rig.remotes)
    assert set(rig.asked("begin_store").values()) == {1}


@EVERY_GRAPH
@in_loop
async def test_a_removal_reaches_each_node_once(graph: dict[str, str]) -> None:
    for first in graph:
        rig = FakeGateways(graph)
        for remote in rig.remotes.values():
            remote.put(DATA)
        removed = await rig.clusters[first].remove(KEY)
        assert removed.removed
        assert set(removed.removed_from) == set(rig.remotes)
        assert set(rig.asked("remove").values()) == {1}
        assert rig.holders(KEY) == set()


@EVERY_GRAPH
@in_loop
async def test_whether_a_key_is_there_is_found_out_without_cycles(graph: dict[str, str]) -> None:
    for holder in graph:
        rig = FakeGateways(graph)
        rig.remotes[node_of(holder)].put(DATA)
        for first in graph:
            assert await rig.clusters[first].check_present(KEY) is True
            async with rig.clusters[first].retrieve(KEY) as content:
                assert await gather(content) == DATA
    rig = FakeGateways(graph)
    assert await rig.clusters["a"].check_present(KEY) is False
    assert set(rig.asked("check_present").values()) == {1}


@pytest.mark.parametrize("graph", [TRIANGLE, GRAPHS["cycle of four"], GRAPHS["all with all"]])
@in_loop
async def test_requests_find_another_way_when_a_link_is_cut(graph: dict[str, str]) -> None:
    rig = FakeGateways(graph)
    rig.cut("a", "b")
    stored = await put(rig.clusters["a"], KEY, DATA)
    assert set(stored.stored_in) == rig.holders(KEY) == set(rig.remotes)
    assert rig.records["a"].log[KEY] == set(rig.remotes)
    far = rig.remotes[node_of("b")]
    for other in rig.remotes.values():
        if other is not far:
            del other.objects[KEY]
    assert await rig.clusters["a"].check_present(KEY) is True
    async with rig.clusters["a"].retrieve(KEY) as content:
        assert await gather(content) == DATA
    removed = await rig.clusters["a"].remove(KEY)
    assert removed.removed
    assert node_of("b") in removed.removed_from
    assert await rig.clusters["a"].check_present(KEY) is False


@in_loop
async def test_what_cannot_be_reached_is_not_known() -> None:
    """A gateway that is down, in a chain: nobody else reaches what is behind it."""
    rig = FakeGateways(GRAPHS["chain"])
    key = rig.remotes[node_of("d")].put(DATA)
    rig.records["a"].log[key] = {node_of("d")}
    rig.cut("b", "c")
    with pytest.raises(RemoteUnavailable):
        await rig.clusters["a"].check_present(key)
    removed = await rig.clusters["a"].remove(key)
    assert not removed.removed
    assert set(removed.removed_from) == {node_of("a"), node_of("b")}


@in_loop
async def test_a_link_that_is_cut_in_mid_upload_is_gone_around() -> None:
    """The content comes again from a gateway that has it; the answer says where it is."""
    rig = FakeGateways(TRIANGLE)
    rig.links["a", "b"].cut_after = 50
    stored = await put(rig.clusters["a"], KEY, DATA)
    assert stored.stored_in == (node_of("a"), node_of("c"), node_of("b"))
    assert rig.holders(KEY) == rig.records["a"].log[KEY] == set(rig.remotes)


@in_loop
async def test_the_report_is_true_when_there_is_no_other_way() -> None:
    rig = FakeGateways(GRAPHS["two"])
    rig.links["a", "b"].cut_after = 50
    stored = await put(rig.clusters["a"], KEY, DATA)
    assert stored.stored_in == (node_of("a"),)
    assert rig.records["a"].log[KEY] == rig.holders(KEY) == {node_of("a")}
    rig.mend()
    again = await put(rig.clusters["a"], KEY, DATA)
    assert isinstance(again, StoreResult)
    assert again.stored_in == (node_of("b"),)
    assert rig.holders(KEY) == set(rig.remotes)


@in_loop
async def test_a_node_on_two_paths_gets_an_upload_once() -> None:
    """The first gateway asks it itself; the other gateway gets the key for its second node."""
    for content in (None, WholeContent(DATA)):
        rig = FakeGateways(GRAPHS["two"], nodes=2, shared={"a": "b"})
        cluster = rig.clusters["a"]
        if content is None:
            stored = await put(cluster, KEY, DATA)
        else:
            stored = await cluster.store_whole(KEY, content)
        assert set(stored.stored_in) == rig.holders(KEY) == set(rig.remotes)
        assert len([verb for verb, _ in rig.remotes[node_of("b")].calls if verb == "store"]) <= 1


@pytest.mark.parametrize("whole", [False, True])
@in_loop
async def test_a_node_behind_two_gateways_stores_an_upload_once(whole: bool) -> None:
    """Neither gateway knows that the other one is at it; the node says so to who comes second."""
    rig = FakeGateways({"a": "bc", "b": "a", "c": "a"}, shared={"c": "b"})
    if whole:
        stored = await rig.clusters["a"].store_whole(KEY, WholeContent(DATA))
    else:
        stored = await put(rig.clusters["a"], KEY, DATA)
    assert isinstance(stored, StoreResult)
    assert stored.stored
    assert set(stored.stored_in) == rig.holders(KEY) == set(rig.remotes)
    assert set(rig.asked("store").values()) == {1}


@pytest.mark.parametrize("lost", ["b", "c"])
@in_loop
async def test_a_node_behind_two_gateways_needs_only_one_of_them(lost: str) -> None:
    rig = FakeGateways({"a": "bc", "b": "a", "c": "a"}, shared={"c": "b"})
    rig.cut("a", lost)
    stored = await put(rig.clusters["a"], KEY, DATA)
    assert isinstance(stored, StoreResult)
    assert stored.stored
    assert node_of("b") in stored.stored_in
    assert set(stored.stored_in) == rig.holders(KEY)
    assert rig.asked("store")[node_of("b")] == 1


@in_loop
async def test_a_gateway_with_no_more_than_we_reach_gets_no_upload() -> None:
    rig = FakeGateways(GRAPHS["two"], shared={"a": "b"})
    await put(rig.clusters["a"], KEY, DATA)
    assert rig.links["a", "b"].callers == []
    assert rig.holders(KEY) == set(rig.remotes)


@in_loop
async def test_a_node_that_only_another_gateway_reaches_now_is_removed_from() -> None:
    rig = FakeGateways(GRAPHS["two"], shared={"a": "b"})
    shared = rig.remotes[node_of("b")]
    shared.put(DATA)
    shared.fail("remove", times=1)
    removed = await rig.clusters["a"].remove(KEY)
    assert removed.removed
    assert set(removed.removed_from) == set(rig.remotes)


# What the logs say of the nodes behind a gateway


@in_loop
async def test_the_clusters_own_uuid_says_nothing_of_another_gateway() -> None:
    """One of our nodes has the key; so the cluster's UUID is in the log. Yet it goes there."""
    rig = FakeGateways(GRAPHS["two"])
    rig.remotes[node_of("a")].put(DATA)
    rig.records["a"].log[KEY] = {node_of("a")}
    assert CLUSTER in rig.records["a"].locations(KEY)
    assert await rig.clusters["a"].check_present(KEY) is True
    assert rig.links["a", "b"].callers == []
    stored = await put(rig.clusters["a"], KEY, DATA)
    assert rig.holders(KEY) == set(rig.remotes)
    assert isinstance(stored, StoreResult)


@in_loop
async def test_a_gateway_whose_nodes_have_the_key_is_asked_first() -> None:
    rig = FakeGateways(TRIANGLE)
    rig.remotes[node_of("c")].put(DATA)
    rig.records["a"].log[KEY] = {node_of("c")}
    assert await rig.clusters["a"].check_present(KEY) is True
    assert rig.links["a", "b"].callers == []
    assert rig.asked("check_present")[node_of("a")] == 0


@in_loop
async def test_one_archive_of_all_gateways_gets_what_one_archive_should_have() -> None:
    rig = FakeGateways(TRIANGLE, nodes=2)
    for records in rig.records.values():
        records.wanted = lambda uuid, present: not present
    stored = await put(rig.clusters["a"], KEY, DATA)
    assert len(stored.stored_in) == 1
    assert rig.holders(KEY) == set(stored.stored_in)


@in_loop
async def test_a_gateway_whose_nodes_want_nothing_gets_nothing() -> None:
    rig = FakeGateways(TRIANGLE)
    for records in rig.records.values():
        records.wanted = lambda uuid, present: uuid != node_of("b")
    await put(rig.clusters["a"], KEY, DATA)
    assert rig.holders(KEY) == {node_of("a"), node_of("c")}
    assert rig.links["a", "b"].callers == []


@in_loop
async def test_what_another_gateway_has_and_nobody_wants_is_already_there() -> None:
    rig = FakeGateways(GRAPHS["two"], nodes=2)
    rig.remotes[node_of("b")].put(DATA)
    for records in rig.records.values():
        records.log[KEY] = {node_of("b")}
        records.wanted = lambda uuid, present: False
    assert await put(rig.clusters["a"], KEY, DATA) == AlreadyPresent((node_of("b"),))
    assert rig.holders(KEY) == {node_of("b")}


@in_loop
async def test_gateways_that_published_nothing_get_everything() -> None:
    """As when their branch was not fetched yet. Those that the request came by are spared."""
    rig = FakeGateways(TRIANGLE, knows=False)
    stored = await put(rig.clusters["a"], KEY, DATA)
    assert set(stored.stored_in) == rig.holders(KEY) == set(rig.remotes)
    assert set(rig.asked("begin_store").values()) == {1}


# What goes over the wire


@in_loop
async def test_only_repositories_are_named() -> None:
    rig = FakeGateways(GRAPHS["chain"])
    stored = await put(rig.clusters["a"], KEY, DATA)
    assert all(map(is_repository, stored.stored_in))
    (caller,) = rig.links["a", "b"].callers
    assert caller == Caller(gateway_uuid("a"), frozenset(map(gateway_uuid, "ab")))
    (caller,) = rig.links["b", "c"].callers
    assert caller == Caller(gateway_uuid("b"), frozenset(map(gateway_uuid, "abc")))
    assert not is_repository(identity_of(gateway_uuid("b")))


@pytest.mark.parametrize("version", [0, 1])
@in_loop
async def test_clients_that_cannot_say_where_they_came_by_reach_no_other_gateway(
    version: int,
) -> None:
    rig = FakeGateways(TRIANGLE)
    caller = Caller(version=version)
    rig.remotes[node_of("b")].put(DATA)
    assert await rig.clusters["a"].check_present(KEY, caller=caller) is False
    begun = await rig.clusters["a"].begin_store(KEY, caller=caller)
    assert not isinstance(begun, AlreadyPresent)
    await begun.aclose()
    assert (await rig.clusters["a"].remove(KEY, caller=caller)).removed
    assert [link.callers for link in rig.links.values()] == [[]] * 6


@pytest.mark.parametrize(
    ("bypass", "named"), [(SHOAL, (node_of("a"),)), (REAL, ()), (frozenset(), (node_of("a"),))]
)
@in_loop
async def test_a_real_gateway_does_not_hear_who_has_a_key_already(
    bypass: frozenset[UUID], named: tuple[UUID, ...]
) -> None:
    """It breaks off when it does. A shoal gateway, which names whom it asks, records them."""
    rig = FakeGateways({"a": ""})
    rig.remotes[node_of("a")].put(DATA)
    caller = Caller(UUID("g"), bypass)
    assert await rig.clusters["a"].begin_store(KEY, caller=caller) == AlreadyPresent(named)
    whole = await rig.clusters["a"].store_whole(KEY, WholeContent(DATA), caller=caller)
    assert whole == AlreadyPresent(named)


@in_loop
async def test_what_another_gateway_already_has_is_recorded() -> None:
    rig = FakeGateways(GRAPHS["two"])
    rig.remotes[node_of("b")].put(DATA)
    stored = await put(rig.clusters["a"], KEY, DATA)
    assert set(stored.stored_in) == rig.records["a"].log[KEY] == set(rig.remotes)


@in_loop
async def test_a_deadline_is_translated_at_each_hop() -> None:
    """Clocks: 5000 at a, 7000.5 at b, 1000 at the node behind b. 10 seconds are left."""
    rig = FakeGateways(GRAPHS["two"], clocks={"a": 5000.0, "b": 7000.5})
    await rig.clusters["a"].remove(KEY, before=5010)
    (before,) = rig.remotes[node_of("b")].befores
    assert before == 1009  # 7000 + 10 at b, rounded down; 9.5 seconds from there
