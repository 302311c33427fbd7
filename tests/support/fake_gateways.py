"""Gateways of one cluster that are connected in some graph, all in memory: for tests.

rig = FakeGateways({"a": "bc", "b": "ac", "c": "ab"})   # a triangle
await put(rig.clusters["a"], key, content)
rig.cut("a", "b")                                       # no request passes, either way
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from shoal.errors import RemoteUnavailable
from shoal.gateway.cluster import ClusterRemote
from shoal.gateway.node import Node
from shoal.gateway.patience import Limits, Patience
from shoal.gateway.topology import Topology, topology_of
from shoal.logs.proxy import Proxied
from shoal.remotes.base import (
    NOBODY,
    AlreadyPresent,
    Caller,
    Remote,
    RemoteInfo,
    RemoveResult,
    StoreResult,
    Upload,
)
from shoal.remotes.content import Chunk, Content
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.fake_cluster import CLUSTER, QUICK, FakeRecords, NodeRemote


def gateway_uuid(name: str) -> UUID:
    return UUID(f"99999999-0000-4000-8000-{ord(name):012d}")


def node_of(name: str, number: int = 1) -> UUID:
    """Give the UUID of a gateway's own node."""
    return UUID(f"11111111-{number:04d}-4000-8000-{ord(name):012d}")


