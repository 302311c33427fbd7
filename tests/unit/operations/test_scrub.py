"""Scrubbing: what is found, what is done about it, and where it goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shoal.operations.apply import Pace
from shoal.operations.attendance import Attendance
from shoal.operations.cursor import Cursor, Cursors
from shoal.operations.pace import Budget
from shoal.operations.plan import Goal
from shoal.operations.replan import Planner
from shoal.operations.scrub import NodeReport, Scrub, Thoroughness
from shoal.remotes.base import NOBODY, Caller
from shoal.remotes.content import Content
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import THERE, make_annex
from tests.support.fleet import A, B, C, FleetOfThree, Shows
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote, content_from

CONTENT = b"scrubbed " * 1000


async def scrubbed(
    three: FleetOfThree,
    *nodes: UUID,
    how: Thoroughness | None = None,
    budget: Budget | None = None,
    now: float = 1000.0,
) -> tuple[list[NodeReport], Shows]:
    shows = Shows()
    async with three.fleet() as fleet:
        planner = Planner(fleet, three.cluster(), Attendance(fleet, {A, B, C}), Goal.HEAL)
        pace = Pace(budget=budget or Budget())
        scrub = Scrub(fleet, planner, shows, pace, how or Thoroughness(), clock=lambda: now)
        return [*await scrub.run(nodes or (A,))], shows


class _ComesBack(MemoryRemote):
    """Gets a key in the moment after it said that it has none."""

    async def check_present(self, key: Key, *, caller: Caller = NOBODY) -> bool:
        present = await super().check_present(key, caller=caller)
        self.objects[key] = CONTENT
        return present


class _WrongOnce(MemoryRemote):
    """Its first answer is garbled on the way."""

    @asynccontextmanager
    async def _retrieve(
        self, key: Key, offset: int, file: str, caller: Caller
    ) -> AsyncIterator[Content]:
        wrong = not self.calls
        async with super()._retrieve(key, offset, file, caller) as content:
            yield content_from(self.objects[key][::-1]) if wrong else content


@in_loop
async def test_good_copies_are_left_alone(three: FleetOfThree) -> None:
    for number in range(5):
        three.give(CONTENT + bytes([number]), three.a, three.b)
    reports, shows = await scrubbed(three, A, B)
    assert [(r.keys, r.size, r.complete, r.is_well) for r in reports] == [
        (5, 5 * (len(CONTENT) + 1), True, True)
    ] * 2
    assert shows.steps == []
    log = three.client.repository.branch.read("activity.log")
    assert log.startswith(f"{A} Fsck timestamp=".encode())


@in_loop
async def test_a_missing_copy_is_made_again(three: FleetOfThree) -> None:
    key = three.give(CONTENT, three.a, three.b)
    del three.a.objects[key]
    (report,), shows = await scrubbed(three)
    assert (report.missing, report.healed, report.is_well) == (1, 1, True)
    assert [(s.action, s.failed) for s in shows.steps] == [("scrub", False), ("copy", False)]
    assert three.client.holders(key) == three.client.locations(key) >= {"a", "b"}


@in_loop
async def test_a_copy_that_comes_back_just_then_is_not_called_missing(
    three: FleetOfThree,
) -> None:
    key = three.give(CONTENT, three.a, three.b)
    del three.a.objects[key]
    three.client.remotes["a"] = _ComesBack(A, "a", objects={})
    (report,), _ = await scrubbed(three, how=Thoroughness(fast=True))
    assert (report.missing, three.client.locations(key)) == (0, {"a", "b"})


@in_loop
async def test_a_bad_copy_far_away_is_removed_when_a_good_one_is_locked(
    three: FleetOfThree,
) -> None:
    key = three.give(CONTENT, three.a, three.b, three.c)
    three.a.objects[key] = three.b.objects[key] = CONTENT[::-1]
    (report,), shows = await scrubbed(three)
    assert (report.bad, report.healed, report.is_well) == (1, 1, True)
    assert three.a.objects[key] == CONTENT
    assert shows.steps[0].long_notes == ["removed, since c has a good copy"]
    assert ("lock_content", key) in three.c.calls


@in_loop
async def test_the_only_copy_is_kept_even_when_it_is_bad(three: FleetOfThree) -> None:
    key = three.give(CONTENT, three.a)
    three.a.objects[key] = CONTENT[::-1]
    (report,), shows = await scrubbed(three)
    assert (report.bad, report.healed, report.is_well) == (1, 0, False)
    assert three.a.objects[key] == CONTENT[::-1]
    assert three.client.locations(key) == set()
    assert shows.failures[0].warnings == ["no other copy of it is known"]


@in_loop
async def test_content_that_is_wrong_only_once_is_not_bad(three: FleetOfThree) -> None:
    key = three.give(CONTENT, three.a, three.b)
    three.client.remotes["a"] = _WrongOnce(A, "a", objects={key: CONTENT})
    (report,), _ = await scrubbed(three)
    assert (report.bad, report.keys, report.size) == (0, 1, 2 * len(CONTENT))


@in_loop
async def test_without_healing_problems_stay_failures(three: FleetOfThree) -> None:
    key = three.give(CONTENT, three.a, three.b)
    del three.a.objects[key]
    (report,), _ = await scrubbed(three, how=Thoroughness(heal=False))
    assert (report.missing, report.healed, report.is_well) == (1, 0, False)
    assert three.client.locations(key) == {"b"}


@in_loop
async def test_a_key_that_cannot_be_read_stops_nothing_and_changes_no_log(
    three: FleetOfThree,
) -> None:
    keys = [three.give(CONTENT + bytes([n]), three.a, three.b) for n in range(3)]
    three.a.fail("retrieve", times=1)
    (report,), shows = await scrubbed(three)
    assert (report.keys, report.unreadable, report.complete) == (3, 1, True)
    assert not report.is_well
    assert [step.notes[1] for step in shows.failures] == ["unreadable"]
    assert all(three.client.locations(key) == {"a", "b"} for key in keys)


@in_loop
async def test_a_node_that_goes_away_is_left_and_taken_up_again(three: FleetOfThree) -> None:
    for number in range(4):
        three.give(CONTENT + bytes([number]), three.a, three.b)
    three.a.fail("retrieve", after=100, times=None)
    three.a.fail("check_present", times=None)
    (report, other), _ = await scrubbed(three, A, B)
    assert (report.keys, report.trouble, other.complete) == (0, "the test says so", True)
    three.a.heal()
    (report,), _ = await scrubbed(three)
    assert (report.keys, report.complete) == (4, True)


@in_loop
async def test_it_goes_on_where_it_stopped(three: FleetOfThree) -> None:
    keys = {three.give(CONTENT + bytes([number]), three.a) for number in range(5)}
    size = len(CONTENT) + 1
    (report,), _ = await scrubbed(three, budget=Budget(2 * size))
    assert (report.keys, report.complete) == (2, False)
    first = {key for verb, key in three.a.calls if verb == "retrieve"}
    three.a.calls.clear()
    (report,), _ = await scrubbed(three)
    assert (report.keys, report.complete) == (3, True)
    assert {key for verb, key in three.a.calls if verb == "retrieve"} == keys - first
    (report,), _ = await scrubbed(three, budget=Budget(size))
    (report,), _ = await scrubbed(three, how=Thoroughness(restart=True))
    assert (report.keys, report.complete) == (5, True)


@in_loop
async def test_nodes_that_were_verified_not_long_ago_are_left_alone(three: FleetOfThree) -> None:
    three.give(CONTENT, three.a)
    await scrubbed(three, now=1000.0)
    (report,), _ = await scrubbed(three, how=Thoroughness(since=500), now=1499.0)
    assert (report.skipped, report.keys) == (True, 0)
    (report,), _ = await scrubbed(three, how=Thoroughness(fast=True, since=500), now=1499.0)
    assert (report.skipped, report.keys) == (False, 1)
    (report,), _ = await scrubbed(three, how=Thoroughness(since=500), now=1500.0)
    assert (report.skipped, report.keys) == (False, 1)


def test_cursors(tmp_path: Path) -> None:
    with make_annex(tmp_path / "r") as repository:
        cursors = Cursors(repository)
        assert cursors.load(THERE) == Cursor()
        cursor = Cursor().beginning(5.0).passed("0b/x.log").passed("0a/y.log")
        cursors.save(THERE, cursor)
        assert cursors.load(THERE) == cursor == cursor.beginning(9.0)
        assert cursor.is_behind("0b/x.log")
        assert not cursor.is_behind("0b/y.log")
        assert Cursors(repository, fast=True).load(THERE) == Cursor()
        cursors.save(THERE, cursor.ended())
        assert cursors.load(THERE) == Cursor(complete=5.0)
        Path(repository.annex_path("shoal", "scrub", THERE)).write_text("{")
        assert cursors.load(THERE) == Cursor()
