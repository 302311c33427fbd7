"""Carrying out plans: copies before drops, drops only with a proof, limits, and failures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from shoal.git.repository import Repository
from shoal.operations.apply import Applier, Pace, Tally
from shoal.operations.pace import Budget
from shoal.operations.plan import KeyPlan
from shoal.remotes.base import NOBODY, Caller, RemoveResult
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.fleet import A, B, C, FleetOfThree, Shows
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote


def plan(key: Key, to: tuple[UUID, ...] = (), drop: tuple[UUID, ...] = ()) -> KeyPlan:
    return KeyPlan(key, to, drop, "the test wants it")


async def applied(
    three: FleetOfThree, *plans: KeyPlan, pace: Pace | None = None
) -> tuple[Tally, Shows]:
    shows = Shows()
    async with three.fleet() as fleet:
        return await Applier(fleet, shows, pace or Pace()).run(iter(plans)), shows


@in_loop
async def test_a_key_moves(three: FleetOfThree) -> None:
    key = three.give(b"content", three.a)
    tally, shows = await applied(three, plan(key, (B, C), (A,)))
    assert three.client.holders(key) == {"b", "c"} == three.client.locations(key)
    assert (tally.copied, tally.copied_size, tally.dropped, tally.failed) == (2, 14, 1, 0)
    copy, drop = shows.steps
    assert (copy.action, copy.notes) == ("copy", ["to b, c...", "from a..."])
    assert copy.fields["from"] == {"uuid": A, "name": "a"}
    assert (drop.action, drop.notes) == ("drop", ["from a..."])


@in_loop
async def test_nothing_is_dropped_when_a_copy_failed(three: FleetOfThree) -> None:
    key = three.give(b"content", three.a)
    three.b.fail("begin_store")
    tally, shows = await applied(three, plan(key, (B, C), (A,)))
    assert three.client.holders(key) == {"a", "c"}
    assert (tally.copied, tally.dropped, tally.failed) == (1, 0, 1)
    assert [step.warnings for step in shows.failures] == [["b: the test says so"]]


@in_loop
async def test_nothing_is_dropped_below_numcopies_or_without_a_lock(three: FleetOfThree) -> None:
    key = three.give(b"content", three.a, three.b)
    three.client.repository.logs.set_numcopies(2)
    tally, shows = await applied(three, plan(key, (), (A,)))
    assert three.client.holders(key) == {"a", "b"}
    assert (tally.dropped, tally.failed) == (0, 1)
    assert shows.steps[0].notes == ["from a...", "unsafe"]
    three.client.repository.logs.set_numcopies(1)
    three.b.fail("lock_content", times=None)
    await applied(three, plan(key, (), (A,)))
    assert three.client.holders(key) == {"a", "b"}
    three.b.heal()
    await applied(three, plan(key, (), (A,)))
    assert three.client.holders(key) == {"b"}


@in_loop
async def test_a_copy_that_is_only_logged_allows_no_drop(three: FleetOfThree) -> None:
    key = three.give(b"content", three.a, three.b)
    del three.b.objects[key]
    tally, _ = await applied(three, plan(key, (), (A,)))
    assert (tally.failed, three.client.holders(key)) == (1, {"a"})


@in_loop
async def test_required_content_stays(three: FleetOfThree) -> None:
    key = three.give(b"content", three.a, three.b)
    three.client.repository.logs.set_required(A, "anything")
    tally, shows = await applied(three, plan(key, (), (A,)))
    assert (tally.failed, three.client.holders(key)) == (1, {"a", "b"})
    assert "required content" in shows.steps[0].long_notes[0]


@in_loop
async def test_numcopies_that_are_raised_during_the_run_count(three: FleetOfThree) -> None:
    keys = [three.give(bytes([n]), three.a, three.b) for n in range(2)]

    def plans() -> Iterator[KeyPlan]:
        yield plan(keys[0], (), (A,))
        with Repository.open(three.client.repository.path) as other:
            other.logs.set_numcopies(2)
            other.branch.commit()
        yield plan(keys[1], (), (A,))

    shows = Shows()
    async with three.fleet() as fleet:
        await Applier(fleet, shows, Pace()).run(plans())
    assert [three.client.holders(key) for key in keys] == [{"b"}, {"a", "b"}]


@in_loop
async def test_a_drop_that_another_operator_has_done_is_no_failure(three: FleetOfThree) -> None:
    key = three.give(b"content", three.a, three.b)
    del three.a.objects[key]
    tally, _ = await applied(three, plan(key, (B,), (A,)))
    assert (tally.failed, tally.copied) == (0, 0)
    assert three.client.locations(key) == {"b"}


@in_loop
async def test_a_plan_is_made_again_before_it_is_carried_out(three: FleetOfThree) -> None:
    key = three.give(b"content", three.a)

    async def nothing(old: KeyPlan) -> KeyPlan | None:
        return None

    async with three.fleet() as fleet:
        tally = await Applier(fleet, Shows(), Pace(), nothing).run(iter([plan(key, (B,), (A,))]))
    assert (tally.copied, three.client.holders(key)) == (0, {"a"})


@in_loop
async def test_several_at_once_and_one_after_another_do_the_same(three: FleetOfThree) -> None:
    keys = [three.give(bytes([n]) * 100, three.a) for n in range(20)]
    three.b.fail("begin_store", times=3)
    tally, shows = await applied(three, *(plan(key, (B,), (A,)) for key in keys), pace=Pace(jobs=4))
    assert (tally.copied, tally.dropped, tally.failed) == (17, 17, 3)
    assert all(len(three.client.holders(key)) == 1 for key in keys)
    assert len(shows.failures) == 3


@in_loop
async def test_it_ends_before_the_limits_are_passed(three: FleetOfThree) -> None:
    keys = [three.give(bytes([n]) * 100, three.a) for n in range(5)]
    tally, _ = await applied(
        three, *(plan(key, (B,)) for key in keys), pace=Pace(budget=Budget(250))
    )
    assert (tally.copied, tally.sent) == (2, 200)
    assert tally.spent == "the next transfer, of 100 bytes, would go beyond the limit"
    clock = iter(range(100))
    tally, _ = await applied(
        three,
        *(plan(key, (B,)) for key in keys),
        pace=Pace(budget=Budget(seconds=5, clock=lambda: float(next(clock)))),
    )
    assert tally.spent == "the time is over"
    assert len(three.b.objects) < 5


@in_loop
async def test_no_node_grows_beyond_its_maximum_size(three: FleetOfThree) -> None:
    keys = [three.give(bytes([n]) * 100, three.a) for n in range(6)]
    three.client.repository.logs.set_max_size(B, 250)
    tally, shows = await applied(three, *(plan(key, (B,)) for key in keys), pace=Pace(jobs=6))
    assert (tally.copied, tally.failed, len(three.b.objects)) == (2, 4, 2)
    assert shows.failures[0].warnings == ["b: not enough space within its maximum size"]
    assert three.client.repository.sizes.live_sizes()[B] == 200


class _Forestalled(MemoryRemote):
    """Somebody else removes the key while it is being proved that it may go, or soon after."""

    after = 0.0  # seconds

    async def remove(
        self, key: Key, *, before: int | None = None, caller: Caller = NOBODY
    ) -> RemoveResult:
        asyncio.get_running_loop().call_later(self.after, self.objects.pop, key)
        await asyncio.sleep(0)
        return RemoveResult(False, error="content is locked")


@pytest.mark.parametrize("after", [0.0, 0.05])
@in_loop
async def test_what_another_operator_drops_at_the_same_time_is_gone(
    three: FleetOfThree, after: float
) -> None:
    key = three.give(b"content", three.a, three.b)
    other = three.client.remotes["a"] = _Forestalled(A, "a", objects={key: b"content"})
    other.after = after
    tally, _ = await applied(three, plan(key, (), (A,)))
    assert (tally.dropped, tally.failed) == (1, 0)
    assert three.client.locations(key) == {"b"}
