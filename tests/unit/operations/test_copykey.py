"""Copying one key to several nodes: which source, what is kept, who is to blame."""

from __future__ import annotations

from shoal.errors import NotEnoughSpace, TransferInProgress
from shoal.operations.copykey import Copied, KeyCopy
from shoal.operations.pace import Throttle
from shoal.values.key import Key
from tests.support.fleet import A, B, C, FleetOfThree
from tests.support.loop import in_loop

CONTENT = b"some content " * 1000


async def copied(three: FleetOfThree, key: Key, *targets: str) -> Copied:
    async with three.fleet() as fleet:
        copying = KeyCopy(fleet, key, Throttle())
        uuids = [node.uuid for node in three.nodes if node.name in targets]
        return await copying.run(uuids)


@in_loop
async def test_one_reading_serves_all_targets(three: FleetOfThree) -> None:
    key = three.give(CONTENT, three.a)
    result = await copied(three, key, "b", "c")
    assert (result.stored, result.failed, result.source) == ([B, C], {}, A)
    assert three.client.holders(key) == {"a", "b", "c"} == three.client.locations(key)
    assert [call for call in three.a.calls if call[0] == "retrieve"] == [("retrieve", key)]
    assert result.sent == 2 * len(CONTENT)
    assert all(node.idle for node in three.nodes)


@in_loop
async def test_who_has_it_already_is_recorded(three: FleetOfThree) -> None:
    key = three.give(CONTENT, three.a)
    three.b.objects[key] = CONTENT
    result = await copied(three, key, "b", "c")
    assert (result.had, result.stored) == ([B], [C])
    assert three.client.locations(key) == {"a", "b", "c"}


@in_loop
async def test_a_source_that_breaks_off_is_replaced_and_the_copy_resumed(
    three: FleetOfThree,
) -> None:
    key = three.give(CONTENT, three.a, three.b)
    three.a.fail("retrieve", after=5000)
    three.b.cost = 200.0
    result = await copied(three, key, "c")
    assert (result.stored, result.source, result.bad) == ([C], B, [])
    assert three.c.objects[key] == CONTENT
    assert result.sent < len(CONTENT) + 5000


@in_loop
async def test_a_bad_source_is_found_out_and_another_used(three: FleetOfThree) -> None:
    key = three.give(CONTENT, three.a, three.b)
    three.a.objects[key] = CONTENT[::-1]
    three.b.cost = 200.0
    result = await copied(three, key, "c")
    assert (result.stored, result.bad) == ([C], [A])
    assert three.c.objects[key] == CONTENT


@in_loop
async def test_a_part_of_a_bad_copy_does_not_spoil_a_good_one(three: FleetOfThree) -> None:
    key = three.give(CONTENT, three.b)
    three.c.partial[key] = CONTENT[::-1][:5000]
    result = await copied(three, key, "c")
    assert (result.stored, result.bad) == ([C], [])


@in_loop
async def test_a_key_whose_only_copy_is_bad_is_stored_nowhere(three: FleetOfThree) -> None:
    key = three.give(CONTENT, three.a)
    three.a.objects[key] = b"x" * len(CONTENT)
    result = await copied(three, key, "b", "c")
    assert (result.stored, result.bad) == ([], [A])
    assert result.failed == {B: "the copy in a is bad", C: "the copy in a is bad"}
    assert three.client.locations(key) == {"a"}


@in_loop
async def test_one_target_that_fails_stops_no_other(three: FleetOfThree) -> None:
    key = three.give(CONTENT, three.a)
    three.b.fail("begin_store", NotEnoughSpace("full"))
    result = await copied(three, key, "b", "c")
    assert (result.stored, result.failed) == ([C], {B: "full"})
    three.b.fail("store", after=3000)
    result = await copied(three, key, "b", "c")
    assert (result.had, list(result.failed)) == ([C], [B])
    assert three.client.locations(key) == {"a", "c"}
    assert three.b.idle


@in_loop
async def test_it_waits_while_somebody_else_sends_the_key(three: FleetOfThree) -> None:
    key = three.give(CONTENT, three.a)
    three.b.fail("begin_store", TransferInProgress(), times=2)
    assert (await copied(three, key, "b")).stored == [B]


@in_loop
async def test_without_any_reachable_copy_it_says_so(three: FleetOfThree) -> None:
    key = three.give(CONTENT, three.a)
    three.a.fail("retrieve", times=None)
    result = await copied(three, key, "b")
    assert result.failed == {B: "a: the test says so"}
    assert three.client.locations(key) == {"a"}