class Link(Remote):
    """The cluster at another gateway, as long as the link there is not cut."""

    def __init__(self, name: str, there: Callable[[], Remote]) -> None:
        self._name = name
        self._there = there
        self.is_cut = False
        self.cut_after: int | None = None  # bytes of an upload
        self.callers: list[Caller] = []

    @property
    def info(self) -> RemoteInfo:
        return RemoteInfo(CLUSTER, self._name, 200.0)

    def _ask(self, caller: Caller) -> Remote:
        self._check()
        self.callers.append(caller)
        return self._there()

    def _check(self) -> None:
        if self.is_cut:
            raise RemoteUnavailable(self._name, "the link is cut")

    async def check_present(self, key: Key, *, caller: Caller = NOBODY) -> bool:
        return await self._ask(caller).check_present(key, caller=caller)

    def retrieve(
        self, key: Key, offset: int = 0, *, file: str = "", caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Content]:
        return self._retrieve(key, offset, caller)

    @asynccontextmanager
    async def _retrieve(self, key: Key, offset: int, caller: Caller) -> AsyncIterator[Content]:
        async with self._ask(caller).retrieve(key, offset, caller=caller) as content:
            yield content

    async def begin_store(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> Upload | AlreadyPresent:
        begun = await self._ask(caller).begin_store(key, file=file, caller=caller)
        return _LinkUpload(self, begun) if isinstance(begun, Upload) else begun

    async def store_present(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult:
        return await self._ask(caller).store_present(key, file=file, caller=caller)

    async def remove(
        self, key: Key, *, before: int | None = None, caller: Caller = NOBODY
    ) -> RemoveResult:
        return await self._ask(caller).remove(key, before=before, caller=caller)

    async def timestamp(self) -> int:
        self._check()
        return await self._there().timestamp()

    def lock_content(
        self, key: Key, *, caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[None]:
        return self._ask(caller).lock_content(key, caller=caller)


class _LinkUpload(Upload):
    def __init__(self, link: Link, there: Upload) -> None:
        self._link = link
        self._there = there
        self.offset = there.offset

    async def store(self, content: Content) -> StoreResult:
        if self._link.cut_after is None:
            return await self._there.store(content)
        try:
            return await self._there.store(_Cut(self._link, content, self._link.cut_after))
        finally:
            await self._there.aclose()  # who is there sees the end of the connection

    async def aclose(self) -> None:
        await self._there.aclose()


class _Cut(Content):
    """Content that breaks off together with the link."""

    def __init__(self, link: Link, content: Content, after: int) -> None:
        self._link = link
        self._content = content
        self._left = after
        self.offset = content.offset
        self.size = content.size

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        async for chunk in self._content.stream(skip):
            self._left -= len(chunk)
            if self._left < 0:
                self._link.is_cut = True
                raise RemoteUnavailable("link", "it was cut")
            yield chunk

    async def confirm(self) -> bool:
        return await self._content.confirm()


class FakeGateways:
    """Gateways with one-letter names, each with nodes of its own, that know each other."""

    def __init__(
        self,
        graph: Mapping[str, Iterable[str]],
        *,
        nodes: int = 1,
        shared: Mapping[str, Iterable[str]] | None = None,
        limits: Limits = QUICK,
        knows: bool = True,
        clocks: Mapping[str, float] | None = None,
    ) -> None:
        """`graph` names the gateways that each asks; `shared` those whose first node each also
        reaches itself. Without `knows` nobody has read what the others publish."""
        self.graph = {name: list(others) for name, others in graph.items()}
        self.shared = {name: list(others) for name, others in (shared or {}).items()}
        self.remotes = {
            uuid: NodeRemote(uuid, f"n-{name}{number}")
            for name in self.graph
            for number in range(1, nodes + 1)
            for uuid in [node_of(name, number)]
        }
        self.own = {
            name: [node_of(name, n) for n in range(1, nodes + 1)]
            + [node_of(other) for other in self.shared.get(name, [])]
            for name in self.graph
        }
        self.records = {name: FakeRecords(at_hand=True) for name in self.graph}
        self.links = {
            (name, other): Link(f"{other}-cluster", partial(self._served_by, other))
            for name, others in self.graph.items()
            for other in others
        }
        published = self._published()
        topology = topology_of(CLUSTER, [*self.remotes], published) if knows else Topology()
        self.clusters: dict[str, ClusterRemote] = {
            name: self._cluster(name, topology, limits, (clocks or {}).get(name, 5000.5))
            for name in self.graph
        }

    def _served_by(self, name: str) -> Remote:
        return self.clusters[name]

    def _cluster(
        self, name: str, topology: Topology, limits: Limits, clock: float
    ) -> ClusterRemote:
        patience = Patience(limits)
        nodes = [Node(self.remotes[uuid], patience) for uuid in self.own[name]]
        nodes += [
            Node(self.links[name, other], patience, via=gateway_uuid(other))
            for other in self.graph[name]
        ]
        return ClusterRemote(
            CLUSTER,
            "cluster",
            gateway_uuid(name),
            nodes,
            self.records[name],
            patience,
            clock=lambda: clock,
            topology=topology,
        )

    def _published(self) -> dict[UUID, set[Proxied]]:
        """Give what each gateway publishes when all have heard of each other: one name of each
        node, by the shortest way."""
        names = {
            name: {uuid: self.remotes[uuid].name for uuid in own} for name, own in self.own.items()
        }
        for _ in self.graph:
            before = {name: dict(known) for name, known in names.items()}
            for name, others in self.graph.items():
                for other in others:
                    for uuid, known in before[other].items():
                        names[name].setdefault(uuid, f"{other}-{known}")
        return {
            gateway_uuid(name): {Proxied(uuid, shown) for uuid, shown in known.items()}
            | {Proxied(CLUSTER, "cluster")}
            for name, known in names.items()
        }

    def cut(self, one: str, other: str) -> None:
        for pair in ((one, other), (other, one)):
            if pair in self.links:
                self.links[pair].is_cut = True

    def mend(self) -> None:
        for link in self.links.values():
            link.is_cut = False
            link.cut_after = None

    def asked(self, verb: str) -> dict[UUID, int]:
        """Give how often each node was asked for something."""
        return {
            uuid: sum(called == verb for called, _ in remote.calls)
            for uuid, remote in self.remotes.items()
        }

    def holders(self, key: Key) -> set[UUID]:
        return {uuid for uuid, remote in self.remotes.items() if key in remote.objects}
