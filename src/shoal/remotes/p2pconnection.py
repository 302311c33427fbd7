"""One P2P session with a server, over any byte stream: the client's side, driven.

What breaks a connection, whatever it is, leaves it unusable: `is_idle` is then False, and
whoever holds it closes it. Nothing but the server's own answer tells what the server did.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection

from shoal.errors import ContentMismatch, RemoteProtocolError, RemoteUnavailable
from shoal.p2p.client import ClientSession, Event, State
from shoal.p2p.messages import (
    NEWEST_VERSION,
    Auth,
    AuthFailure,
    AuthSuccess,
    Bypass,
    Data,
    Error,
    Failure,
    FailurePlus,
    Invalid,
    Message,
    Success,
    SuccessPlus,
    Valid,
    Version,
)
from shoal.p2p.receiver import Chunk
from shoal.p2p.server import End, PayloadEnd
from shoal.remotes.content import Content, Region
from shoal.transport.stream import ByteStream
from shoal.values.uuid import UUID, is_cluster_uuid

_BYPASS_VERSION = 2


class Ended(RemoteUnavailable):
    """The server ended the connection instead of answering."""


class P2PConnection:
    """A session with repository `server` over `stream`, which it owns. `name` is for errors."""

    def __init__(self, stream: ByteStream, server: UUID, name: str) -> None:
        self._stream = stream
        self._session = ClientSession(server)
        self._name = name
        self._is_cluster = is_cluster_uuid(server)
        self._broken = False

    @property
    def version(self) -> int:
        """The protocol version that was agreed on."""
        return self._session.version

    @property
    def is_idle(self) -> bool:
        """Whether it can take another request, as far as it is known here."""
        return not self._broken and self._session.state is State.IDLE

    async def greet(self, bypass: Collection[UUID] = (), login: Auth | None = None) -> None:
        """Begin the session. `login` is what a server on a socket wants to hear first; `bypass`
        are gateways that must not be asked again.

        Raises RemoteUnavailable when the server is another repository, or none; or when it
        serves a cluster and is too old to hear of the gateways, which it might then ask.
        """
        if login is not None:
            await self._say(login)
        answer = await self._event()
        if isinstance(answer, AuthFailure):
            self._broken = True
            raise self.unavailable("it does not accept the authentication token")
        if not isinstance(answer, AuthSuccess):
            raise self._surprise(answer)
        # Who does not know the word answers with an error, and speaks version 0.
        await self.ask(Version(NEWEST_VERSION))
        if bypass and self.version < _BYPASS_VERSION and self._is_cluster:
            self._broken = True
            raise self.unavailable("its git-annex is too old for a cluster with several gateways")
        if bypass and self.version >= _BYPASS_VERSION:
            self._session.send(Bypass(tuple(sorted(bypass))))  # goes out with the first request

    def has_ended(self) -> bool:
        """Tell whether a server that has nothing to say now has gone away, or broken the
        protocol, as far as can be seen without waiting."""
        return self._broken or self._stream.has_more()

    async def ask(self, request: Message) -> Event:
        """Send a request and give what is answered.

        Raises Ended when the connection ends instead, RemoteUnavailable for all else.
        """
        await self._say(request)
        return await self._event()

    def ask_at_once(self, request: Message, came: Callable[[], None]) -> bool:
        """Send a request without waiting; `came` is called when heard() may have something.
        False when that is not possible; the connection may then be of no more use."""
        if not self._stream.watch(came):
            return False
        self._session.send(request)
        if self._stream.send_at_once(self._session.take_output()):
            return True
        self._broken = True
        self._stream.watch(None)
        return False

    def heard(self) -> list[Event]:
        """Give what has come. Raises RemoteUnavailable."""
        events: list[Event] = []
        data = self._stream.receive_at_once()
        if data is None:
            return events
        self._session.feed(data)
        try:
            while (event := self._session.next_event()) is not None:
                if isinstance(event, End):
                    raise self._gone()
                events.append(event)
        except RemoteProtocolError as error:
            self._broken = True
            raise self.unavailable(error) from error
        return events

    def listen_no_more(self) -> None:
        """Undo what ask_at_once() does with `came`."""
        self._stream.watch(None)

    def thank(self, *, received: bool) -> None:
        """Say, with the next request, whether a payload was received. That does nothing; but it
        lets the next request follow."""
        self._session.send(Success() if received else Failure())

    async def say(self, message: Message) -> None:
        """Send what is not answered, or not soon."""
        await self._say(message)

    async def answer(self) -> Event:
        """Wait for the answer to a request that was sent by say(). Raises as ask() does."""
        return await self._event()

    async def send_payload(self, content: Content, length: int, *, checkable: bool) -> Event:
        """Send Data with all of `content`, which is `length` bytes; give the answer to it.

        `checkable` tells whether the server can see from its hash whether the content is right.
        Raises ContentMismatch when it is known to be wrong, or nobody can tell, and what
        reading it raises; the server then keeps what it got.
        """
        self._broken = True  # until all of it was sent
        self._session.send(Data(length))
        if content.whole is not None and len(content.whole) == length and await content.confirm():
            return await self._send_whole(content.whole)
        await self._flush()
        # The real server stores what it cannot check, also when we do not vouch for it, or say
        # nothing more: then it gets the last bytes only when the content is known to be right.
        asked_to_check = checkable and self.version > 0
        last: bytes = b""
        if content.region is not None and asked_to_check:
            await self._send_file(content.region)
        else:
            last = await self._send_chunks(content, hold_last=not asked_to_check)
        valid = await content.confirm()
        if not valid and not asked_to_check and not await _is_verified(content):
            raise ContentMismatch("the content changed while it was read")
        await self._send_piece(last)
        if self._session.payload_left:
            raise ContentMismatch(f"the content is not {length} bytes long")
        self._broken = False
        return await self.ask(Valid() if valid else Invalid())

    async def _send_whole(self, data: bytes) -> Event:
        """Send, after a Data, all of the payload that is in memory; give the answer to it."""
        head = self._session.take_output()
        if data:
            self._session.payload_sent(len(data))
        self._session.send(Valid())
        await self._transmit(b"".join((head, data, self._session.take_output())))
        self._broken = False
        return await self._event()

    async def _send_file(self, region: Region) -> None:
        try:
            sent = await self._stream.send_file(region.path, region.offset, region.length)
        except ConnectionError as error:
            raise self._gone() from error
        self._session.payload_sent(sent)

    async def _send_chunks(self, content: Content, *, hold_last: bool) -> bytes:
        """Send all chunks, or all but the last one, which is given."""
        held = b""
        async for chunk in content.stream():
            if hold_last:
                await self._send_piece(held)
                held = bytes(chunk)
            else:
                await self._send_piece(chunk)
        return held

    async def _send_piece(self, data: bytes | bytearray | memoryview) -> None:
        if len(data) > self._session.payload_left:
            raise ContentMismatch("the content is longer than was announced")
        if data:
            self._session.payload_sent(len(data))
            await self._transmit(data)

    async def payload(self) -> AsyncIterator[memoryview]:
        """Give the bytes of the payload that a Data announced."""
        while self._session.state is State.RECEIVING:
            event = await self._event()
            if not isinstance(event, Chunk):
                raise self._surprise(event)
            yield event.data

    async def payload_into(self, buffer: memoryview) -> int:
        """Wait for bytes of the payload that a Data announced, at most as many as fit into
        `buffer`, and give how many; 0 after the last one. Raises Ended."""
        due = self._session.payload_due
        if not due or (count := self._session.take_payload(buffer)):
            return count if due else 0
        count = await self._stream.receive_into(buffer[:due])
        if not count:
            raise self._gone()
        self._session.payload_came(count)
        return count

    @property
    def unread(self) -> int | None:
        """How many bytes of a payload are still to come, where nothing but the rest of an answer
        to GET is in the way of another request; else None."""
        receiving = self._session.state in {State.RECEIVING, State.VALIDITY}
        return self._session.payload_due if receiving and not self._broken else None

    async def skip_payload(self) -> None:
        """Read the rest of an answer to GET, and drop it. Raises RemoteUnavailable."""
        async for _ in self.payload():
            pass
        await self.end_payload()

    def give_up(self) -> None:
        """Let nobody use the connection any more: it is only to be closed."""
        self._broken = True

    async def end_payload(self) -> bool:
        """After the payload: tell whether the server vouches for it, and thank for it."""
        event = await self._event()
        if not isinstance(event, PayloadEnd):
            raise self._surprise(event)
        self.thank(received=event.valid)
        return event.valid

    def unavailable(self, cause: object) -> RemoteUnavailable:
        """Give the error that says why the remote cannot be used."""
        return RemoteUnavailable(self._name, str(cause))

    def unexpected(self, answer: Event) -> RemoteUnavailable:
        """Give the error for an answer that says why there is none."""
        said = answer.text if isinstance(answer, Error) else type(answer).__name__
        return self.unavailable(f"it answered: {said}")

    def outcome(self, answer: Event, do: str) -> tuple[bool, tuple[UUID, ...], str]:
        """Read the answer to a request to `do` something with content: whether that was done,
        which other repositories did it, and why it was not done."""
        refused = f'remote "{self._name}" did not {do} it'
        match answer:
            case Success():
                return True, (), ""
            case SuccessPlus(uuids):
                return True, uuids, ""
            case Failure():
                return False, (), refused
            case FailurePlus(uuids):
                return False, uuids, refused
            case Error(text):
                return False, (), f"{refused}: {text}"
            case _:
                raise self.unexpected(answer)

    async def aclose(self) -> None:
        """Close the connection. May be called twice."""
        self._broken = True
        await self._stream.aclose()

    async def _say(self, message: Message) -> None:
        self._session.send(message)
        await self._flush()

    async def _flush(self) -> None:
        if output := self._session.take_output():
            await self._transmit(output)

    async def _transmit(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes. While that is under way the connection counts as broken, so that one
        which is cancelled in the middle of a message is never used again."""
        broken, self._broken = self._broken, True
        try:
            await self._stream.send(data)
        except ConnectionError as error:
            raise self._gone() from error
        self._broken = broken

    async def _event(self) -> Event:
        try:
            while (event := self._session.next_event()) is None:
                self._session.feed(await self._stream.receive())
        except RemoteProtocolError as error:
            self._broken = True
            raise self.unavailable(error) from error
        if isinstance(event, End):
            raise self._gone()
        return event

    def _gone(self) -> Ended:
        self._broken = True
        return Ended(self._name, "it ended the connection")

    def _surprise(self, event: Event) -> RemoteUnavailable:
        self._broken = True
        said = event.text if isinstance(event, Error) else type(event).__name__
        return self.unavailable(f"unexpected answer: {said}")


async def _is_verified(content: Content) -> bool:
    return content.digest is not None and await content.digest.matches()
