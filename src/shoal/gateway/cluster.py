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
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TypeVar

from shoal.errors import RemoteRefused, ShoalError
from shoal.gateway import outcome
from shoal.gateway.download import ClusterDownload
from shoal.gateway.looking import Looking, in_order
from shoal.gateway.members import Members
from shoal.gateway.node import Node
from shoal.gateway.patience import Patience, noting, uninterrupted
from shoal.gateway.reach import Reach, ReachRecords
from shoal.gateway.reading import Reading
from shoal.gateway.records import Records
from shoal.gateway.select import Full, Unwanted
from shoal.gateway.topology import Topology, is_repository
from shoal.git.clock import monotonic
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
        clock: Callable[[], float] = monotonic,
        topology: Topology | None = None,
    ) -> None:
        """`nodes` are in the order in which answers list them; of several with one UUID, or at
        one gateway, the first counts. They belong to the caller, who may share them with other
        clusters: aclose() does not close them. `topology` is known of the other gateways."""
        self._members = Members(gateway, nodes, topology or Topology())
        self._looking = Looking(name, self._members, records, patience)
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
        return await self._looking.is_present(key, caller)

    def present_at_once(self, key: Key, *, caller: Caller = NOBODY) -> bool | None:
        return self._looking.present_at_once(key, caller)

    def present_soon(
        self, key: Key, tell: Callable[[bool | None], None], *, caller: Caller = NOBODY
    ) -> bool:
        return self._looking.present_soon(key, tell, caller)

    def read_at_once(
        self, key: Key, offset: int, most: int, *, caller: Caller = NOBODY
    ) -> bytes | None:
        return self._looking.read_at_once(key, offset, most, caller)

    def read_soon(
        self,
        key: Key,
        offset: int,
        most: int,
        tell: Callable[[bytes | None], None],
        *,
        caller: Caller = NOBODY,
    ) -> bool:
        return self._looking.read_soon(key, offset, most, tell, caller)

    def retrieve(
        self, key: Key, offset: int = 0, *, file: str = "", caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Content]:
        return self._retrieve(key, offset, file, caller)

    @asynccontextmanager
    async def _retrieve(
        self, key: Key, offset: int, file: str, caller: Caller
    ) -> AsyncIterator[Content]:
        reach = self._members.reach(caller)
        logged = await self._looking.logged(key, reach)
        small = self._looking.take_at_once(key, offset, AT_ONCE, logged, caller, reach)
        if small is not None:
            yield MemoryContent(small, offset)
            return
        theirs = self._members.passed_on(caller)

        def read(node: Node, start: int) -> Reading:
            return Reading(node, key, start, file, theirs)

        name = self._info.name
        download = ClusterDownload(name, in_order(reach.nodes, logged), read)
        try:
            node = await download.open(offset)
            if node is None:
                raise self._looking.absence(key, reach, logged, download.unavailable, caller)
            if node.uuid not in logged and is_repository(node.uuid):
                await self._looking.record(key, present=[node.uuid])
            yield download
        finally:
            await download.close()

    async def begin_store(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> Upload | AlreadyPresent:
        """AlreadyPresent when nodes say so and none takes the content; they are listed."""
        from shoal.gateway.placing import Placing  # not for those who only look or read
        from shoal.gateway.upload import ClusterUpload, holders_before

        reach = self._members.reach(caller)
        theirs, records = self._members.passed_on(caller), self._records_of(reach)
        placing = Placing(reach.nodes, records, key, file, theirs, full=self._full)
        try:
            await placing.place(self._info.name, self._unwanted)
            holders = holders_before(placing)
            fresh = [uuid for uuid in holders if uuid not in placing.logged]
            if fresh:
                await self._looking.record(key, present=fresh)
        except BaseException:
            await placing.close()
            raise
        if placing.uploads:
            return ClusterUpload(placing, self._patience)
        await placing.close()
        return self._already(holders, caller)

    def _already(self, holders: tuple[UUID, ...], caller: Caller) -> AlreadyPresent:
        """A gateway of the real git-annex breaks off when it hears of holders here."""
        is_real = bool(caller.bypass) and not self._members.is_named_by(caller)
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

        reach = self._members.reach(caller)
        theirs, records = self._members.passed_on(caller), self._records_of(reach)
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
        theirs = self._members.passed_on(caller)

        async def ask(node: Node) -> StoreResult:
            told = node.heard_from(theirs)
            return await node.ask(lambda remote: remote.store_present(key, file=file, caller=told))

        reach = self._members.reach(caller)
        results: dict[UUID, StoreResult | Exception] = {}
        await _ask_all(reach, ask, results)
        result = outcome.stored([*reach.nodes], results, {})
        if result.stored_in:
            await self._looking.record(key, present=result.stored_in)
        outcome.raise_bugs(results)
        return result

    async def remove(
        self, key: Key, *, before: int | None = None, caller: Caller = NOBODY
    ) -> RemoveResult:
        """Remove the key from all nodes, whatever the log says. Once begun it is carried to
        its end even when the caller goes away, so that the log says what happened."""
        return await uninterrupted(self._remove(key, before, caller))

    async def _remove(self, key: Key, before: int | None, caller: Caller) -> RemoveResult:
        theirs = self._members.passed_on(caller)

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

        async def record() -> None:
            gone = outcome.removed_from(reach.nodes, results)
            if fresh := [uuid for uuid in gone if uuid not in recorded]:
                await self._looking.record(key, missing=fresh)
                recorded.update(fresh)

        reach = self._members.reach(caller)
        results: dict[UUID, RemoveResult | Exception] = {}
        recorded: set[UUID] = set()
        async with noting(record):
            await _ask_all(reach, ask, results)
        failures = {u: error for u, error in results.items() if isinstance(error, ShoalError)}
        excused = failures.keys() - reach.still_failing(failures).keys()
        asked = [uuid for uuid in reach.nodes if uuid in results and uuid not in excused]
        outcome.raise_bugs(results)
        return outcome.removed(asked, results)

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

    def _records_of(self, reach: Reach) -> Records:
        return ReachRecords(self._records, reach) if reach.routes else self._records


async def _ask_all(
    reach: Reach,
    ask: Callable[[Node], Coroutine[object, object, T]],
    results: dict[UUID, T | Exception],
) -> None:
    """Ask all nodes at once, and then those that stand in for lost ones. `results` gets what
    each answers, when it does, and in the end the errors of the others."""

    async def heed(node: Node) -> T:
        answer = results[node.uuid] = await ask(node)
        return answer

    for nodes in reach.rounds():
        answers = await asyncio.gather(*map(heed, nodes.values()), return_exceptions=True)
        for uuid, answer in zip(nodes, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
            results[uuid] = answer
