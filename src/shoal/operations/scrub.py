"""Verifying what nodes have: whether it is there, and whether it is the keys' content.

Nodes are gone through key by key, in the order of the git-annex branch, each with a cursor of
its own. A node that goes away is left; it goes on there the next time. What turns out to be
missing is corrected in the location log; a bad copy is set aside. Then the key is healed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.logs import location
from shoal.operations.apply import Applier, Pace, Show, close, work_off
from shoal.operations.cursor import Cursor, Cursors
from shoal.operations.plan import KeyPlan
from shoal.operations.probing import State as Health
from shoal.operations.probing import probe
from shoal.operations.replan import Planner, correct
from shoal.operations.setaside import set_aside
from shoal.operations.verify import State, Verdict, verify
from shoal.remotes.base import Caller
from shoal.values.key import Key

if TYPE_CHECKING:
    from shoal.operations.apply import Step
    from shoal.operations.fleet import Fleet
    from shoal.values.uuid import UUID

_SAVE_EVERY = 5.0  # seconds between two times that a cursor is kept


@dataclass(slots=True)
class NodeReport:
    """What was found at one node. `size`: bytes that were read."""

    node: UUID
    keys: int = 0
    size: int = 0
    bad: int = 0
    missing: int = 0
    unreadable: int = 0
    healed: int = 0  # bad or missing keys that were put right
    complete: bool = False  # a pass over all keys came to its end
    skipped: bool = False  # the last complete pass is recent enough
    trouble: str = ""  # why the node was left before the end

    @property
    def not_healed(self) -> int:
        """Keys that were bad or missing, and have no new copy."""
        return self.bad + self.missing - self.healed

    @property
    def is_well(self) -> bool:
        """Everything that was looked at is right now."""
        return not (self.trouble or self.unreadable or self.not_healed)


@dataclass(frozen=True, slots=True)
class Thoroughness:
    """What a scrub does. `fast`: only ask whether keys are there. `since`: leave nodes alone
    whose last complete pass began less than so many seconds ago."""

    fast: bool = False
    heal: bool = True
    restart: bool = False
    since: float | None = None


_THOROUGH = Thoroughness()


class Scrub:
    """Verifies nodes of `fleet`. `reports` has what was found, up to date at any time.

    `planner` plans to heal keys; `show` shows problems and what is done about them; `watch` is
    told of a report whenever a key was verified. `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        fleet: Fleet,
        planner: Planner,
        show: Show,
        pace: Pace,
        how: Thoroughness = _THOROUGH,
        *,
        watch: Callable[[NodeReport], None] = lambda report: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fleet = fleet
        self._show = show
        self._pace = pace
        self._how = how
        self._watch = watch
        self._clock = clock
        self._cursors = Cursors(fleet.session.repository, fast=how.fast)
        self.applier = Applier(fleet, show, pace, planner.checked)
        """Carries out what heals keys."""
        self.reports: dict[UUID, NodeReport] = {}
        self._at: dict[UUID, Cursor] = {}

    async def run(self, nodes: Sequence[UUID]) -> Collection[NodeReport]:
        """Verify nodes, as many at once as the pace says; give what was found."""
        self.reports = {node: NodeReport(node) for node in nodes}
        # Committed, the journal's keys are in their place in the order.
        await self._fleet.commit(always=True)
        await work_off(iter(self.reports.values()), self._pace.jobs, self._scrub, self._is_over)
        return self.reports.values()

    def _is_over(self) -> bool:
        return not self._pace.budget.in_time()

    async def _scrub(self, report: NodeReport) -> None:
        """Go through the keys of one node."""
        node = report.node
        if self._how.restart:
            await asyncio.to_thread(self._cursors.forget, node)
        cursor = await asyncio.to_thread(self._cursors.load, node)
        now = self._clock()
        since, last = self._how.since, cursor.complete
        if cursor.begun is None and since is not None and last is not None and now - last < since:
            report.skipped = True
            return
        self._at[node] = cursor.beginning(now)
        try:
            await self._mend_what_was_left(report, cursor)
            if await self._go_on(report):
                self._at[node] = self._at[node].ended()
                report.complete = True
                if not self._how.fast:
                    await asyncio.to_thread(self._fleet.session.logs.record_fsck, node)
        finally:
            self._keep(node)

    async def _go_on(self, report: NodeReport) -> bool:
        """Go on behind the cursor; tell whether it came to the end."""
        node = report.node
        saved = time.monotonic()
        keys = self._keys(node, self._at[node])
        try:
            while (found := await asyncio.to_thread(next, keys, None)) is not None:
                path, key = found
                if not self._may_read(key) or not await self._look_at(report, key):
                    return False
                self._at[node] = self._at[node].passed(path)
                if time.monotonic() - saved > _SAVE_EVERY:
                    await asyncio.to_thread(self._keep, node)
                    saved = time.monotonic()
            return True
        finally:
            close(keys)

    def _keep(self, node: UUID) -> None:
        self._cursors.save(node, self._at[node])

    async def _mend_what_was_left(self, report: NodeReport, cursor: Cursor) -> None:
        """Put right what was being put right when an earlier run was killed."""
        if cursor.mending and self._how.heal:
            await self._heal(report, Key.parse(cursor.mending.encode()))

    async def _heal(self, report: NodeReport, key: Key) -> bool:
        """Bring a key back to where it belongs. The cursor knows of it until that is done."""
        node = report.node
        done = await self.applier.carry_out(KeyPlan(key, (), (), ""))
        if not self._pace.budget.spent:
            self._at[node] = replace(self._at[node], mending="")
        return done

    def _keys(self, node: UUID, cursor: Cursor) -> Iterator[tuple[str, Key]]:
        """Give the keys that a node is logged to have, and their files of the branch."""
        repository = self._fleet.session.repository
        for key, where in repository.logs.scan_locations():
            path = location.path(key, repository.branch_hash_levels)
            if node in where and not cursor.is_behind(path):
                yield path, key

    def _may_read(self, key: Key) -> bool:
        return self._pace.budget.allows(0 if self._how.fast else key.size or 0)

    async def _look_at(self, report: NodeReport, key: Key) -> bool:
        """Verify one key, and see to what is wrong; tell whether to go on with the node."""
        try:
            verdict = await self._verdict(report.node, key)
        except ShoalError as error:
            return await self._unreadable(report, key, error)
        report.keys += 1
        report.size += verdict.size
        if verdict.state is not State.GOOD:
            await self._fleet.refresh()
            logged = await asyncio.to_thread(self._fleet.session.logs.locations, key, raw=True)
            if report.node in logged:  # else somebody dropped it, just now
                await self._put_right(report, key, verdict)
        self._watch(report)
        await self._fleet.commit()
        return True

    async def _verdict(self, uuid: UUID, key: Key) -> Verdict:
        node = self._fleet.node(uuid)
        if self._how.fast:
            there = await node.ask(lambda remote: remote.check_present(key))
            return Verdict(State.GOOD if there else State.MISSING)
        equivalents = self._fleet.session.repository.objects.equivalents(key)
        caller = Caller(self._fleet.session.here)
        return await verify(node, key, self._pace.throttle, caller, equivalents)

    async def _unreadable(self, report: NodeReport, key: Key, error: ShoalError) -> bool:
        """A key could not be read: is it the key, or the node?"""
        health = (await probe(self._fleet, [report.node]))[report.node]
        if health.state is not Health.UP:
            report.trouble = health.why
            return False
        report.keys += 1
        report.unreadable += 1
        with self._step(report.node, key) as step:
            step.note("unreadable")
            step.warning(str(error))
            step.fail()
        return True

    async def _put_right(self, report: NodeReport, key: Key, verdict: Verdict) -> None:
        node, fleet = report.node, self._fleet
        done = False
        if self._how.heal:
            self._at[node] = replace(self._at[node], mending=str(key))
            await asyncio.to_thread(self._keep, node)
        with self._step(node, key) as step:
            if verdict.state is State.MISSING:
                if not await correct(fleet, node, key):
                    step.note("there again")
                    return
                report.missing += 1
                step.note("missing")
            else:
                report.bad += 1
                step.note("bad")
                what = await set_aside(fleet, node, key, verdict.file, self._pace.throttle)
                step.long_note(what)
            done = self._how.heal and await self._can_heal(key, step)
            if not done:
                step.fail()
        if done and await self._heal(report, key):
            report.healed += 1

    async def _can_heal(self, key: Key, step: Step) -> bool:
        """Tell whether there is any other copy."""
        places = await asyncio.to_thread(self._fleet.session.places, key)
        if not (places.counted or places.untrusted):
            step.warning("no other copy of it is known")
            return False
        return True

    def _step(self, node: UUID, key: Key) -> AbstractContextManager[Step]:
        """Begin to show a problem."""
        return self._show.step("scrub", key, f"on {self._fleet.name(node)}")
