"""All keys of the git-annex branch, one after another: what is to be done, and what there is.

Keys are streamed, so memory does not grow with their number. A key that no file of the work tree
has is judged by itself, as git-annex does with --all. Keys that are marked as dead are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from shoal.logs.presence import Status
from shoal.logs.trust import TrustLevel
from shoal.operations.plan import Goal, KeyPlan, plan_key
from shoal.operations.world import ClusterWorld, copies_of
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.annex.session import Session
    from shoal.values.key import Key

_NO_COPIES = (TrustLevel.UNTRUSTED, TrustLevel.DEAD)


class Finding(Enum):
    """What may be wrong with a key."""

    LOST = "lost"
    """No copy is known anywhere."""
    UNREACHABLE = "unreachable"
    """Copies are known, and none of them can be reached now."""
    UNDER_REPLICATED = "under-replicated"
    """Fewer copies than numcopies, in and outside of the cluster."""
    OVER_REPLICATED = "over-replicated"
    """More copies than numcopies, of which some on nodes that do not want it could go."""
    MISPLACED = "misplaced"
    """Not on all nodes that it belongs on by now, or on others: a rebalance would act."""


@dataclass(frozen=True, slots=True)
class Example:
    """One key with a finding; `why` is a clause for people."""

    key: Key
    why: str


@dataclass(slots=True)
class Held:
    """What one node has by the location logs."""

    keys: int = 0
    size: int = 0  # bytes; keys of unknown size count as nothing


@dataclass(slots=True)
class Totals:
    """What was seen of all keys. At most `limit` examples of each finding are kept."""

    limit: int = 0
    keys: int = 0
    size: int = 0  # bytes, each key once
    unknown_sizes: int = 0  # keys
    nodes: dict[UUID, Held] = field(default_factory=dict)
    found: Counter[Finding] = field(default_factory=Counter)
    examples: dict[Finding, list[Example]] = field(default_factory=dict)

    def count(self, key: Key, living: Set[UUID]) -> None:
        """Count a key, and its copies on nodes."""
        size = key.size or 0
        self.keys += 1
        self.size += size
        self.unknown_sizes += key.size is None
        for node in living & self.nodes.keys():
            held = self.nodes[node]
            held.keys += 1
            held.size += size

    def add(self, finding: Finding, key: Key, why: str) -> None:
        """Count a finding."""
        self.found[finding] += 1
        kept = self.examples.setdefault(finding, [])
        if len(kept) < self.limit:
            kept.append(Example(key, why))


def plans(
    session: Session,
    world: ClusterWorld,
    goal: Goal,
    *,
    leaving: frozenset[UUID] = frozenset(),
) -> Iterator[KeyPlan]:
    """Give a plan for each key with which something is to be done, or cannot be done.

    Each counts on those before it being carried out: the sizes of nodes are as they will be then.
    """
    for key, _ in living_keys(session, world):
        plan = plan_key(goal, key, world, leaving=leaving)
        if plan is not None:
            world.note(plan)
            yield plan


def plans_for_all(session: Session, world: ClusterWorld, goal: Goal) -> Iterator[KeyPlan]:
    """Give a plan for every key, an empty one if nothing is to be done, with where the key is
    logged to be. None counts on others; whoever wants that tells the world of them."""
    for key, _ in living_keys(session, world):
        plan = plan_key(goal, key, world) or KeyPlan(key, (), (), "")
        yield replace(plan, logged=frozenset(world.facts(key)[0].raw_locations()))


def inspect(session: Session, world: ClusterWorld, *, examples: int = 0) -> Totals:
    """Look at every key; keep up to so many `examples` of each finding."""
    totals = Totals(limit=examples, nodes={node: Held() for node in world.nodes})
    for key, living in living_keys(session, world):
        totals.count(key, living)
        plan = plan_key(Goal.REBALANCE, key, world)
        _judge(totals, world, key, living, plan)
        if plan is not None:
            world.note(plan)
    return totals


def living_keys(session: Session, world: ClusterWorld) -> Iterator[tuple[Key, Set[UUID]]]:
    """Give every key that is not dead, and the living repositories that have it."""
    for key, raw in session.logs.scan_locations():
        living = copies_of(world.facts(key, raw)[0])
        if living or not _is_dead(session, key):
            yield key, living


def _is_dead(session: Session, key: Key) -> bool:
    statuses = session.logs.location_log(key).values()
    return all(status is Status.DEAD for status in statuses)


def _judge(
    totals: Totals, world: ClusterWorld, key: Key, living: Set[UUID], plan: KeyPlan | None
) -> None:
    """Note what is wrong with a key. `plan` is for a rebalance."""
    if not living:
        return totals.add(Finding.LOST, key, "no copy is known")
    if not any(map(world.is_up, living)):
        names = " and ".join(sorted(map(world.name, living)))
        totals.add(Finding.UNREACHABLE, key, f"only on {names}")
    wanted = world.needed(key).numcopies
    copies = sum(world.trust(repo) not in _NO_COPIES for repo in living)
    if copies < wanted:
        totals.add(Finding.UNDER_REPLICATED, key, f"{copies} of {wanted} copies")
    if plan is None:
        return None
    if copies > wanted and plan.drop_from:
        totals.add(Finding.OVER_REPLICATED, key, f"{copies} copies, {wanted} needed, {plan.reason}")
    return totals.add(Finding.MISPLACED, key, ", ".join(filter(None, (plan.reason, plan.blocked))))
