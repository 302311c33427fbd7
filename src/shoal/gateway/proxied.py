"""A proxied remote: a remote served under this roof, whose changes this repository records.

Everything is the remote's own answer, passed on; only the gateway's location log is kept here,
before the client hears of a change. Its maximum size stops no upload, since that is addressed
to it; but others are told what is on its way there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial

from shoal.errors import ShoalError
from shoal.gateway.node import Node
from shoal.gateway.patience import uninterrupted
from shoal.gateway.records import Records, room_for, soon
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
from shoal.remotes.content import Content, WholeContent
from shoal.values.key import Key
from shoal.values.uuid import UUID


class ProxiedRemote(Remote):
    """One remote of a gateway, served under its own UUID."""

    def __init__(self, node: Node, gateway: UUID, records: Records) -> None:
        """`node` belongs to the caller: aclose() does not close it."""
        self._node = node
        self._gateway = gateway
        self._records = records

    @property
    def info(self) -> RemoteInfo:
        return self._node.remote.info

    async def check_present(self, key: Key, *, caller: Caller = NOBODY) -> bool:
        theirs = self._caller(caller)
        return await self._node.ask(lambda remote: remote.check_present(key, caller=theirs))

    def present_at_once(self, key: Key, *, caller: Caller = NOBODY) -> bool | None:
        return self._node.present_at_once(key, self._caller(caller))

    def read_at_once(
        self, key: Key, offset: int, most: int, *, caller: Caller = NOBODY
    ) -> bytes | None:
        return self._node.read_at_once(key, offset, most, self._caller(caller))

    def present_soon(
        self, key: Key, tell: Callable[[bool | None], None], *, caller: Caller = NOBODY
    ) -> bool:
        return self._node.present_soon(key, tell, self._caller(caller))

    def read_soon(
        self,
        key: Key,
        offset: int,
        most: int,
        tell: Callable[[bytes | None], None],
        *,
        caller: Caller = NOBODY,
    ) -> bool:
        return self._node.read_soon(key, offset, most, tell, self._caller(caller))

    def retrieve(
        self, key: Key, offset: int = 0, *, file: str = "", caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Content]:
        theirs = self._caller(caller)
        return self._node.using(
            lambda remote: remote.retrieve(key, offset, file=file, caller=theirs)
        )

    async def begin_store(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> Upload | AlreadyPresent:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(room_for(key, self._node.uuid, self._records))
            begun = await self._node.begin_store(key, file, self._caller(caller))
            if not isinstance(begun, AlreadyPresent):
                return _RecordedUpload(begun, self, self._node, key, stack.pop_all())
            await self._note_present(key, begun)
            return begun

    async def store_whole(
        self,
        key: Key,
        content: WholeContent,
        *,
        file: str = "",
        caller: Caller = NOBODY,
        agreed: Callable[[], None] = lambda: None,
    ) -> StoreResult | AlreadyPresent:
        """Once begun it is carried to its end even when the caller goes away, so that the log
        says what happened."""
        return await uninterrupted(
            self._store_whole(key, content, file, self._caller(caller), agreed)
        )

    async def _store_whole(
        self, key: Key, content: WholeContent, file: str, caller: Caller, agreed: Callable[[], None]
    ) -> StoreResult | AlreadyPresent:
        async with room_for(key, self._node.uuid, self._records):
            answer = self._node.store_at_once(key, content, file, caller)
            if answer is None:
                answer = await self._node.store_whole(key, content, file, caller, agreed)
            if isinstance(answer, ShoalError):
                raise answer
            if isinstance(answer, AlreadyPresent):
                await self._note_present(key, answer)
            else:
                await self.note(key, answer)
            return answer

    async def _note_present(self, key: Key, present: AlreadyPresent) -> None:
        """Record where the key is already, as far as the log does not say so."""
        logged = await soon(partial(self._records.locations, key))
        fresh = [uuid for uuid in self._with(present.stored_in) if uuid not in logged]
        if fresh:
            await self.record(key, present=fresh)

    async def store_present(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult:
        theirs = self._caller(caller)
        result = await self._node.ask(
            lambda remote: remote.store_present(key, file=file, caller=theirs)
        )
        await self.note(key, result)
        return result

    async def remove(
        self, key: Key, *, before: int | None = None, caller: Caller = NOBODY
    ) -> RemoveResult:
        """Once begun it is carried to its end even when the caller goes away, so that the log
        says what happened."""
        return await uninterrupted(self._remove(key, before, self._caller(caller)))

    async def _remove(self, key: Key, before: int | None, caller: Caller) -> RemoveResult:
        result = await self._node.ask(
            lambda remote: remote.remove(key, before=before, caller=caller),
            limit=self._node.patience.limits.stall,
        )
        gone = self._with(result.removed_from) if result.removed else result.removed_from
        if gone:
            await self.record(key, missing=gone)
        return result

    async def timestamp(self) -> int:
        return await self._node.ask(lambda remote: remote.timestamp())

    def lock_content(
        self, key: Key, *, caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[None]:
        theirs = self._caller(caller)
        return self._node.using(lambda remote: remote.lock_content(key, caller=theirs))

    async def note(self, key: Key, result: StoreResult) -> None:
        """Record where a store put the key."""
        holders = self._with(result.stored_in) if result.stored else result.stored_in
        if holders:
            await self.record(key, present=holders)

    async def record(
        self, key: Key, present: tuple[UUID, ...] | list[UUID] = (), missing: tuple[UUID, ...] = ()
    ) -> None:
        """Put into the location log what the remote said."""
        await uninterrupted(soon(partial(self._records.record, key, present, missing)))

    def _with(self, named: tuple[UUID, ...]) -> tuple[UUID, ...]:
        return (self._node.uuid, *named)

    def _caller(self, caller: Caller) -> Caller:
        return Caller(self._gateway, caller.bypass)


class _RecordedUpload(Upload):
    """An upload to a proxied remote, whose success is recorded. `resources` are freed with it."""

    def __init__(
        self,
        upload: Upload,
        remote: ProxiedRemote,
        node: Node,
        key: Key,
        resources: AsyncExitStack,
    ) -> None:
        self._resources = resources
        self._upload = upload
        self._remote = remote
        self._node: Node | None = node
        self._key = key
        self.offset = upload.offset
        node.enter()

    async def store(self, content: Content) -> StoreResult:
        result = await self._upload.store(content)
        await self._remote.note(self._key, result)
        return result

    async def aclose(self) -> None:
        try:
            await self._upload.aclose()
        finally:
            await self._resources.aclose()
            node, self._node = self._node, None
            if node is not None:
                await node.leave()
