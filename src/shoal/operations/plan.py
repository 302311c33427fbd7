"""What is to be done with one key of a cluster, to rebalance, drain or heal it. Pure.

The planner looks for the set of repositories that should have the key in the end. It starts
from those that have it now and lets the nodes decide in turn, each as if what was decided before
it were done already, until nobody wants anything else. So a plan that was carried out leaves
nothing to plan for that key.

What all goals share:

* a node that cannot be reached is neither asked to take nor to lose anything;
* a node loses a key only when max(numcopies, mincopies) copies are left that a drop could verify:
  in repositories that can be reached, or in trusted ones;
* a node gets a key only when it stays within its maximum size. Sizes are those after the plans
  made before; a key that finds no room now may find it when the plans for others are carried out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from shoal.annex.proof import Needed
from shoal.logs.trust import TrustLevel
from shoal.values.key import Key
from shoal.values.uuid import UUID

Repos = frozenset[UUID]
_NOBODY: Repos = frozenset()
_NO_COPIES = (TrustLevel.UNTRUSTED, TrustLevel.DEAD)


class Goal(Enum):
    """What plans are made for."""

    REBALANCE = "rebalance"
    """Each key is where its nodes want it, balanced terms looking at where content belongs
    (git-annex's --rebalance); the rest is dropped."""
    DRAIN = "drain"
    """Nothing is left on the leaving nodes."""
    HEAL = "heal"
    """Each key has numcopies copies, and is on every node that wants it; nothing is dropped."""


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """What is to be done with one key; copies come before drops."""

    key: Key
    copy_to: tuple[UUID, ...]
    """Nodes that are to get it, in the order in which they are asked."""
    drop_from: tuple[UUID, ...]
    """Nodes that are to lose it, once the copies are there and a drop proof allows it."""
    reason: str
    """Why, one clause for people: "wanted by n2, 1 of 2 copies"."""
    blocked: str = ""
    """Why nothing, or not all, can be done: "n2 has no room for it"."""
    logged: Repos = _NOBODY
    """Where the log says that the key is, if that was asked for with the plan."""

    @property
    def is_empty(self) -> bool:
        """Nothing is to be done, or to say."""
        return not (self.copy_to or self.drop_from or self.blocked)


class World(Protocol):
    """What the planner may ask. Asking changes nothing."""

    @property
    def nodes(self) -> Sequence[UUID]:
        """The living nodes of the cluster, in the order in which they decide."""

    def name(self, repo: UUID) -> str:
        """What people call a repository."""

    def is_up(self, repo: UUID) -> bool:
        """Tell whether a node, or a repository outside the cluster, can be asked for its
        content. What is not known counts as no."""

    def trust(self, repo: UUID) -> TrustLevel:
        """How far a repository is trusted."""

    def locations(self, key: Key) -> Set[UUID]:
        """Repositories that are logged to have the key, in the cluster and outside; no dead
        ones, no clusters."""

    def needed(self, key: Key) -> Needed:
        """The copies that a drop must leave."""

    def room(self, node: UUID) -> int | None:
        """How many bytes a node may still take after the plans so far, below 0 when it is over
        its maximum size; None: without limit."""

    def wants(
        self, node: UUID, key: Key, copies: Repos, *, rebalance: bool, without: Repos
    ) -> bool:
        """Tell whether a node wants the key when exactly `copies` have it: to get it, or to
        keep it when the node is one of them. `without` are taken to be in no group."""


def plan_key(goal: Goal, key: Key, world: World, *, leaving: Repos = _NOBODY) -> KeyPlan | None:
    """Plan what is to be done with one key; None: nothing is to do, or to say.

    `leaving` nodes take nothing and count for nothing; DRAIN empties them.
    """
    case = _Case(goal, key, world, leaving)
    if not case.now:
        return _without_copies(case)
    if goal is Goal.DRAIN and case.now.isdisjoint(leaving):
        return None
    return case.plan()


def _without_copies(case: _Case) -> KeyPlan | None:
    if case.goal is not Goal.HEAL:
        return None
    reason = f"0 of {case.needed} copies"
    return KeyPlan(case.key, (), (), reason, "no copy of it is known")


class _Case:
    """The question of one key, and what was found on the way."""

    def __init__(self, goal: Goal, key: Key, world: World, leaving: Repos) -> None:
        self.goal = goal
        self.key = key
        self.world = world
        self.leaving = leaving
        self.now = frozenset(world.locations(key))
        needed = world.needed(key)
        self.needed = max(needed.numcopies, needed.mincopies)
        self.others = [node for node in world.nodes if node not in leaving]
        self.full: set[UUID] = set()  # would get it, but have no room
        self.settled = True
        self._answers: dict[tuple[UUID, Repos], bool] = {}

    def plan(self) -> KeyPlan | None:
        """Find where the key should be, and what is to be done for it."""
        start = self.now - self.leaving
        end = self._settle(start) if self.goal is Goal.REBALANCE else self._complete(start)
        copy_to = tuple(node for node in self.others if node in end - start)
        drop_from = tuple(node for node in self.others if node in start - end)
        if self.goal is Goal.DRAIN:
            drop_from = self._leave(end)
        reason = self._reason(start, copy_to, drop_from)
        if copy_to and not any(map(self._up, self.now)):
            holders = self._names(self.now)
            return KeyPlan(self.key, (), (), reason, f"no copy can be reached: {holders}")
        blocked = self._blocked(end, drop_from)
        if not (copy_to or drop_from or blocked):
            return None
        return KeyPlan(self.key, copy_to, drop_from, reason, blocked)

    # Where the key should be

    def _settle(self, start: Repos) -> Repos:
        """Let nodes get and lose the key until it stays where it is. When that never happens,
        because of expressions that contradict each other, it stays as it is now."""
        state, seen = start, {start}
        while True:
            after = self._shrunk(self._grown(state))
            if after == state:
                return state
            if after in seen:
                self.settled = False
                return start
            seen.add(after)
            state = after

    def _complete(self, start: Repos) -> Repos:
        """Let all nodes get it that want it, and any others until there are enough copies."""
        state = self._grown(start)
        while len(self._counted(state)) < self.needed:
            node = self._roomiest(state)
            if node is None:
                break
            state = self._grown(state | {node})
        return state

    def _grown(self, state: Repos) -> Repos:
        """Add the nodes that want to get it, one after another, until no other wants it."""
        self.full.clear()
        before = None
        while state != before:
            before = state
            for node in self.others:
                if node in state or not self._up(node) or not self._wants(node, state):
                    continue
                if self._has_room(node):
                    state |= {node}
                else:
                    self.full.add(node)
        return state

    def _shrunk(self, state: Repos) -> Repos:
        """Take away the nodes that do not want to keep it, one after another, while enough
        copies are left."""
        for node in self.others:
            if (
                node in state
                and self._up(node)
                and len(self._verifiable(state - {node})) >= self.needed
                and not self._wants(node, state)
            ):
                state -= {node}
        return state

    def _roomiest(self, state: Repos) -> UUID | None:
        """Give the node with the most room of those that do not have it, and would count."""
        best: tuple[float, UUID] | None = None
        for node in self.others:
            if node in state or not self._up(node) or not self._has_room(node):
                continue
            room = self.world.room(node)
            free = float("inf") if room is None else room
            if self.world.trust(node) not in _NO_COPIES and (best is None or free > best[0]):
                best = free, node
        return None if best is None else best[1]

    def _leave(self, end: Repos) -> tuple[UUID, ...]:
        """Give the leaving nodes that may lose it when `end` have it."""
        if len(self._verifiable(end)) < self.needed:
            return ()
        return tuple(
            node for node in self.world.nodes if node in self.leaving & self.now and self._up(node)
        )

    # Small questions

    def _up(self, repo: UUID) -> bool:
        return self.world.is_up(repo)

    def _wants(self, node: UUID, copies: Repos) -> bool:
        found = self._answers.get((node, copies))
        if found is None:
            rebalance = self.goal is Goal.REBALANCE
            found = self._answers[node, copies] = self.world.wants(
                node, self.key, copies, rebalance=rebalance, without=self.leaving
            )
        return found

    def _has_room(self, node: UUID) -> bool:
        """Tell whether a node can take the key (again, when it has it now)."""
        room = self.world.room(node)
        return room is None or room >= (0 if node in self.now else self.key.size or 0)

    def _counted(self, state: Repos) -> Repos:
        """Give the copies that numcopies counts: to drain, only those that can be verified."""
        if self.goal is Goal.DRAIN:
            return self._verifiable(state)
        return frozenset(repo for repo in state if self.world.trust(repo) not in _NO_COPIES)

    def _verifiable(self, state: Repos) -> Repos:
        """Give the copies that a drop could count on."""
        return frozenset(
            repo
            for repo in state
            if (level := self.world.trust(repo)) not in _NO_COPIES
            and (level is TrustLevel.TRUSTED or self._up(repo))
        )

    # Words

    def _reason(self, start: Repos, copy_to: Sequence[UUID], drop_from: Sequence[UUID]) -> str:
        wanted = [node for node in copy_to if self._wants(node, start)]
        clauses = [f"wanted by {self._names(wanted)}"] if wanted else []
        if self.goal is Goal.REBALANCE and drop_from:
            clauses.append(f"not wanted by {self._names(drop_from)}")
        if self.goal is not Goal.REBALANCE and (have := len(self._counted(start))) < self.needed:
            clauses.append(f"{have} of {self.needed} copies")
        if self.goal is Goal.DRAIN:
            clauses.append(f"leaves {self._names(self.leaving & self.now)}")
        return ", ".join(clauses)

    def _blocked(self, end: Repos, drop_from: Sequence[UUID]) -> str:
        """Say what stands in the way, if anything does."""
        if not self.settled:
            return "what the nodes want contradicts itself"
        if self.goal is Goal.DRAIN:
            return self._why_it_stays(end, drop_from)
        clauses = []
        if full := self.full - end:
            clauses.append(f"no room on {self._names(full)}")
        down = [n for n in self.others if n not in end and not self._up(n) and self._wants(n, end)]
        if down:
            clauses.append(f"{self._names(down)} cannot be reached")
        if self.goal is Goal.HEAL and len(self._counted(end)) < self.needed:
            clauses.append("no other node can take it")
        return ", ".join(clauses)

    def _why_it_stays(self, end: Repos, drop_from: Sequence[UUID]) -> str:
        """Say why leaving nodes keep it."""
        left = [n for n in self.world.nodes if n in self.leaving & self.now and n not in drop_from]
        if not left:
            return ""
        if (have := len(self._verifiable(end))) < self.needed:
            return f"only {have} of {self.needed} copies could be verified without it"
        return f"{self._names(left)} cannot be reached"

    def _names(self, repos: Iterable[UUID]) -> str:
        return " and ".join(sorted(self.world.name(repo) for repo in repos))
