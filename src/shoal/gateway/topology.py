"""Which gateways a cluster has, which nodes each of them serves itself, and the routes there. Pure.

All of it is read from proxy.log. A gateway publishes a node of its own under some name, and a
node that it reaches through another gateway under that gateway's name for it, with the name of
its remote before it: `NYC-noden3`. So the log tells who passes requests on to whom.

A request must come to each gateway once, whatever the graph. The gateway that a client asked
finds the shortest way to each of the others. Each neighbour that it asks is told (by BYPASS)
of all gateways but those that it is to pass the request on to. Source of the rules for BYPASS:
git-annex's P2P protocol design; git-annex 10.20261026 only names itself and those before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.logs.proxy import Proxied

_VIA = "via "  # no repository's UUID has a space


def identity_of(gateway: UUID, instead_of: UUID | None = None) -> UUID:
    """Name a gateway as a node of a cluster: not the repository that the gateway has, which may
    be a node too. This is in no log and goes over no wire."""
    return UUID(f"{_VIA}{gateway}" if instead_of is None else f"{_VIA}{gateway} for {instead_of}")


def is_repository(uuid: UUID) -> bool:
    """Tell whether a UUID is a repository's: not a cluster's, not a gateway's as a node."""
    return not is_cluster_uuid(uuid) and not uuid.startswith(_VIA)


@dataclass(frozen=True, slots=True)
class Topology:
    """The gateways of one cluster: the nodes that each serves itself, and to which other
    gateways it passes requests on."""

    nodes: Mapping[UUID, frozenset[UUID]] = field(default_factory=dict)
    neighbours: Mapping[UUID, frozenset[UUID]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """How a gateway is asked.

    `gateways` are the one that is asked and those that it passes the request on to; `bypass`
    are all that it must not ask. `nodes` are those that all of them serve themselves, and
    `only_there` the ones that cannot be asked without them; both are None when that is not
    known. `instead_of`: it is asked only when that gateway cannot be reached.
    """

    gateway: UUID
    gateways: frozenset[UUID]
    bypass: frozenset[UUID]
    nodes: frozenset[UUID] | None
    only_there: frozenset[UUID] | None
    instead_of: UUID | None = None

    @property
    def identity(self) -> UUID:
        return identity_of(self.gateway, self.instead_of)


def topology_of(
    cluster: UUID, nodes: Collection[UUID], proxies: Mapping[UUID, Iterable[Proxied]]
) -> Topology:
    """Read from what each gateway publishes how the gateways of a cluster are connected;
    `nodes` are the cluster's."""
    lines = {gateway: list(line) for gateway, line in proxies.items()}
    lines = {g: line for g, line in lines.items() if any(one.uuid == cluster for one in line)}
    names: dict[UUID, list[tuple[UUID, str]]] = {}  # of each node: who publishes it, and how
    for gateway, line in lines.items():
        for one in line:
            if one.uuid in nodes:
                names.setdefault(one.uuid, []).append((gateway, one.name))
    own: dict[UUID, set[UUID]] = {gateway: set() for gateway in lines}
    neighbours: dict[UUID, set[UUID]] = {gateway: set() for gateway in lines}
    for node, known in names.items():
        for gateway, name in known:
            others = [(h, n) for h, n in known if h != gateway and name.endswith(f"-{n}")]
            if others:
                nearest, _ = max(others, key=lambda other: len(other[1]))
                neighbours[gateway].add(nearest)
            else:
                own[gateway].add(node)
    return Topology(
        {gateway: frozenset(found) for gateway, found in own.items()},
        {gateway: frozenset(found) for gateway, found in neighbours.items()},
    )


class Router:
    """Finds the routes from the gateway `here` to the gateways that it asks itself."""

    def __init__(
        self, topology: Topology, here: UUID, asked: Sequence[UUID], own: Collection[UUID]
    ) -> None:
        """`own` are the nodes that are asked directly."""
        self._topology = topology
        self._here = here
        self._asked = [gateway for gateway in asked if gateway != here]
        self._own = frozenset(own)

    def routes(self, bypass: frozenset[UUID]) -> list[Route]:
        """Give a route to each neighbour that may be asked for a request that came by the
        gateways in `bypass`. After those come routes for when one of them cannot be reached."""
        asked = [gateway for gateway in self._asked if gateway not in bypass]
        usual = self._divide(asked, bypass)
        found = [self._route(gateway, *divided) for gateway, divided in usual.items()]
        for lost in asked:
            left = self._divide([each for each in asked if each != lost], bypass)
            for gateway, (behind, avoided) in left.items():
                more = behind - usual[gateway][0]
                if more & usual[lost][0]:
                    found.append(self._route(gateway, more, avoided, instead_of=lost))
        return found

    def _divide(
        self, asked: Sequence[UUID], bypass: frozenset[UUID]
    ) -> dict[UUID, tuple[frozenset[UUID], frozenset[UUID]]]:
        """Give for each of the `asked` the gateways to which it is nearest, itself included,
        and those that it must not ask."""
        nearest = {gateway: gateway for gateway in asked}
        edge = list(asked)
        while edge:
            beyond = []
            for gateway in edge:
                for neighbour in sorted(self._topology.neighbours.get(gateway, ())):
                    if neighbour not in {*nearest, *bypass, self._here}:
                        nearest[neighbour] = nearest[gateway]
                        beyond.append(neighbour)
            edge = beyond
        divided = {}
        for gateway in asked:
            behind = frozenset(each for each, first in nearest.items() if first == gateway)
            # It is named, too. So it knows that it is asked on purpose, by a shoal gateway.
            avoided = (bypass | {self._here} | nearest.keys()) - (behind - {gateway})
            divided[gateway] = behind, avoided
        return divided

    def _route(
        self,
        gateway: UUID,
        gateways: frozenset[UUID],
        bypass: frozenset[UUID],
        instead_of: UUID | None = None,
    ) -> Route:
        served = [self._topology.nodes.get(each) for each in gateways]
        nodes: frozenset[UUID] | None = frozenset()
        for some in served:
            nodes = None if nodes is None or some is None else nodes | some
        only_there = None if nodes is None else nodes - self._own
        return Route(gateway, gateways, bypass, nodes, only_there, instead_of)
