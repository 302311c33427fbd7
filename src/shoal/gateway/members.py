"""Who belongs to a cluster, and which of them a request may go to."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.gateway.node import Node
from shoal.gateway.reach import Reach
from shoal.gateway.topology import Route, Router, Topology
from shoal.remotes.base import Caller
from shoal.values.uuid import UUID

_BYPASS = 2  # the first protocol version in which a client names the gateways it came by
_MOST_ROUTES = 100  # sets of gateways that requests came by, for which the routes are kept


class Members:
    """The nodes of one cluster as one gateway knows them, and the other gateways."""

    def __init__(self, gateway: UUID, nodes: Sequence[Node], topology: Topology) -> None:
        """Of several nodes with one UUID, or at one other gateway, the first counts."""
        self._nodes: dict[UUID, Node] = {}
        self._gateways: dict[UUID, Node] = {}
        for node in nodes:
            if node.via is not None and node.is_gateway:
                self._gateways.setdefault(node.via, node)
            else:
                self._nodes.setdefault(node.uuid, node)
        self._router = Router(topology, gateway, [*self._gateways], self._nodes)
        self._routes: dict[frozenset[UUID], list[Route]] = {}
        self._plain = Reach(self._nodes)  # of requests that no other gateway takes part in
        self._is_alone = not self._gateways and all(node.via is None for node in nodes)
        self._gateway = gateway
        self._itself = Caller(gateway, frozenset({gateway}))

    def reach(self, caller: Caller) -> Reach:
        """Give the nodes that a request may go to: none behind a gateway that it came by, and
        none behind any gateway when the client cannot say by which ones it came."""
        if self._is_alone:
            return self._plain
        says = caller.version >= _BYPASS
        nodes = {
            uuid: node
            for uuid, node in self._nodes.items()
            if node.via is None or (says and node.via not in caller.bypass)
        }
        if not says or not self._gateways:
            return self._plain if len(nodes) == len(self._nodes) else Reach(nodes)
        routes = self._routes.get(caller.bypass)
        if routes is None:
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            routes = self._routes[caller.bypass] = self._router.routes(caller.bypass)
        lost: set[UUID] = set()
        for route in routes:
            nodes[route.identity] = self._gateways[route.gateway].along(route, lost)
        return Reach(nodes, lost)

    def passed_on(self, caller: Caller) -> Caller:
        """Give who asks the nodes: this gateway, which shall not be asked in turn."""
        if not caller.bypass:
            return self._itself
        return Caller(self._gateway, caller.bypass | {self._gateway})

    def is_named_by(self, caller: Caller) -> bool:
        """Tell whether a request came by a gateway of shoal: it names this one, too, while one
        of git-annex names only itself and those before it."""
        return self._gateway in caller.bypass
