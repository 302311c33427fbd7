"""Carrying out plans: copies first, then drops, each with a proof, several keys at once.

Nothing of a run is remembered but what the location logs say: a run that was killed is
continued by planning again. What fails with one key stops no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from shoal.annex.automatic import requires
from shoal.annex.dropping import Dropping
from shoal.annex.matching import Candidate
from shoal.annex.reporting import Reporter, report_unreachable
from shoal.annex.verifying import DropRefused
from shoal.errors import ShoalError
from shoal.operations.copykey import KeyCopy
from shoal.operations.pace import Budget, Throttle

if TYPE_CHECKING:
    from shoal.gateway.node import Node
    from shoal.operations.copykey import Copied
    from shoal.operations.fleet import Fleet
    from shoal.operations.plan import KeyPlan
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

T = TypeVar("T")

_OTHERS_NEED = (0.1, 0.5, 2.0)  # seconds to wait for one who is removing what we could not


class Step(Reporter, Protocol):
    """Shows one action on one key. A ShoalError that ends it counts as its failure."""

    def fail(self) -> None:
        """Let the action end as a failure."""


class Show(Protocol):
    """Shows what is done."""

    def step(self, action: str, key: Key, note: str) -> AbstractContextManager[Step]:
        """Begin to show an action, such as "copy", with a first note. The context swallows a
        ShoalError."""


@dataclass(slots=True)
class Tally:
    """What a run did. Sizes are in bytes; a key of unknown size counts as nothing."""

    copied: int = 0  # copies made
    copied_size: int = 0
    sent: int = 0  # bytes read and sent, of copies that failed too
    dropped: int = 0  # copies dropped
    dropped_size: int = 0
    failed: int = 0  # actions
    blocked: int = 0  # plans of which not all can be done now
    bad: dict[UUID, list[Key]] = field(default_factory=dict)
    """Copies that were found to be bad when they were read."""
    spent: str = ""
    """Why the run ended before all was done, "" when it did not."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run goes about it: `jobs` keys at once, within the limits of the others."""

    jobs: int = 1
    throttle: Throttle = field(default_factory=Throttle)
    budget: Budget = field(default_factory=Budget)


Replan = Callable[["KeyPlan"], Awaitable["KeyPlan | None"]]
"""Plan again for the key of a plan, with what is known now."""


async def as_planned(plan: KeyPlan) -> KeyPlan | None:
    """A Replan that leaves plans as they are."""
    return plan


