"""What planners ask, answered from a repository that knows the cluster."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from shoal.operations.planned import Network, PlannedFacts
from shoal.preferred.expr import Exclude, Include, Word, terms_of
from shoal.values.uuid import is_cluster_uuid

if TYPE_CHECKING:
    from shoal.annex.proof import Needed
    from shoal.annex.session import Session
    from shoal.git.preferences import RepositoryFacts
    from shoal.logs.trust import TrustLevel
    from shoal.operations.choosing import Cluster
    from shoal.operations.plan import KeyPlan, Repos
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

_OF_FILES = (Include, Exclude)
_ALSO_OF_FILES = frozenset({Word.IN_PREFERRED_DIR, Word.UNUSED})


class ClusterWorld:
    """The World of plan.py: what is logged, and who is up.

    What it says of groups and sizes is as of when it was first asked, with the plans that
    note() was told of; so make a new one to plan with what holds later. It knows the files of
    the work tree when an expression, or the number of copies, may depend on them.
    """

    def __init__(self, session: Session, cluster: Cluster, up: Set[UUID]) -> None:
        """`up` are the repositories, nodes and others, that can be asked for content; whoever
        made the set may change it."""
        self.nodes: Sequence[UUID] = cluster.nodes
        self._session = session
        self._cluster = cluster
        self._up = up
        self._network = Network(session.preferences.facts(None))
        self._policies = {node: session.policy(node) for node in cluster.nodes}
        self._with_files = self._files_matter()
        self._facts: list[RepositoryFacts] = []  # of the key that was asked about last
        self._planned: dict[object, list[PlannedFacts]] = {}  # of the same key

    def name(self, repo: UUID) -> str:
        names = self._session.names
        return (
            self._cluster.names.get(repo)
            or ("here" if repo == self._session.here else "")
            or names.remote_name(repo)
            or names.description(repo)
            or repo
        )

    def is_up(self, repo: UUID) -> bool:
        return repo in self._up

    def trust(self, repo: UUID) -> TrustLevel:
        return self._session.trust(repo)

    def locations(self, key: Key) -> Set[UUID]:
        return copies_of(self.facts(key)[0])

    def needed(self, key: Key) -> Needed:
        copies = self._session.copies
        return copies.of_key(key, self.facts(key)[0].file if copies.may_depend_on_files else None)

    def room(self, node: UUID) -> int | None:
        limit = self._network.max_size(node)
        if not limit:
            return None
        return limit - (self._network.live_size(node) or 0)

    def wants(
        self, node: UUID, key: Key, copies: Repos, *, rebalance: bool, without: Repos
    ) -> bool:
        policy = self._policies[node]
        absent = frozenset({node}) if node in copies else frozenset()
        return any(
            policy.wants(facts, default=True, absent=absent, rebalance=rebalance)
            for facts in self.planned(key, copies, without)
        )

    def planned(
        self, key: Key, copies: frozenset[UUID], without: frozenset[UUID] = frozenset()
    ) -> list[PlannedFacts]:
        """Give the facts for each file of a key, were it in `copies`."""
        current = self.facts(key)
        found = self._planned.get((copies, without))
        if found is None:
            found = [PlannedFacts(now, self._network, copies, without) for now in current]
            self._planned[copies, without] = found
        return found

    def facts(self, key: Key, raw: frozenset[UUID] | None = None) -> list[RepositoryFacts]:
        """Give what is known of a key: for each of its files, or for the key alone.

        `raw` are its logged locations if they are known already. What was looked up is kept
        until another key is asked about, or a plan for it is noted.
        """
        if not self._facts or self._facts[0].key != key or raw is not None:
            files = self._session.copies.files.of(key) if self._with_files else []
            preferences = self._session.preferences
            self._facts = [preferences.facts(key, file, raw) for file in files or [""]]
            self._planned = {}
        return self._facts

    def note(self, plan: KeyPlan) -> None:
        """Count on a plan: sizes are then as they will be after it."""
        size = plan.key.size or 0
        for node in plan.copy_to:
            self._network.grow(node, size)
        for node in plan.drop_from:
            self._network.grow(node, -size)
        self._facts, self._planned = [], {}

    def _files_matter(self) -> bool:
        if self._session.repository.is_bare:
            return False
        if self._session.copies.may_depend_on_files:
            return True
        return any(
            isinstance(term.test, _OF_FILES) or term.test in _ALSO_OF_FILES
            for policy in self._policies.values()
            for expr in (policy.wanted, policy.required)
            for term in terms_of(expr)
        )


def copies_of(facts: RepositoryFacts) -> frozenset[UUID]:
    """Give the living repositories that have a key. Clusters, which have what a node has, are no
    copies of it."""
    return frozenset(repo for repo in facts.locations() if not is_cluster_uuid(repo))
