"""An operation on a cluster: rebalance it, drain nodes of it, or heal it.

    operation = Operation(Planner(fleet, cluster, attendance, Goal.REBALANCE))
    async for plan in operation.plans(): ...      # what would be done; nothing is changed
    tally = await operation.apply(show, pace)     # do it

There is nothing to resume: what is left to do follows from the location logs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from shoal.operations.apply import Applier, Tally, close
from shoal.operations.plan import Goal, KeyPlan
from shoal.operations.preview import Preview
from shoal.operations.survey import plans, plans_for_all

if TYPE_CHECKING:
    from shoal.operations.apply import Pace, Show
    from shoal.operations.replan import Planner
    from shoal.operations.world import ClusterWorld

_PASSES = 3  # over all keys, for what came in while a pass was under way


class Operation:
    """Work on the planner's cluster towards its goal.

    `check`: ask everybody who is logged to have a key whether that is so, and correct the log.
    """

    def __init__(self, planner: Planner, *, check: bool = False) -> None:
        self._planner = planner
        self._fleet = planner.fleet
        self._check = check
        self.names = planner.cluster.names
        self.tally = Tally()
        """What was done so far."""

    async def new_preview(self) -> Preview:
        """Give a preview of the nodes as they are, to add plans to."""
        sizes = await asyncio.to_thread(self._fleet.session.preferences.sizes.sizes)
        return Preview.of({node: sizes.get(node, 0) for node in self._planner.cluster.nodes})

    async def plans(self) -> AsyncIterator[KeyPlan]:
        """Give a plan for each key with which something is to be done, each as if those before
        were carried out. Nothing is changed."""
        world = self._planner.new_world()
        found = self._stream(world)
        try:
            while (plan := await asyncio.to_thread(next, found, None)) is not None:
                if not self._check:
                    yield plan
                elif (plan := await self._checked(plan, world)) is not None:
                    world.note(plan)
                    yield plan
        finally:
            close(found)

    async def _checked(self, plan: KeyPlan, world: ClusterWorld) -> KeyPlan | None:
        """Give what is to be done after asking who has the key of a plan."""
        missing = await self._planner.missing(plan.key, plan.logged)
        if missing:
            return await asyncio.to_thread(self._planner.plan, plan.key, missing, world)
        return None if plan.is_empty else plan

    async def apply(self, show: Show, pace: Pace) -> Tally:
        """Carry out what is to be done, as things are when it is a key's turn. Gives `tally`."""
        replan = self._if_needed if self._check else self._planner.again
        applier = Applier(self._fleet, show, pace, replan)
        tally = self.tally = applier.tally
        for _ in range(_PASSES):
            before = tally.dropped
            await applier.run(self._stream(self._planner.new_world()))
            if self._planner.goal is not Goal.DRAIN or tally.failed or tally.dropped == before:
                break
        return tally

    async def _if_needed(self, plan: KeyPlan) -> KeyPlan | None:
        """Plan again, unless nothing was to be done and all who are logged have the key."""
        if plan.is_empty and not await self._planner.missing(plan.key, plan.logged):
            return None
        return await self._planner.checked(plan)

    def _stream(self, world: ClusterWorld) -> Iterator[KeyPlan]:
        """Give plans by the log; with `check` for all keys, since the log may be wrong."""
        session, planner = self._fleet.session, self._planner
        if self._check:
            return plans_for_all(session, world, planner.goal)
        return plans(session, world, planner.goal, leaving=planner.leaving)
