"""Operations from plan to end, over nodes in memory."""

from __future__ import annotations

from collections.abc import Callable

from shoal.operations.apply import Pace, Tally
from shoal.operations.attendance import Attendance
from shoal.operations.fleet import Fleet
from shoal.operations.operation import Operation
from shoal.operations.plan import Goal, KeyPlan
from shoal.operations.preview import Preview
from shoal.operations.replan import Planner
from shoal.remotes.base import NOBODY, AlreadyPresent, Caller, Upload
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.fleet import A, B, C, FleetOfThree, Shows
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote


class _Busy(MemoryRemote):
    """Something happens when it is about to get its first key."""

    def __init__(self, uuid: UUID, name: str, meanwhile: Callable[[], None]) -> None:
        super().__init__(uuid, name)
        self._meanwhile = [meanwhile]

    async def begin_store(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> Upload | AlreadyPresent:
        while self._meanwhile:
            self._meanwhile.pop()()
        return await super().begin_store(key, file=file, caller=caller)


def operation_on(
    three: FleetOfThree, fleet: Fleet, goal: Goal, *, check: bool = False
) -> Operation:
    leaving = frozenset({A}) if goal is Goal.DRAIN else frozenset()
    attendance = Attendance(fleet, {A, B, C})
    return Operation(Planner(fleet, three.cluster(), attendance, goal, leaving), check=check)


async def previewed(
    three: FleetOfThree, goal: Goal, *, check: bool = False
) -> tuple[list[KeyPlan], Preview]:
    async with three.fleet() as fleet:
        operation = operation_on(three, fleet, goal, check=check)
        preview = await operation.new_preview()
        plans = [plan async for plan in operation.plans()]
        for plan in plans:
            preview.add(plan)
        return plans, preview


async def done(three: FleetOfThree, goal: Goal, *, check: bool = False) -> Tally:
    async with three.fleet() as fleet:
        operation = operation_on(three, fleet, goal, check=check)
        return await operation.apply(Shows(), Pace())


def fill(three: FleetOfThree, count: int = 4) -> list[Key]:
    return [three.give(bytes([number]) * 100, three.a) for number in range(count)]


@in_loop
async def test_a_preview_tells_what_will_be_and_changes_nothing(three: FleetOfThree) -> None:
    keys = fill(three)
    logs = three.client.repository.logs
    logs.set_wanted(A, "nothing")
    logs.set_wanted(C, "nothing")
    plans, preview = await previewed(three, Goal.REBALANCE)
    assert {plan.key for plan in plans} == set(keys)
    assert (preview.keys, preview.copies, preview.arriving) == (4, 4, 400)
    assert (preview.drops, preview.leaving, preview.blocked) == (4, 400, 0)
    assert [(n.before, n.after) for n in preview.nodes.values()] == [(400, 0), (0, 400), (0, 0)]
    assert all(three.client.holders(key) == {"a"} == three.client.locations(key) for key in keys)
    tally = await done(three, Goal.REBALANCE)
    assert (tally.copied, tally.dropped, tally.failed) == (4, 4, 0)
    assert all(three.client.holders(key) == {"b"} == three.client.locations(key) for key in keys)
    assert await previewed(three, Goal.REBALANCE) == ([], preview_of(three, 0, 400, 0))


def preview_of(three: FleetOfThree, *sizes: int) -> Preview:
    return Preview.of(dict(zip((A, B, C), sizes, strict=True)))


@in_loop
async def test_a_node_is_drained_of_what_comes_meanwhile_too(three: FleetOfThree) -> None:
    keys = fill(three)
    late: list[Key] = []
    three.client.remotes["b"] = _Busy(B, "b", lambda: late.append(three.give(b"late", three.a)))
    tally = await done(three, Goal.DRAIN)
    assert tally.dropped == 5
    assert three.a.objects == {}
    assert all("a" not in three.client.locations(key) for key in [*keys, *late])


@in_loop
async def test_healing_believes_nobody_unasked(three: FleetOfThree) -> None:
    key = three.give(b"content", three.a, three.b)
    three.client.repository.logs.set_numcopies(2)
    three.client.repository.logs.set_wanted(C, "nothing")
    del three.a.objects[key]
    assert await previewed(three, Goal.HEAL) == ([], preview_of(three, 7, 7, 0))
    (plan,), _ = await previewed(three, Goal.HEAL, check=True)
    assert plan.copy_to == (A,)
    assert three.client.locations(key) == {"a", "b"}
    tally = await done(three, Goal.HEAL, check=True)
    assert (tally.copied, tally.blocked) == (1, 0)
    assert three.client.holders(key) == {"a", "b"} == three.client.locations(key)


@in_loop
async def test_healing_does_not_take_silence_for_an_answer(three: FleetOfThree) -> None:
    key = three.give(b"content", three.a, three.b)
    three.a.fail("check_present", times=None)
    await done(three, Goal.HEAL, check=True)
    assert three.client.locations(key) >= {"a", "b"}


@in_loop
async def test_a_key_without_any_copy_is_told(three: FleetOfThree) -> None:
    key = three.give(b"content", three.a)
    del three.a.objects[key]
    tally = await done(three, Goal.HEAL, check=True)
    assert (tally.blocked, tally.failed) == (1, 0)
    assert three.client.locations(key) == set()


@in_loop
async def test_when_a_node_goes_away_the_rest_is_done_without_it(three: FleetOfThree) -> None:
    """One key fails halfway. Those after it are not copied to a node when nobody could say
    whether they may be dropped from the other."""
    logs = three.client.repository.logs
    logs.set_numcopies(2)
    logs.set_wanted(A, "nothing")
    keys = [three.give(bytes([number]) * 100, three.a, three.b) for number in range(6)]
    three.b.fail("check_present", times=None)
    three.b.fail("lock_content", times=None)
    tally = await done(three, Goal.REBALANCE)
    assert (tally.copied, tally.dropped, tally.failed, tally.blocked) == (6, 0, 1, 0)
    assert all(three.client.holders(key) == {"a", "b", "c"} for key in keys)
