"""Plans for one key, made from what is known at this moment, just before they are carried out.

A plan may be old by then: clients store and drop, other operators work on the same cluster, and
expressions change. So a run takes from its first plans only which keys to look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set
from typing import TYPE_CHECKING

from shoal.operations.plan import Goal, KeyPlan, plan_key
from shoal.operations.probing import holders
from shoal.operations.world import ClusterWorld

if TYPE_CHECKING:
    from shoal.operations.attendance import Attendance
    from shoal.operations.choosing import Cluster
    from shoal.operations.fleet import Fleet
    from shoal.values.key import Key
    from shoal.values.uuid import UUID


class Planner:
    """Plans for one cluster towards `goal`, with fresh knowledge of who can be asked."""

    def __init__(
        self,
        fleet: Fleet,
        cluster: Cluster,
        attendance: Attendance,
        goal: Goal,
        leaving: frozenset[UUID] = frozenset(),
    ) -> None:
        self.fleet = fleet
        self.cluster = cluster
        self.goal = goal
        self.leaving = leaving
        self._attendance = attendance

    def new_world(self) -> ClusterWorld:
        """Give the world as it is now; who can be asked is always as of now."""
        return ClusterWorld(self.fleet.session, self.cluster, self._attendance.up)

    async def again(self, plan: KeyPlan) -> KeyPlan | None:
        """Plan again for the key of a plan; None: nothing is to be done any more."""
        await self._attendance.look()
        return await asyncio.to_thread(self.plan, plan.key)

    async def checked(self, plan: KeyPlan) -> KeyPlan | None:
        """As again(), after asking all who are logged to have the key whether that is so, and
        correcting the log where it is not."""
        logged = await asyncio.to_thread(self.fleet.session.logs.locations, plan.key, raw=True)
        missing = await self.missing(plan.key, logged)
        for repo in missing:
            await correct(self.fleet, repo, plan.key)
        return await self.again(plan)

    async def missing(self, key: Key, logged: Set[UUID]) -> frozenset[UUID]:
        """Give those that are logged to have a key, and say that they do not."""
        answers = await holders(self.fleet, sorted(logged & self._attendance.up), key)
        return frozenset(repo for repo, answer in answers.items() if answer is False)

    def plan(
        self, key: Key, missing: frozenset[UUID] = frozenset(), world: ClusterWorld | None = None
    ) -> KeyPlan | None:
        """Plan for a key as if it were not in `missing`; in a `world` that counts on plans that
        were made before, or else as things are. Blocking."""
        world = world or self.new_world()
        raw = self.fleet.session.logs.locations(key, raw=True)
        world.facts(key, raw - missing)
        return plan_key(self.goal, key, world, leaving=self.leaving)


async def correct(fleet: Fleet, repo: UUID, key: Key) -> bool:
    """Record that a repository does not have a key, which it just said; tell whether that is
    still so. It may have got the key at the same moment: then that is recorded."""
    await fleet.record(key, missing=[repo])
    there = await fleet.node(repo).ask(lambda remote: remote.check_present(key))
    if there:
        await fleet.record(key, present=[repo])
    return not there
