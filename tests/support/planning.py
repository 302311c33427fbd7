"""A cluster in dictionaries, for tests of planners: real expressions, and sizes that follow
from which keys the nodes have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from shoal.annex.proof import Needed
from shoal.logs.trust import TrustLevel
from shoal.operations.plan import Goal, KeyPlan, plan_key
from shoal.operations.planned import PlannedFacts
from shoal.preferred.policy import Policy
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.facts import DictFacts

_NOBODY: frozenset[UUID] = frozenset()


def node(number: int) -> UUID:
    """Give the UUID of a repository; its name is `r` and the number."""
    return UUID(f"{number:08x}-0000-4000-8000-000000000000")


@dataclass
class DictWorld:
    """The World of plan.py. `have` says which repositories have which keys; `wanted` and
    `required` are expressions, "" wants everything."""

    nodes: Sequence[UUID]
    have: dict[Key, set[UUID]]
    wanted: Mapping[UUID, str] = field(default_factory=dict)
    required: Mapping[UUID, str] = field(default_factory=dict)
    groups: Mapping[UUID, Set[str]] = field(default_factory=dict)
    trusts: Mapping[UUID, TrustLevel] = field(default_factory=dict)
    max_sizes: Mapping[UUID, int] = field(default_factory=dict)
    down: Set[UUID] = _NOBODY
    numcopies: int = 1
    mincopies: int = 1

    def name(self, repo: UUID) -> str:
        return f"r{int(repo[:8], 16)}"

    def is_up(self, repo: UUID) -> bool:
        return repo not in self.down

    def trust(self, repo: UUID) -> TrustLevel:
        return self.trusts.get(repo, TrustLevel.SEMITRUSTED)

    def locations(self, key: Key) -> Set[UUID]:
        return self.facts(key).locations()

    def needed(self, key: Key) -> Needed:
        return Needed(self.numcopies, self.mincopies)

    def room(self, node: UUID) -> int | None:
        limit = self.max_sizes.get(node)
        return limit - self.size(node) if limit else None

    def wants(
        self, node: UUID, key: Key, copies: Set[UUID], *, rebalance: bool, without: Set[UUID]
    ) -> bool:
        facts = self.facts(key)
        planned = PlannedFacts(facts, facts, copies, without)
        absent = {node} if node in copies else set()
        policy = Policy.of(node, facts)
        return policy.wants(planned, default=True, absent=absent, rebalance=rebalance)

    def facts(self, key: Key) -> DictFacts:
        """Give what is so now."""
        return DictFacts(
            key,
            present_in=frozenset(self.have.get(key, ())),
            trusts=self.trusts,
            groups_of=self.groups,
            copies_wanted=self.numcopies,
            max_sizes=self.max_sizes,
            sizes={repo: self.size(repo) for repo in self.nodes},
            wanted_texts=self.wanted,
            required_texts=self.required,
        )

    def size(self, repo: UUID) -> int:
        """Give the bytes that a repository has."""
        return sum(key.size or 0 for key, holders in self.have.items() if repo in holders)

    def plan(self, goal: Goal, key: Key, *leaving: UUID) -> KeyPlan | None:
        """Plan for one key."""
        return plan_key(goal, key, self, leaving=frozenset(leaving))

    def carry_out(self, plan: KeyPlan) -> None:
        """Do what was planned."""
        holders = self.have.setdefault(plan.key, set())
        holders |= set(plan.copy_to)
        holders -= set(plan.drop_from)
