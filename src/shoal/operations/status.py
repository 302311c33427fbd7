"""What the state of a cluster is: its nodes, how full they are, and what is wrong with keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.annex.linting import SessionNetwork
from shoal.operations.drain import draining
from shoal.operations.probing import Health, State
from shoal.preferred.lint import lint_network

if TYPE_CHECKING:
    from shoal.annex.session import Session
    from shoal.logs.trust import TrustLevel
    from shoal.operations.choosing import Cluster
    from shoal.operations.survey import Totals
    from shoal.preferred.finding import Finding
    from shoal.values.uuid import UUID

_NOT_ASKED = Health(State.UNKNOWN, "not asked")


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node. `size` are the bytes that it is logged to have, `live_size` the same with
    transfers that are under way, `cost` None when it cannot be reached from here."""

    uuid: UUID
    name: str
    description: str
    health: Health
    cost: float | None
    size: int
    live_size: int
    max_size: int | None
    trust: TrustLevel
    groups: tuple[str, ...]
    wanted: str
    required: str
    is_draining: bool
    keys: int | None = None
    """None when the keys were not counted."""


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """A cluster. `totals` None: the keys were not looked at. `warnings` are about what is
    configured."""

    cluster: Cluster
    description: str
    nodes: tuple[NodeStatus, ...]
    numcopies: int
    mincopies: int
    totals: Totals | None = None
    warnings: tuple[Finding, ...] = ()

    @property
    def up(self) -> int:
        """How many nodes are up."""
        return sum(node.health.state is State.UP for node in self.nodes)


def status_of(
    session: Session,
    cluster: Cluster,
    health: Mapping[UUID, Health],
    totals: Totals | None = None,
) -> ClusterStatus:
    """Put together what is known of a cluster. `health` says who is up."""
    needed = session.copies.of_file(None)
    return ClusterStatus(
        cluster,
        session.names.description(cluster.uuid),
        tuple(
            _node(session, cluster, node, health.get(node, _NOT_ASKED), totals)
            for node in sorted(cluster.nodes, key=cluster.names.__getitem__)
        ),
        needed.numcopies,
        needed.mincopies,
        totals,
        tuple(_warnings(session, cluster)),
    )


def _node(
    session: Session, cluster: Cluster, node: UUID, health: Health, totals: Totals | None
) -> NodeStatus:
    logs = session.logs
    facts = session.preferences.facts(None)
    return NodeStatus(
        node,
        cluster.names[node],
        session.names.description(node),
        health,
        next((remote.cost for remote in cluster.remotes if remote.uuid == node), None),
        session.preferences.sizes.sizes().get(node, 0),
        facts.live_size(node) or 0,
        facts.max_size(node),
        session.trust(node),
        tuple(sorted(logs.groups().get(node, ()))),
        logs.wanted().get(node, ""),
        logs.required().get(node, ""),
        node in draining(logs),
        None if totals is None else totals.nodes[node].keys,
    )


def _warnings(session: Session, cluster: Cluster) -> Iterator[Finding]:
    """Give what lint finds about the cluster's nodes, and groups that they are in."""
    groups = session.logs.groups()
    of_nodes = frozenset().union(*(groups.get(node, frozenset()) for node in cluster.nodes))
    for finding in lint_network(SessionNetwork(session)):
        if finding.repo in cluster.nodes or finding.group in of_nodes:
            yield finding
