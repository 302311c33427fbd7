"""Serve a Remote to one client that speaks the P2P protocol on a stream of bytes.

The protocol is in p2p/server.py; here its requests are performed. Content is passed on as it
comes, at the pace of the slower side; at no time is more than a chunk of it held here.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeVar

from shoal.errors import KeyNotPresent, RemoteUnavailable, ShoalError
from shoal.p2p.messages import (
    AlreadyHave,
    AlreadyHavePlus,
    Changed,
    CheckPresent,
    Connect,
    Data,
    DataPresent,
    Error,
    Failure,
    FailurePlus,
    Get,
    GetTimestamp,
    LockContent,
    NotifyChange,
    Put,
    PutFrom,
    Remove,
    RemoveBefore,
    Success,
    SuccessPlus,
    Timestamp,
)
from shoal.p2p.receiver import Chunk
from shoal.p2p.server import Access, End, Event, PayloadEnd, ServerSession
from shoal.remotes.base import AlreadyPresent, Caller, Remote, StoreResult, Upload
from shoal.remotes.content import AT_ONCE, CHUNK_SIZE, Content
from shoal.remotes.content import Chunk as ContentChunk
from shoal.remotes.spool import Reserve, usual_reserve, with_size
from shoal.server.patience import STALL
from shoal.transport.stream import ByteStream
from shoal.values.key import Key
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.server.p2pgit import GitService

_DRAIN_LIMIT = 1 << 24
"""When an upload fails early, this many bytes of it are still read and dropped, in order to
keep the connection; with more to come it is closed."""


_LARGE = 2 << 20  # bytes of a payload that is read into memory which is used again and again
_HAND_ON = 0.5  # seconds after which less than a batch is handed on


async def serve_p2p(
    remote: Remote,
    stream: ByteStream,
    *,
    client: UUID | None = None,
    access: Access = Access.FULL,
    report: Callable[[str], None] = lambda text: None,
    begun: tuple[ServerSession, Event | None] | None = None,
    git: GitService | None = None,
    reserve: Reserve = usual_reserve,
    stall: float = STALL,
) -> None:
    """Serve `remote` until the client ends the session.

    `client` names it in transfer logs; `report` is told in one sentence of what failed.
    `begun` is a session that somebody else has begun with this client, and what came then,
    if anything did. `git` gives the client git itself, and tells it of changed refs.
    `reserve` gives what stays free on disk where content has to be kept before it can be sent.
    A client that was to send a content and sends nothing for `stall` seconds has gone: the
    network may be cut, which nobody tells.
    Raises RemoteUnavailable when the client goes away inside a request or content cannot be
    sent to its end, RemoteProtocolError when the client's bytes make no sense: the stream is
    then of no more use.
    """
    session, first = begun or (ServerSession(remote.info.uuid, access), None)
    await _Server(remote, stream, session, client, report, git, reserve, stall).run(first)


def _client_gone() -> RemoteUnavailable:
    return RemoteUnavailable("client", "connection lost")


class _Server:
    """One session; see serve_p2p()."""

    def __init__(
        self,
        remote: Remote,
        stream: ByteStream,
        session: ServerSession,
        client: UUID | None,
        report: Callable[[str], None],
        git: GitService | None,
        reserve: Reserve,
        stall: float,
    ) -> None:
        self._reserve = reserve
        self._stall = stall
        self._git = git
        self._remote = remote
        self._stream = stream
        self._session = session
        self._client = client
        self._report = report
        self._end: End | None = None

    async def run(self, first: Event | None) -> None:
        try:
            if first is not None:
                await self._perform(first)
            while self._end is None:
                await self._perform(await self.event())
            await self._flush()
        except ConnectionError as error:
            raise _client_gone() from error
        if not self._end.clean:
            raise _client_gone()

    async def event(self) -> Event:
        """Wait for what the client says next. After End it stays at End."""
        while self._end is None:
            await self._flush()  # the answer to what came before
            event = self._session.next_event()
            await self._flush()  # what the session itself had to say
            if event is None:
                if not self._session.is_receiving or await self._hears_more():
                    self._session.feed(await self._stream.receive())
                continue
            if isinstance(event, End):
                self._end = event
            return event
        return self._end

    async def payload_into(self, buffer: memoryview) -> int:
        """Wait for bytes of the payload that is due, at most as many as fit into `buffer`, and
        give how many; 0 when the client has gone."""
        if (count := self._session.take_payload(buffer)) == 0:
            if self._end is not None or not await self._hears_more():
                return 0
            count = await self._stream.receive_into(buffer)
            self._session.payload_came(count)
        return count

    async def _hears_more(self) -> bool:
        """Wait for more of a content, but not for ever; False: that was the end."""
        if await self._stream.has_more_within(self._stall):
            return True
        self._report(f"the client sent nothing for {self._stall:g} seconds")
        self._end = End(clean=False)
        return False

    async def _flush(self) -> None:
        output = self._session.take_output()
        if output:
            await self._stream.send(output)

    @property
    def ended(self) -> bool:
        """The client has said its last word."""
        return self._end is not None

    @property
    def _caller(self) -> Caller:
        session = self._session
        return Caller(self._client, frozenset(session.bypass), session.version)

    async def _perform(self, event: Event) -> None:
        try:
            match event:
                case CheckPresent(key):
                    there = await _asked(self._remote.check_present(key, caller=self._caller))
                    self._session.answer(Success() if there else Failure())
                case GetTimestamp():
                    self._session.answer(Timestamp(await _asked(self._remote.timestamp())))
                case Remove(key):
                    await self._remove(key, None)
                case RemoveBefore(time, key):
                    await self._remove(key, time)
                case LockContent(key):
                    await self._lock(key)
                case Get():
                    await self._get(event)
                case Put():
                    await self._put(event)
                case Connect(service):
                    await self._connect(service)
                case NotifyChange():
                    await self._notify()
                case _:  # the end, or a word that needs no action
                    pass
        except _Refusal as refusal:
            self._refuse(str(refusal))

    def _refuse(self, text: str) -> None:
        self._report(text)
        self._session.answer(Error(text))

    # git

    async def _connect(self, service: bytes) -> None:
        if self._git is None:
            raise _Refusal("relaying to git not supported on this connection")
        self._session.begin_relay()
        await self._git.relay(service, self.event, self._stream)
        self._end = End(clean=True)

    async def _notify(self) -> None:
        """Wait until refs change, or the client leaves."""
        if self._git is None:
            raise _Refusal("change notification not available")
        while (changed := await self._git.change()) is None:
            if self._stream.has_more():
                data = await self._stream.receive()
                self._session.feed(data)
                if not data:
                    raise _client_gone()
        self._session.answer(Changed((changed.encode(),)))

    # Short requests

    async def _remove(self, key: Key, before: int | None) -> None:
        result = await _asked(self._remote.remove(key, before=before, caller=self._caller))
        if result.removed_from:
            done = SuccessPlus if result.removed else FailurePlus
            self._session.answer(done(result.removed_from))
        elif result.removed:
            self._session.answer(Success())
        elif result.error:
            self._refuse(_public(result.error))
        else:
            self._session.answer(Failure())

    async def _lock(self, key: Key) -> None:
        """Hold the lock until the client's next message, whatever that is."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._remote.lock_content(key, caller=self._caller))
            except (ShoalError, OSError) as error:
                self._report(_public(error))
                self._session.answer(Failure())
                return
            self._session.answer(Success())
            await self.event()
            try:
                await stack.aclose()
            except (ShoalError, OSError) as error:
                self._report(_public(error))  # nobody waits for an answer to an unlock

    # GET

    async def _get(self, get: Get) -> None:
        small = self._remote.read_at_once(get.key, get.offset, AT_ONCE, caller=self._caller)
        if small is not None:
            await self._send_small(small)
        else:
            await self._open_and_send(get)
        await self.event()  # the client says whether it got it

    async def _send_small(self, content: bytes) -> None:
        """Send a content that is vouched for, all in one piece."""
        session = self._session
        session.answer(Data(len(content)))
        head = session.take_output()
        session.payload_sent(len(content))
        session.payload_done(valid=True)
        await self._stream.send(b"".join((head, content, session.take_output())))

    async def _open_and_send(self, get: Get) -> None:
        file = get.file.decode("utf-8", "surrogateescape")
        opening = self._remote.retrieve(get.key, get.offset, file=file, caller=self._caller)
        async with AsyncExitStack() as stack:
            try:
                content = await stack.enter_async_context(opening)
                known = _size_from(get.key, content.offset)
                sized = with_size(content, known, self._reserve)
                content, length = await stack.enter_async_context(sized)
            except KeyNotPresent:
                self._session.answer(Data(0))
                self._session.payload_done(valid=False)
            except (ShoalError, OSError) as error:
                raise _Refusal(_public(error)) from error
            else:
                await self._send(content, length)

    async def _send(self, content: Content, length: int) -> None:
        self._session.answer(Data(length))
        await self._flush()
        if (region := content.region) is not None:
            sent = await self._stream.send_file(region.path, region.offset, region.length)
            self._session.payload_sent(sent)
        else:
            async for chunk in content.stream():
                self._session.payload_sent(len(chunk))
                await self._stream.send(chunk)
        if self._session.payload_left:
            raise RemoteUnavailable(self._remote.info.name, "the content ended early")
        self._session.payload_done(await content.confirm())
        await self._flush()

    # PUT

    async def _put(self, put: Put) -> None:
        file = put.file.decode("utf-8", "surrogateescape")
        caller = self._caller
        offer = await _asked(self._remote.begin_store(put.key, file=file, caller=caller))
        if isinstance(offer, AlreadyPresent):
            have = AlreadyHavePlus(offer.stored_in) if offer.stored_in else AlreadyHave()
            self._session.answer(have)
            return
        async with offer as upload:
            self._session.answer(PutFrom(upload.offset))
            event = await self.event()
            if isinstance(event, Data):
                result = await self._receive(put.key, upload, event.length)
            elif isinstance(event, DataPresent):
                await upload.aclose()  # its locks are in nobody's way any more
                result = await _asked(self._remote.store_present(put.key, file=file, caller=caller))
            else:
                return  # the client sends nothing after all
        self._say_stored(result)

    def _say_stored(self, result: StoreResult) -> None:
        if result.error:
            self._report(_public(result.error))
        if result.stored_in:
            done = SuccessPlus if result.stored else FailurePlus
            self._session.answer(done(result.stored_in))
        else:
            self._session.answer(Success() if result.stored else Failure())

    async def _receive(self, key: Key, upload: Upload, length: int) -> StoreResult:
        content = _Incoming(self, upload.offset, length)
        probes = not length and self._session.version >= 1 and upload.offset != key.size
        if probes and not await content.confirm():
            # "Nothing, and do not trust it" is how a client asks for the offset only.
            return StoreResult(False)
        try:
            result = await upload.store(content)
        except (ShoalError, OSError) as error:
            result = StoreResult(False, error=_public(error))
        await content.drain()
        return result


