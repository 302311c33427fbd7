"""Plans for one key, made from what is known at this moment, just before they are carried out.

A plan may be old by then: clients store and drop, other operators work on the same cluster, and
expressions change. So a run takes from its first plans only which keys to look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from shoal.operations.plan import Goal, KeyPlan, plan_key
from shoal.operations.probing import holders
from shoal.operations.world import ClusterWorld

if TYPE_CHECKING:
    from shoal.operations.choosing import Cluster
    from shoal.operations.fleet import Fleet
    from shoal.values.key import Key
    from shoal.values.uuid import UUID


class Planner:
    """Plans for `goal` with fresh knowledge. `up` are the repositories that can be asked."""

    def __init__(
        self,
        fleet: Fleet,
        cluster: Cluster,
        up: Collection[UUID],
        goal: Goal,
        leaving: frozenset[UUID] = frozenset(),
    ) -> None:
        self._fleet = fleet
        self._cluster = cluster
        self._up = frozenset(up)
        self._goal = goal
        self._leaving = leaving

    async def again(self, plan: KeyPlan) -> KeyPlan | None:
        """Plan again for the key of a plan; None: nothing is to be done any more."""
        return await asyncio.to_thread(self.plan, plan.key)

    async def checked(self, plan: KeyPlan) -> KeyPlan | None:
        """As again(), after asking all who are logged to have the key whether that is so, and
        correcting the log where it is not."""
        missing = await self.missing(plan.key)
        for repo in missing:
            await correct(self._fleet, repo, plan.key)
        return await self.again(plan)

    async def missing(self, key: Key) -> frozenset[UUID]:
        """Give the repositories that are logged to have a key, and say that they do not."""
        logged = await asyncio.to_thread(self._fleet.session.logs.locations, key, raw=True)
        answers = await holders(self._fleet, sorted(logged & self._up), key)
        return frozenset(repo for repo, answer in answers.items() if answer is False)

    def plan(
        self, key: Key, missing: frozenset[UUID] = frozenset(), world: ClusterWorld | None = None
    ) -> KeyPlan | None:
        """Plan for a key as if it were not in `missing`; in a `world` that counts on plans that
        were made before, or else as things are. Blocking."""
        world = world or ClusterWorld(self._fleet.session, self._cluster, self._up)
        raw = self._fleet.session.logs.locations(key, raw=True)
        world.facts(key, raw - missing)
        return plan_key(self._goal, key, world, leaving=self._leaving)


async def correct(fleet: Fleet, repo: UUID, key: Key) -> bool:
    """Record that a repository does not have a key, which it just said; tell whether that is
    still so. It may have got the key at the same moment: then that is recorded."""
    await fleet.record(key, missing=[repo])
    there = await fleet.node(repo).ask(lambda remote: remote.check_present(key))
    if there:
        await fleet.record(key, present=[repo])
    return not there
