"""A remote that speaks the P2P protocol over a byte stream: ssh, or a socket.

Rules for an answer that does not come (source: the P2P protocol design page, and what
git-annex-shell 10.20261026 was seen to do): a server that ends the connection instead of
answering has failed, and what it did is not known. Such a connection is never used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from shoal.errors import (
    KeyNotPresent,
    RemoteRefused,
    TransferInProgress,
)
from shoal.p2p.client import Event
from shoal.p2p.messages import (
    AlreadyHave,
    AlreadyHavePlus,
    CheckPresent,
    Data,
    Error,
    Failure,
    Get,
    GetTimestamp,
    LockContent,
    Put,
    PutFrom,
    Remove,
    RemoveBefore,
    Success,
    Timestamp,
    UnlockContent,
)
from shoal.remotes.base import (
    LOCK_SECONDS,
    NOBODY,
    AlreadyPresent,
    Caller,
    LeaveLocked,
    Remote,
    RemoteInfo,
    RemoveResult,
    StoreResult,
    Upload,
)
from shoal.remotes.content import (
    AT_ONCE,
    CHUNK_SIZE,
    SMALL,
    Chunk,
    Content,
    MemoryContent,
    WholeContent,
)
from shoal.remotes.p2pconnection import Ended, P2PConnection
from shoal.remotes.p2ppool import KEPT, Bypass, Dial, P2PPool
from shoal.remotes.p2pquick import QuickQuestions
from shoal.remotes.p2pupload import P2PUpload
from shoal.remotes.spool import Reserve, usual_reserve
from shoal.values.key import Key
from shoal.values.uuid import is_cluster_uuid

_TIMED_REMOVAL = 3  # the protocol version that has GETTIMESTAMP and REMOVE-BEFORE


class P2PStreamRemote(Remote):
    """Repository `info.uuid`, to which `dial` opens greeted connections. `reserve` gives what
    stays free on this machine's disk where content has to be kept before it can be sent, and
    `kept` how many idle connections are kept."""

    def __init__(
        self,
        info: RemoteInfo,
        dial: Dial,
        *,
        reserve: Reserve = usual_reserve,
        kept: Callable[[], int] = lambda: KEPT,
    ) -> None:
        self._info = info
        self.reserve = reserve
        self._pool = P2PPool(dial, kept=kept)
        self._quick = QuickQuestions(self._pool)
        self._lingering: set[asyncio.Task[None]] = set()

    @property
    def info(self) -> RemoteInfo:
        return self._info

    async def aclose(self) -> None:
        self._quick.aclose()
        for task in self._lingering:
            task.cancel()
        await asyncio.gather(*self._lingering, return_exceptions=True)
        await self._pool.aclose()

    def _connection(self, caller: Caller) -> AbstractAsyncContextManager[P2PConnection]:
        return self._pool.connection(caller.bypass, patiently=True)

    async def check_present(self, key: Key, *, caller: Caller = NOBODY) -> bool:
        async with self._connection(caller) as connection:
            return await self._is_present(connection, key)

    def present_soon(
        self, key: Key, tell: Callable[[bool | None], None], *, caller: Caller = NOBODY
    ) -> bool:
        return self._quick.present(key, caller.bypass, tell)

    def read_soon(
        self,
        key: Key,
        offset: int,
        most: int,
        tell: Callable[[bytes | None], None],
        *,
        caller: Caller = NOBODY,
    ) -> bool:
        if offset < 0 or key.size is None or key.size - offset > most:
            return False
        return self._quick.read(Get(offset, b"", key), most, caller.bypass, tell)

    async def _is_present(self, connection: P2PConnection, key: Key) -> bool:
        answer = await connection.ask(CheckPresent(key))
        if isinstance(answer, Success | Failure):
            return isinstance(answer, Success)
        raise connection.unexpected(answer)

    # Time, removal and locks

    async def timestamp(self) -> int:
        async with self._connection(NOBODY) as connection:
            self._require_clock(connection)
            answer = await connection.ask(GetTimestamp())
            if isinstance(answer, Timestamp):
                return answer.time
            raise connection.unexpected(answer)

    def _require_clock(self, connection: P2PConnection) -> None:
        if connection.version < _TIMED_REMOVAL:
            raise connection.unavailable(
                f"it speaks P2P protocol version {connection.version} and cannot remove in time;"
                " its git-annex is too old"
            )

    async def remove(
        self, key: Key, *, before: int | None = None, caller: Caller = NOBODY
    ) -> RemoveResult:
        try:
            async with self._connection(caller) as connection:
                if before is None:
                    answer = await connection.ask(Remove(key))
                else:
                    answer = await self._ask_in_time(connection, RemoveBefore(before, key))
                return RemoveResult(*connection.outcome(answer, "remove"))
        except Ended:
            # So ends git-annex-shell when the content is locked. Only a look can tell.
            if await self.check_present(key, caller=caller):
                return RemoveResult(False, error=f'remote "{self._info.name}" did not remove it')
            raise

    async def _ask_in_time(self, connection: P2PConnection, request: RemoveBefore) -> Event:
        """Ask for a removal that is made before a time of the server's clock, or not at all."""
        self._require_clock(connection)
        if is_cluster_uuid(self._info.uuid):
            # The real gateway translates a time for its nodes by what their clocks and its own
            # said in the same session; else it passes it on as it is.
            await connection.ask(GetTimestamp())
        return await connection.ask(request)

    def lock_content(
        self, key: Key, *, caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[None]:
        return self._locked(key, caller.bypass)

    @asynccontextmanager
    async def _locked(self, key: Key, bypass: Bypass) -> AsyncIterator[None]:
        connection = await self._pool.take(bypass)
        left_locked = False
        try:
            answer = await connection.ask(LockContent(key))
            if not isinstance(answer, Success):
                why = f": {answer.text}" if isinstance(answer, Error) else ""
                raise RemoteRefused(f'remote "{self._info.name}" cannot lock the content{why}')
            yield
            if connection.has_ended():
                raise connection.unavailable("it did not keep the content locked")
            await connection.say(UnlockContent())
        except LeaveLocked:
            left_locked = True
            raise
        finally:
            if left_locked:
                self._pool.used_up(bypass)
                self._linger(connection)
            else:
                await self._pool.give_back(connection, bypass)

    def _linger(self, connection: P2PConnection) -> None:
        """Keep the connection: when it ends, git-annex-shell gives the lock up at once."""
        task = asyncio.create_task(_keep_locked(connection), name="leave content locked")
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    # Downloads

    def retrieve(
        self, key: Key, offset: int = 0, *, file: str = "", caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Content]:
        return self._retrieve(key, max(0, offset), file, caller)

    @asynccontextmanager
    async def _retrieve(
        self, key: Key, offset: int, file: str, caller: Caller
    ) -> AsyncIterator[Content]:
        lent = self._pool.connection(caller.bypass, patiently=_is_small(key))
        async with lent as connection:
            answer = await connection.ask(Get(offset, _encoded(file), key))
            if isinstance(answer, Error):
                if not await self._is_present(connection, key):
                    raise KeyNotPresent(self._info.name, str(key))
                raise connection.unexpected(answer)
            if not isinstance(answer, Data):
                raise connection.unexpected(answer)
            if answer.length == 0:
                await self._check_empty(connection, key, offset)
                yield MemoryContent(b"", offset)
                return
            if answer.length > AT_ONCE:
                yield _Download(connection, answer.length, offset)
                return
            data = b"".join([bytes(chunk) async for chunk in connection.payload()])
            small = _Small(data, offset, valid=await connection.end_payload())
        yield small

    async def _check_empty(self, connection: P2PConnection, key: Key, offset: int) -> None:
        """Nothing was sent: is there no more, or no content? Version 0 does not tell."""
        if await connection.end_payload():
            return
        if connection.version > 0 or not await self._is_present(connection, key):
            raise KeyNotPresent(self._info.name, str(key))
        if key.size is not None and offset < key.size:
            raise connection.unavailable("it sends nothing of what it says it has")

    # Uploads

    async def begin_store(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> Upload | AlreadyPresent:
        bypass = caller.bypass
        connection = await self._pool.take(bypass, patiently=_is_small(key))
        upload = P2PUpload(key, connection, self._pool, bypass, self.reserve)
        try:
            answer = await connection.ask(Put(_encoded(file), key))
            if isinstance(answer, PutFrom):
                upload.offset = answer.offset
                return upload
        except BaseException:
            await upload.aclose()
            raise
        await upload.aclose()
        match answer:
            case AlreadyHave():
                return AlreadyPresent()
            case AlreadyHavePlus(uuids):
                return AlreadyPresent(uuids)
            case Error(text):
                busy = TransferInProgress()
                if text == str(busy):
                    raise busy
                raise RemoteRefused(f'remote "{self._info.name}" does not take it: {text}')
            case _:
                raise connection.unexpected(answer)

    async def store_whole(
        self,
        key: Key,
        content: WholeContent,
        *,
        file: str = "",
        caller: Caller = NOBODY,
        agreed: Callable[[], None] = lambda: None,
    ) -> StoreResult | AlreadyPresent:
        store = partial(super().store_whole, key, content, file=file, caller=caller, agreed=agreed)
        try:
            return await store()
        except Ended:
            # So ends git-annex-shell while somebody else stores the same key. That is over soon.
            return await store()

    async def store_present(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult:
        upload = await self.begin_store(key, file=file, caller=caller)
        if isinstance(upload, AlreadyPresent):
            return StoreResult(True, upload.stored_in)
        assert isinstance(upload, P2PUpload)
        async with upload:
            return await upload.store_present()


class _Download(Content):
    """The payload of an answer to GET."""

    def __init__(self, connection: P2PConnection, size: int, offset: int) -> None:
        self._connection = connection
        self._valid: bool | None = None
        self.offset = offset
        self.size: int = size

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        buffer = memoryview(bytearray(min(self.size, CHUNK_SIZE)))
        while count := await self._connection.payload_into(buffer):
            if skip < count:
                yield buffer[skip:count]
            skip = max(0, skip - count)
        if self._valid is None:
            self._valid = await self._connection.end_payload()

    async def confirm(self) -> bool:
        return bool(self._valid)


class _Small(MemoryContent):
    """A payload that came as a whole, so that its connection is free again."""

    def __init__(self, whole: bytes, offset: int, *, valid: bool) -> None:
        super().__init__(whole, offset)
        self._valid = valid

    async def confirm(self) -> bool:
        return self._valid


async def _keep_locked(connection: P2PConnection) -> None:
    """Hold the connection open for as long as somebody may count on its lock."""
    try:
        await asyncio.sleep(LOCK_SECONDS)
    finally:
        await connection.aclose()


def _is_small(key: Key) -> bool:
    """Tell whether the content goes by in no time."""
    return key.size is not None and key.size <= SMALL


def _encoded(file: str) -> bytes:
    return file.encode("utf-8", "surrogateescape")