def _size_from(key: Key, offset: int) -> int | None:
    return None if key.size is None else max(0, key.size - offset)


def _public(error: ShoalError | OSError | str) -> str:
    """Give what a client may be told."""
    from shoal.server.messages import public_text, without_paths  # needed when things go wrong

    return without_paths(error) if isinstance(error, str) else public_text(error)


class _Refusal(Exception):
    """What was asked cannot be done; the text is for the client."""


_T = TypeVar("_T")


async def _asked(call: Awaitable[_T]) -> _T:
    """Make an error of the remote the answer to the request."""
    try:
        return await call
    except (ShoalError, OSError) as error:
        raise _Refusal(_public(error)) from error


class _Incoming(Content):
    """The payload of a PUT as it arrives."""

    def __init__(self, server: _Server, offset: int, size: int) -> None:
        self._server = server
        self._left = size
        self._valid: bool | None = None
        self.offset = offset
        self.size: int = size
        self.filler = self if size >= _LARGE else None

    @property
    def batch(self) -> int:
        return CHUNK_SIZE

    async def fill(self, buffer: memoryview) -> int:
        """As Filler.fill(). What comes slowly is handed on soon, and so is what came before the
        client went away."""
        count = 0
        began = time.monotonic()
        while count < len(buffer) and self._left and time.monotonic() - began < _HAND_ON:
            more = await self._server.payload_into(buffer[count : count + self._left])
            if not more and not count:
                raise _client_gone()
            if not more:
                break
            count += more
            self._left -= more
        return count

    async def stream(self, skip: int = 0) -> AsyncIterator[ContentChunk]:
        while self._left:
            event = await self._server.event()
            if not isinstance(event, Chunk):
                raise _client_gone()
            self._left -= len(event.data)
            if skip < len(event.data):
                yield event.data[skip:]
            skip = max(0, skip - len(event.data))

    async def confirm(self) -> bool:
        if self._valid is None:
            event = await self._server.event()
            if not isinstance(event, PayloadEnd):
                raise _client_gone()
            self._valid = event.valid
        return self._valid

    async def drain(self) -> None:
        """Read and drop what nobody read, so that the next request can come."""
        if self._left > _DRAIN_LIMIT and not self._server.ended:
            raise RemoteUnavailable("client", "it is sending what nobody can take")
        async for _ in self.stream():
            pass
        await self.confirm()
