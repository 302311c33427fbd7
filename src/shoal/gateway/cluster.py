"""A cluster: nodes that together are one remote.

What is true of a cluster is what its nodes say, each for itself, in the request at hand: the
location log helps to choose whom to ask, and is never the answer. A node that is down or
hangs is left out; the others go on, and the answer lists exactly where the key is. What nodes
said is in the gateway's location log before the client hears of it.

The same cluster at another gateway is a node, too. It is told which gateways it must not ask
(topology.py); when it cannot be reached, another gateway that may reach it stands in for it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TypeVar

from shoal.errors import KeyNotPresent, RemoteError, RemoteRefused, ShoalError
from shoal.gateway import outcome, select
from shoal.gateway.download import ClusterDownload
from shoal.gateway.node import Node
from shoal.gateway.patience import Patience, uninterrupted
from shoal.gateway.reach import Reach, ReachRecords
from shoal.gateway.reading import Reading
from shoal.gateway.records import Records, soon
from shoal.gateway.select import Full, Unwanted
from shoal.gateway.topology import Route, Router, Topology, is_repository
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
from shoal.remotes.content import AT_ONCE, Content, MemoryContent, WholeContent
from shoal.values.key import Key
from shoal.values.uuid import UUID

T = TypeVar("T")

_BYPASS = 2  # the first protocol version in which a client names the gateways it came by
_MOST_ROUTES = 100  # sets of gateways that requests came by, for which the routes are kept


def clock_here() -> float:
    """Give this machine's monotonic clock that the P2P protocol uses, in seconds."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class ClusterRemote(Remote):
    """The nodes of one cluster, served under its UUID by one gateway."""

    def __init__(
        self,
        uuid: UUID,
        name: str,
        gateway: UUID,
        nodes: Sequence[Node],
        records: Records,
        patience: Patience,
        *,
        unwanted: Unwanted = Unwanted.ALL,
        full: Full = Full.REFUSE,
        clock: Callable[[], float] = clock_here,
        topology: Topology | None = None,
    ) -> None:
        """`nodes` are in the order in which answers list them; of several with one UUID, or at
        one gateway, the first counts. They belong to the caller, who may share them with other
        clusters: aclose() does not close them. `topology` is known of the other gateways."""
        self._nodes: dict[UUID, Node] = {}
        self._gateways: dict[UUID, Node] = {}
        for node in nodes:
            if node.via is not None and node.is_gateway:
                self._gateways.setdefault(node.via, node)
            else:
                self._nodes.setdefault(node.uuid, node)
        self._router = Router(topology or Topology(), gateway, [*self._gateways], self._nodes)
        self._routes: dict[frozenset[UUID], list[Route]] = {}
        self._plain = Reach(self._nodes)  # of requests that no other gateway takes part in
        self._is_alone = not self._gateways and all(node.via is None for node in nodes)
        self._gateway = gateway
        self._itself = Caller(gateway, frozenset({gateway}))
        self._records = records
        self._patience = patience
        self._unwanted = unwanted
        self._full = full
        self._clock = clock
        self._info = RemoteInfo(
            uuid,
            name,
            min((node.remote.info.cost for node in nodes), default=100.0),
            read_only=all(node.remote.info.read_only for node in nodes),
            can_lock=False,
            monotonic_clock_here=True,
        )

    @property
    def info(self) -> RemoteInfo:
        return self._info

    async def check_present(self, key: Key, *, caller: Caller = NOBODY) -> bool:
        """True as soon as a node says yes. False when the nodes that may have the key (by the
        log; all when it names none) say no. Raises RemoteUnavailable when they are down."""
        reach = self._reach(caller)
        logged = await self._logged(key, reach)
        known = self._look_at_once(key, logged, caller, reach)
        if known is not None:
            return known
        theirs = self._caller(caller)
        failures: dict[UUID, Exception] = {}
        holder = None
        for nodes in reach.rounds():
            holder, failed = await self._find(key, nodes, logged, theirs)
            failures |= failed
            if holder is not None:
                break
        if holder is None:
            error = self._absence(key, reach, logged, failures, caller)
            if isinstance(error, KeyNotPresent):
                return False
            raise error
        if holder not in logged and is_repository(holder):
            await self._record(key, present=[holder])
        return True

    def _absence(
        self,
        key: Key,
        reach: Reach,
        logged: frozenset[UUID],
        failures: Mapping[UUID, Exception],
        caller: Caller,
    ) -> RemoteError:
        """Give the error that is true when no node said that it has the key.

        A gateway of shoal hears of every node that could not be asked: it has a log of its own
        that may name one of them."""
        failures = reach.still_failing(failures)
        if failures and self._gateway in caller.bypass:
            logged |= failures.keys()
        return outcome.absence(self._info.name, str(key), [*reach.nodes], logged, failures)

    async def _find(
        self, key: Key, nodes: Mapping[UUID, Node], logged: frozenset[UUID], theirs: Caller
    ) -> tuple[UUID | None, Mapping[UUID, Exception]]:
        """Ask nodes until one says that it has the key; give that, and who could not answer."""

        async def ask(node: Node) -> bool:
            told = node.heard_from(theirs)
            return await node.ask(lambda remote: remote.check_present(key, caller=told))

        questions = {node.uuid: partial(ask, node) for node in _in_order(nodes, logged)}
        return await self._patience.first_yes(questions, self._patience.limits.hedge)

    def present_at_once(self, key: Key, *, caller: Caller = NOBODY) -> bool | None:
        reach = self._reach(caller)
        return self._look_at_once(key, self._kept(key, reach), caller, reach)

    def _look_at_once(
        self, key: Key, logged: frozenset[UUID] | None, caller: Caller, reach: Reach
    ) -> bool | None:
        """Ask one node after the other, those that are logged to have the key first. What the
        log does not know takes more time; when it is not known what the log knows (None) it is
        compared with the answer soon."""
        theirs = self._caller(caller)
        all_said_no = True
        for node in sorted(reach.usual.values(), key=lambda node: node.uuid not in (logged or ())):
            present = node.present_at_once(key, theirs)
            if present:
                return True if self._knew(key, node, logged) else None
            all_said_no = all_said_no and present is False
        return False if all_said_no else None

    def _knew(self, key: Key, node: Node, logged: frozenset[UUID] | None) -> bool:
        """Tell whether the log knows that a node has the key, or will soon."""
        return self._records.found(key, node.uuid) if logged is None else node.uuid in logged

    def read_at_once(
        self, key: Key, offset: int, most: int, *, caller: Caller = NOBODY
    ) -> bytes | None:
        reach = self._reach(caller)
        return self._take_at_once(key, offset, most, self._kept(key, reach), caller, reach)

    def _take_at_once(
        self,
        key: Key,
        offset: int,
        most: int,
        logged: frozenset[UUID] | None,
        caller: Caller,
        reach: Reach,
    ) -> bytes | None:
        """Read from the first of the nodes that cost least and have the content at hand. As
        with _look_at_once(), they have to be logged to have it."""
        theirs = self._caller(caller)
        order = _in_order(reach.usual, logged or ())
        for node in order:
            if node.cost > order[0].cost or (logged is not None and node.uuid not in logged):
                return None
            content = node.read_at_once(key, offset, most, theirs)
            if content is not None:
                return content if self._knew(key, node, logged) else None
        return None

    def present_soon(
        self, key: Key, tell: Callable[[bool | None], None], *, caller: Caller = NOBODY
    ) -> bool:
        """Ask the best of the nodes that should have the key; that it lacks it says nothing of
        the others."""
        found = self._probable_holder(key, caller)
        if found is None:
            return False
        node, logged = found

        def judge(present: bool | None) -> None:
            tell(True if present and self._knew(key, node, logged) else None)

        return node.present_soon(key, judge, self._caller(caller))

    def read_soon(
        self,
        key: Key,
        offset: int,
        most: int,
        tell: Callable[[bytes | None], None],
        *,
        caller: Caller = NOBODY,
    ) -> bool:
        found = self._probable_holder(key, caller)
        if found is None:
            return False
        node, logged = found

        def judge(content: bytes | None) -> None:
            tell(content if content is not None and self._knew(key, node, logged) else None)

        return node.read_soon(key, offset, most, judge, self._caller(caller))

    def _probable_holder(
        self, key: Key, caller: Caller
    ) -> tuple[Node, frozenset[UUID] | None] | None:
        """Give the node that is read from first, if it should have the key, and what the log
        says where that is at hand. (When there is only one node, it is the one to ask.)"""
        reach = self._reach(caller)
        logged = self._kept(key, reach)
        order = _in_order(reach.usual, logged or ())
        if not order or (len(order) > 1 if logged is None else order[0].uuid not in logged):
            return None
        return order[0], logged

    def retrieve(
        self, key: Key, offset: int = 0, *, file: str = "", caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Content]:
        return self._retrieve(key, offset, file, caller)

    @asynccontextmanager
    async def _retrieve(
        self, key: Key, offset: int, file: str, caller: Caller
    ) -> AsyncIterator[Content]:
        reach = self._reach(caller)
        logged = await self._logged(key, reach)
        small = self._take_at_once(key, offset, AT_ONCE, logged, caller, reach)
        if small is not None:
            yield MemoryContent(small, offset)
            return
        theirs = self._caller(caller)

        def read(node: Node, start: int) -> Reading:
            return Reading(node, key, start, file, theirs)

        name = self._info.name
        download = ClusterDownload(name, _in_order(reach.nodes, logged), read)
        try:
            node = await download.open(offset)
            if node is None:
                raise self._absence(key, reach, logged, download.unavailable, caller)
            if node.uuid not in logged and is_repository(node.uuid):
                await self._record(key, present=[node.uuid])
            yield download
        finally:
            await download.close()

    async def begin_store(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> Upload | AlreadyPresent:
        """AlreadyPresent when nodes say so and none takes the content; they are listed."""
        from shoal.gateway.placing import Placing  # not for those who only look or read
        from shoal.gateway.upload import ClusterUpload

        reach = self._reach(caller)
        theirs, records = self._caller(caller), self._records_of(reach)
        placing = Placing(reach.nodes, records, key, file, theirs, full=self._full)
        try:
            await placing.place(self._info.name, self._unwanted)
            already = placing.already
            holders = outcome.gathered((u, *already[u]) for u in reach.nodes if u in already)
            fresh = [uuid for uuid in holders if uuid not in placing.logged]
            if fresh:
                await self._record(key, present=fresh)
        except BaseException:
            await placing.close()
            raise
        if placing.uploads:
            return ClusterUpload(placing, self._patience)
        await placing.close()
        return self._already(holders, caller)

    def _already(self, holders: tuple[UUID, ...], caller: Caller) -> AlreadyPresent:
        """A gateway of the real git-annex breaks off when it hears of holders here; it names
        only itself and those before it. One of shoal names this gateway, too."""
        is_real = bool(caller.bypass) and self._gateway not in caller.bypass
        return AlreadyPresent(() if is_real else holders)

    async def store_whole(
        self,
        key: Key,
        content: WholeContent,
        *,
        file: str = "",
        caller: Caller = NOBODY,
        agreed: Callable[[], None] = lambda: None,
    ) -> StoreResult | AlreadyPresent:
        stored = self._store_soon(key, content, file, caller, agreed)
        return stored if isinstance(stored, StoreResult | AlreadyPresent) else await stored

    def store_soon(
        self, key: Key, content: WholeContent, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult | AlreadyPresent | Awaitable[StoreResult | AlreadyPresent]:
        return self._store_soon(key, content, file, caller, lambda: None)

    def _store_soon(
        self, key: Key, content: WholeContent, file: str, caller: Caller, agreed: Callable[[], None]
    ) -> StoreResult | AlreadyPresent | Awaitable[StoreResult | AlreadyPresent]:
        """Once begun it is carried to its end even when the caller goes away, so that the log
        says what happened."""
        from shoal.gateway.placing import Placing
        from shoal.gateway.upload import WholeUpload

        reach = self._reach(caller)
        theirs, records = self._caller(caller), self._records_of(reach)
        placing = Placing(
            reach.nodes, records, key, file, theirs, content, full=self._full, agreed=agreed
        )
        upload = WholeUpload(placing, content, self._patience)
        stored = upload.store_at_once()
        if stored is not None:
            return self._told(stored, caller)

        async def store() -> StoreResult | AlreadyPresent:
            return self._told(await upload.store(self._info.name, self._unwanted), caller)

        return uninterrupted(store())

    def _told(
        self, stored: StoreResult | AlreadyPresent, caller: Caller
    ) -> StoreResult | AlreadyPresent:
        if isinstance(stored, AlreadyPresent):
            return self._already(stored.stored_in, caller)
        return stored

    async def store_present(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult:
        """Whichever nodes find the content there now hold it."""
        theirs = self._caller(caller)

        async def ask(node: Node) -> StoreResult:
            told = node.heard_from(theirs)
            return await node.ask(lambda remote: remote.store_present(key, file=file, caller=told))

        reach = self._reach(caller)
        results = await _ask_all(reach, ask)
        result = outcome.stored([*reach.nodes], results, {})
        if result.stored_in:
            await self._record(key, present=result.stored_in)
        outcome.raise_bugs(results)
        return result

    async def remove(
        self, key: Key, *, before: int | None = None, caller: Caller = NOBODY
    ) -> RemoveResult:
        """Remove the key from all nodes, whatever the log says. Once begun it is carried to
        its end even when the caller goes away, so that the log says what happened."""
        return await uninterrupted(self._remove(key, before, caller))

    async def _remove(self, key: Key, before: int | None, caller: Caller) -> RemoveResult:
        theirs = self._caller(caller)

        async def remove(told: Caller, remote: Remote) -> RemoveResult:
            deadline = before
            if before is not None and not remote.info.monotonic_clock_here:
                now_there = await remote.timestamp()
                # Their clock was there, or further, when ours was at most at this point.
                deadline = now_there + math.floor(before - self._clock())
            return await remote.remove(key, before=deadline, caller=told)

        async def ask(node: Node) -> RemoveResult:
            call = partial(remove, node.heard_from(theirs))
            return await node.ask(call, limit=self._patience.limits.stall)

        reach = self._reach(caller)
        results = await _ask_all(reach, ask)
        failures = {u: error for u, error in results.items() if isinstance(error, ShoalError)}
        excused = failures.keys() - reach.still_failing(failures).keys()
        asked = [uuid for uuid in reach.nodes if uuid in results and uuid not in excused]
        result = outcome.removed(asked, results)
        if result.removed_from:
            await self._record(key, missing=result.removed_from)
        outcome.raise_bugs(results)
        return result

    async def timestamp(self) -> int:
        return math.floor(self._clock())

    def lock_content(
        self, key: Key, *, caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[None]:
        return self._refuse_to_lock()

    @asynccontextmanager
    async def _refuse_to_lock(self) -> AsyncIterator[None]:
        raise RemoteRefused("content cannot be locked in a cluster, only in one of its nodes")
        yield

    def _reach(self, caller: Caller) -> Reach:
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

    def _records_of(self, reach: Reach) -> Records:
        return ReachRecords(self._records, reach) if reach.routes else self._records

    def _caller(self, caller: Caller) -> Caller:
        """Give who asks the nodes: this gateway, which shall not be asked in turn."""
        if not caller.bypass:
            return self._itself
        return Caller(self._gateway, caller.bypass | {self._gateway})

    def _kept(self, key: Key, reach: Reach) -> frozenset[UUID] | None:
        kept = self._records.kept_locations(key)
        return None if kept is None else reach.with_gateways(kept)

    async def _logged(self, key: Key, reach: Reach) -> frozenset[UUID]:
        kept = self._records.kept_locations(key)
        if kept is None:
            kept = await soon(partial(self._records.locations, key))
        return reach.with_gateways(kept)

    async def _record(
        self, key: Key, present: Collection[UUID] = (), missing: Collection[UUID] = ()
    ) -> None:
        await soon(partial(self._records.record, key, present, missing))


async def _ask_all(
    reach: Reach, ask: Callable[[Node], Coroutine[object, object, T]]
) -> dict[UUID, T | Exception]:
    """Ask all nodes at once, and then those that stand in for lost ones; give what each
    answered, or the error."""
    results: dict[UUID, T | Exception] = {}
    for nodes in reach.rounds():
        answers = await asyncio.gather(*map(ask, nodes.values()), return_exceptions=True)
        for uuid, answer in zip(nodes, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
            results[uuid] = answer
    return results


def _in_order(nodes: Mapping[UUID, Node], logged: Collection[UUID]) -> list[Node]:
    """Give the nodes in the order in which they are asked for a key."""
    states = [node.state for node in nodes.values()]
    return [nodes[uuid] for uuid in select.for_reading(states, logged)]
