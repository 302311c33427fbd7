"""Serve a Remote to one client that speaks the P2P protocol on a stream of bytes.

The protocol is in p2p/server.py; p2pconversation.py listens to the client, and here its requests
are performed. Content is passed on as it comes, at the pace of the slower side; at no time is more
than a chunk of it held here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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
from shoal.p2p.server import Access, End, Event, ServerSession
from shoal.remotes.base import AlreadyPresent, Caller, Remote, StoreResult, Upload
from shoal.remotes.content import AT_ONCE, Content
from shoal.remotes.spool import Reserve, usual_reserve, with_size
from shoal.server.p2pconversation import Conversation, Incoming, client_gone
from shoal.server.patience import STALL
from shoal.transport.stream import ByteStream
from shoal.values.key import Key
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.server.p2pgit import GitService


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
    conversation = Conversation(session, stream, report, stall)
    await _Server(remote, conversation, client, report, git, reserve).run(first)


class _Server:
    """One session; see serve_p2p()."""

    def __init__(
        self,
        remote: Remote,
        conversation: Conversation,
        client: UUID | None,
        report: Callable[[str], None],
        git: GitService | None,
        reserve: Reserve,
    ) -> None:
        self._remote = remote
        self._conversation = conversation
        self._session = conversation.session
        self._stream = conversation.stream
        self._client = client
        self._report = report
        self._git = git
        self._reserve = reserve

    async def run(self, first: Event | None) -> None:
        conversation = self._conversation
        try:
            if first is not None:
                await self._perform(first)
            while (end := conversation.end) is None:
                await self._perform(await conversation.event())
            await conversation.flush()
        except ConnectionError as error:
            raise client_gone() from error
        if not end.clean:
            raise client_gone()

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
        await self._git.relay(service, self._conversation.event, self._stream)
        self._conversation.end = End(clean=True)

    async def _notify(self) -> None:
        """Wait until refs change, or the client leaves."""
        if self._git is None:
            raise _Refusal("change notification not available")
        while (changed := await self._git.change()) is None:
            if self._stream.has_more():
                data = await self._stream.receive()
                self._session.feed(data)
                if not data:
                    raise client_gone()
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
            await self._conversation.event()
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
        await self._conversation.event()  # the client says whether it got it

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
        await self._conversation.flush()
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
        await self._conversation.flush()

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
            event = await self._conversation.event()
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
        content = Incoming(self._conversation, upload.offset, length)
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
