"""What one request to a cluster can reach: its nodes here, and other gateways.

Another gateway is a node with an identity of its own. What it is expected to have and to want
is decided by the nodes that are really behind it, never by the cluster's UUID, which every
list of locations has as soon as any node of the cluster has the key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shoal.gateway.node import Node
from shoal.gateway.topology import Route, is_repository
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.gateway.choosing import Choosing, Placed, Room
    from shoal.gateway.records import Records
    from shoal.values.key import Key


class Reach:
    """The nodes of one request: `nodes` are all of them by identity, in the order in which
    answers list them; `usual` are those that are asked first. `lost` are the gateways that
    could not be reached so far."""

    def __init__(self, nodes: Mapping[UUID, Node], lost: set[UUID] | None = None) -> None:
        self.nodes = nodes
        self.lost: set[UUID] = set() if lost is None else lost
        self.usual = {u: node for u, node in nodes.items() if not _stands_in(node)}
        self.routes = {uuid: node.route for uuid, node in nodes.items() if node.route is not None}
        self.takers: dict[UUID, frozenset[UUID]] = {}  # who is to get the key behind a gateway

    @property
    def needed_now(self) -> dict[UUID, Node]:
        """Those that stand in for gateways that were lost."""
        return {u: node for u, node in self.nodes.items() if _stands_in(node) and node.is_needed}

    def rounds(self) -> Iterator[dict[UUID, Node]]:
        """Give the nodes to ask at once; and then those to ask because of what was lost."""
        yield self.usual
        if instead := self.needed_now:
            yield instead

    def with_gateways(self, logged: frozenset[UUID]) -> frozenset[UUID]:
        """Give locations with the gateways added that are known to have one of them behind."""
        if not self.routes:
            return logged
        found = (u for u, route in self.routes.items() if (route.nodes or frozenset()) & logged)
        return logged.union(found)

    def still_failing(self, failures: Mapping[UUID, Exception]) -> dict[UUID, Exception]:
        """Leave out the failures of gateways in whose place others answered."""
        answered = {u: self.routes[u] for u in self.needed_now if u not in failures}
        return {
            uuid: error
            for uuid, error in failures.items()
            if uuid not in self.routes or not _is_covered(self.routes[uuid], answered.values())
        }


def _stands_in(node: Node) -> bool:
    return node.route is not None and node.route.instead_of is not None


def _is_covered(lost: Route, others: Collection[Route]) -> bool:
    """Tell whether others passed a request on to all gateways that a lost one stands for."""
    return any(lost.gateways <= other.gateways for other in others)


class ReachRecords:
    """Records of which requests to a cluster with other gateways make use."""

    def __init__(self, records: Records, reach: Reach) -> None:
        self._records = records
        self._reach = reach

    def locations(self, key: Key) -> frozenset[UUID]:
        return self._reach.with_gateways(self._records.locations(key))

    def kept_locations(self, key: Key) -> frozenset[UUID] | None:
        kept = self._records.kept_locations(key)
        return None if kept is None else self._reach.with_gateways(kept)

    def found(self, key: Key, node: UUID) -> bool:
        return is_repository(node) and self._records.found(key, node)

    @contextmanager
    def choosing(self, nodes: Collection[UUID], placed: Placed) -> Iterator[Choosing]:
        behind = (route.only_there or frozenset() for route in self._reach.routes.values())
        repositories = frozenset(filter(is_repository, nodes)).union(*behind)
        with self._records.choosing(repositories, placed) as choosing:
            yield _GatewayChoosing(choosing, self._reach)

    def record(self, key: Key, present: Collection[UUID], missing: Collection[UUID]) -> None:
        self._records.record(
            key, list(filter(is_repository, present)), list(filter(is_repository, missing))
        )


class _GatewayChoosing:
    """A choice in which a gateway stands for the nodes that only it can ask."""

    def __init__(self, choosing: Choosing, reach: Reach) -> None:
        self._choosing = choosing
        self._reach = reach

    def is_leaving(self, node: UUID) -> bool:
        behind = self._behind(node)
        if not self._reach.nodes[node].is_needed:
            return True
        return behind is not None and all(map(self._choosing.is_leaving, behind))

    def has_room(self, node: UUID) -> bool:
        behind = self._behind(node)
        return behind is None or any(map(self._choosing.has_room, behind))

    def wants(
        self, node: UUID, present: frozenset[UUID], *, whatever_its_size: bool = False
    ) -> bool:
        """Those behind a gateway are asked one after another, as it will do."""
        real = self._repositories(present)
        behind = self._behind(node)
        if behind is None:
            return True
        takers: frozenset[UUID] = frozenset()
        for each in sorted(behind - (real - {node})):
            if self._choosing.wants(
                each, (real | takers) - {each}, whatever_its_size=whatever_its_size
            ):
                takers |= {each}
        self._reach.takers[node] = takers
        return bool(takers)

    def reserve(self, node: UUID) -> Room | None:
        return self._choosing.reserve(node) if is_repository(node) else None

    def _behind(self, node: UUID) -> frozenset[UUID] | None:
        """Give the repositories that a node stands for; None when they are not known."""
        route = self._reach.routes.get(node)
        return frozenset({node}) if route is None else route.only_there

    def _repositories(self, present: Collection[UUID]) -> frozenset[UUID]:
        taken = (self._reach.takers.get(uuid, frozenset({uuid})) for uuid in present)
        return frozenset(filter(is_repository, frozenset().union(*taken)))