class Applier:
    """Carries out plans in the nodes of `fleet`. `tally` is up to date at any time."""

    def __init__(self, fleet: Fleet, show: Show, pace: Pace, replan: Replan = as_planned) -> None:
        self._fleet = fleet
        self._show = show
        self._pace = pace
        self._replan = replan
        self.tally = Tally()

    async def run(self, plans: Iterator[KeyPlan]) -> Tally:
        """Carry out all of `plans`, which may block, as long as the limits allow it."""
        budget = self._pace.budget
        self.tally.blocked = 0  # what could not be done in an earlier run is met again

        async def work(plan: KeyPlan) -> None:
            if budget.in_time():
                await self.carry_out(plan)

        try:
            await work_off(plans, self._pace.jobs, work, until=lambda: not budget.in_time())
        finally:
            self.tally.spent = budget.spent
        return self.tally

    async def carry_out(self, plan: KeyPlan) -> bool:
        """Carry out one plan, as it is when it is made again now; tell whether all was done."""
        await self._fleet.refresh()
        current = await self._replan(plan)
        if current is None:
            return True
        if not self._pace.budget.allows(_cost(current)):
            return False
        if current.blocked:
            self.tally.blocked += 1
        done = not current.copy_to or await self._copy(current)
        if done:
            for uuid in current.drop_from:
                done = await self._drop(current, uuid) and done
        await self._fleet.commit()
        return done and not current.blocked

    async def _copy(self, plan: KeyPlan) -> bool:
        """Copy a key to where it is to be; tell whether it is there."""
        key, fleet = plan.key, self._fleet
        result: Copied | None = None
        to = f"to {', '.join(map(fleet.name, plan.copy_to))}..."
        with self._show.step("copy", key, to) as step:
            step.field(reason=plan.reason, to=[self._shown(uuid) for uuid in plan.copy_to])

            def reading(source: Node) -> None:
                step.note(f"from {source.name}...")
                step.field(**{"from": self._shown(source.uuid)})

            copying = KeyCopy(
                fleet,
                key,
                self._pace.throttle,
                lambda count: step.progress(count, key.size),
                reading,
            )
            async with fleet.reserving(key, plan.copy_to) as with_room:
                result = await copying.run([uuid for uuid in plan.copy_to if uuid in with_room])
            for uuid in plan.copy_to:
                if uuid not in with_room:
                    result.failed[uuid] = "not enough space within its maximum size"
            for uuid, cause in result.failed.items():
                step.warning(f"{fleet.name(uuid)}: {cause}")
            for uuid in result.bad:
                step.warning(f"the copy in {fleet.name(uuid)} is bad; run: shoal cluster scrub")
                self.tally.bad.setdefault(uuid, []).append(key)
            if result.failed:
                step.fail()
        if result is not None:
            self.tally.copied += len(result.stored)
            self.tally.copied_size += len(result.stored) * (key.size or 0)
            self.tally.sent += result.sent
        done = result is not None and not result.failed
        self.tally.failed += not done
        return done

    async def _drop(self, plan: KeyPlan, uuid: UUID) -> bool:
        """Drop a key from one node, with a proof; tell whether it is gone there."""
        key = plan.key
        gone = False
        with self._show.step("drop", key, f"from {self._fleet.name(uuid)}...") as step:
            step.field(reason=plan.reason, **{"from": self._shown(uuid)})
            gone = await self._drop_safely(key, uuid, step)
            if not gone:
                step.fail()
        if gone:
            self.tally.dropped += 1
            self.tally.dropped_size += key.size or 0
        self.tally.failed += not gone
        return gone

    async def _drop_safely(self, key: Key, uuid: UUID, step: Step) -> bool:
        """As `git annex drop --from` does it: numcopies, mincopies, required content, locks."""
        session, candidate = self._fleet.session, Candidate(key)
        if await asyncio.to_thread(requires, session, uuid, candidate):
            step.long_note("That is required content there. It cannot be dropped!")
            return False
        needed = await asyncio.to_thread(session.copies.of_key, key)
        dropping = Dropping(self._fleet, self._fleet.settings_of(uuid))
        try:
            gone = await dropping.drop(candidate, needed, step)
            return gone or await self._is_gone(key, uuid, _OTHERS_NEED)
        except DropRefused as refused:
            if await self._is_gone(key, uuid):
                return True
            step.note("unsafe")
            step.long_note(str(refused.shortage))
            report_unreachable(step, refused.unavailable)
        return False

    async def _is_gone(self, key: Key, uuid: UUID, waits: tuple[float, ...] = ()) -> bool:
        """Tell whether somebody else dropped the key at the same time, and record it then.
        While it is there it is looked for again after each of `waits`, in seconds."""
        node = self._fleet.node(uuid)
        for seconds in (0.0, *waits):
            await asyncio.sleep(seconds)
            try:
                there = await node.ask(lambda remote: remote.check_present(key))
            except ShoalError:
                return False
            if not there:
                await self._fleet.record(key, missing=[uuid])
                return True
        return False

    def _shown(self, uuid: UUID) -> dict[str, str]:
        return {"uuid": uuid, "name": self._fleet.name(uuid)}


async def work_off(
    items: Iterator[T],
    jobs: int,
    work: Callable[[T], Awaitable[None]],
    until: Callable[[], bool] = lambda: False,
) -> None:
    """Do `work` on each of `items`, on `jobs` of them at once, or until `until` says so.

    The iterator may block: it runs in threads, one at a time. A generator is closed at the
    end. The first error ends all.
    """
    taking = asyncio.Lock()

    async def run() -> None:
        while True:
            async with taking:
                item = None if until() else await asyncio.to_thread(next, items, None)
            if item is None:
                return
            await work(item)

    workers = [asyncio.create_task(run(), name=f"worker {number}") for number in range(jobs)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)
        close(items)


def close(items: Iterator[object]) -> None:
    """Let a generator free what it holds, unless a thread that was left behind is in it."""
    if isinstance(items, Generator):
        with suppress(ValueError):
            items.close()


def _cost(plan: KeyPlan) -> int:
    """Give how many bytes a plan sends."""
    return (plan.key.size or 0) * len(plan.copy_to)
