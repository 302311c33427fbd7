"""One connection to an HTTP server, without encryption: a request, then its answer.

After anything but an answer to its last byte the connection is closed, or `is_idle` no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar

from shoal.transport.http_answer import HttpFailure, Piece, failure_of
from shoal.transport.http_parts import (
    MOST_HEAD,
    BadAnswer,
    Framing,
    Head,
    Sized,
    UntilClose,
    framing_of,
    parse_head,
)
from shoal.transport.sockets import SocketStream
from shoal.values.record import record

_T = TypeVar("_T")

_BATCH = 1 << 20  # bytes of a large body that are given at a time
_FIRST_BATCH = 64 << 10  # as long as nobody knows whether it is large
_MOST_TOLD = 128 << 10  # bytes of an answer that is told
_LONGEST_TOLD = 10.0  # seconds for such an answer
_IDLE = 10.0  # seconds for which an unused connection is kept
_END = b"\r\n\r\n"
_OK = b"HTTP/1.1 200 "
_INTERIM = 200  # lower statuses come before the answer


@record
class QuickAnswer:
    """An answer with status 200. Names of headers are in lower case."""

    headers: dict[str, str]
    body: bytes


Tell = Callable[[QuickAnswer | None], None]


class Owner(Protocol):
    """Who keeps connections."""

    def free(self, connection: HttpConnection) -> None:
        """An answer was told, and another request can be made."""

    def lost(self, connection: HttpConnection) -> None:
        """The connection is closed."""


class HttpConnection:
    """A connection to a server over `stream`, which it takes over."""

    def __init__(self, stream: SocketStream, owner: Owner) -> None:
        self._stream = stream
        self._owner = owner
        self._got = b""  # that was not used yet
        self._framing: Framing = Sized(0)
        self._broken = False  # the answer, or what follows it
        self._unsent = False  # some of a request
        self._tell: Tell | None = None
        self._loop = asyncio.get_running_loop()
        self.deadline = 0.0  # of the loop's clock, for what is told and for being idle

    @property
    def is_idle(self) -> bool:
        """The last answer came to its end, and another request can be made."""
        good = self._framing.ended and not (self._broken or self._unsent)
        return good and not self._got

    def rest(self) -> None:
        """Be idle. When the server closes the connection, it is closed here, too."""
        self.deadline = self._loop.time() + _IDLE
        self._stream.watch(self._came)

    def close(self) -> None:
        """Close the connection. May be called twice. Who waits to be told is told None."""
        self._broken = True
        self._stream.close()
        self._owner.lost(self)
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(None)

    # Questions whose answers are told

    def ask(self, request: bytes, tell: Tell) -> bool:
        """Send a whole request on an idle connection. `tell` is called once, later: with the
        answer, or with None when there is none with status 200. When the request cannot be sent
        now, the answer is False and the connection closed."""
        if not self._stream.send_at_once(request):
            self.close()
            return False
        self._tell = tell
        self.deadline = self._loop.time() + _LONGEST_TOLD
        return True

    def _came(self) -> None:
        """Something came on a connection that was idle, or asked."""
        data = self._stream.receive_at_once()
        if data is None:
            return
        try:
            if not data or self._tell is None:
                raise BadAnswer("the end, or what nobody asked for")
            self._got = self._got + data if self._got else data
            answer = parse_answer(self._got)
        except BadAnswer:
            self.close()
            return
        if answer is None:
            return
        tell, self._tell, self._got = self._tell, None, b""
        if "close" in answer.headers.get("connection", "").lower():
            self.close()
        else:
            self._owner.free(self)
        tell(answer)

    # Requests that are waited for

    async def send(self, data: Piece) -> None:
        """Send bytes of a request. Raises HttpFailure."""
        self._stream.watch(None)
        self._unsent = True  # also if this is cancelled in the middle
        try:
            await self._stream.send(data)
        except OSError as error:
            raise failure_of(error) from error
        self._unsent = False

    async def head(self, patience: float | None) -> Head:
        """Wait for the head of the answer, for `patience` seconds. Raises HttpFailure."""
        self._broken = True
        try:
            head = await self._next_head(patience)
            while head.status < _INTERIM:
                head = await self._next_head(patience)
            self._framing = framing_of(head)
        except BadAnswer as error:
            raise HttpFailure(str(error)) from error
        self._broken = not head.keeps or isinstance(self._framing, UntilClose)
        return head

    async def _next_head(self, patience: float | None) -> Head:
        while (end := self._got.find(_END)) < 0:
            if len(self._got) > MOST_HEAD:
                raise BadAnswer("the answer's head is too long")
            data = await _in_time(self._stream.receive(), patience)
            if not data:
                raise HttpFailure("the connection was closed", disconnected=not self._got)
            self._got += data
        head, self._got = self._got[:end], self._got[end + len(_END) :]
        return parse_head(head)

    async def body(self, patience: float | None) -> AsyncIterator[Piece]:
        """Give the body of the answer, in memory that is used again. Raises HttpFailure."""
        framing = self._framing
        buffer = memoryview(bytearray(framing.room(_FIRST_BATCH)))
        try:
            while not framing.ended:
                if count := await self._some(framing, buffer, patience):
                    yield buffer[:count]
                if count == _FIRST_BATCH:
                    buffer = memoryview(bytearray(framing.room(_BATCH)))
        except BadAnswer as error:
            raise HttpFailure(str(error)) from error

    async def _some(self, framing: Framing, buffer: memoryview, patience: float | None) -> int:
        room = buffer[: framing.room(len(buffer))]
        came = min(len(self._got), len(room))
        if came:  # together with the head
            room[:came] = self._got[:came]
            self._got = self._got[came:]
        else:
            came = await _in_time(self._stream.receive_into(room), patience)
        if not came:
            framing.close()
        return framing.take(buffer, came)


async def _in_time(coming: Awaitable[_T], patience: float | None) -> _T:
    try:
        if patience is None:
            return await coming
        async with asyncio.timeout(patience):
            return await coming
    except OSError as error:
        raise failure_of(error) from error


def parse_answer(got: bytes) -> QuickAnswer | None:
    """Read an answer; None when some of it is still to come.

    Raises BadAnswer when it is not one of the kind that is told, or there is too much.
    """
    if len(got) > _MOST_TOLD or not got.startswith(_OK[: len(got)]):
        raise BadAnswer("no plain answer")
    end = got.find(_END)
    if end < 0:
        return None
    head = parse_head(got[:end])
    framing = framing_of(head)
    rest = got[end + len(_END) :]
    if isinstance(framing, Sized):
        left = framing.room(_MOST_TOLD)
        if len(rest) > left:
            raise BadAnswer("more than the answer")
        return QuickAnswer(head.headers, rest) if len(rest) == left else None
    body = bytearray(rest)
    count = framing.take(memoryview(body), len(body))
    return QuickAnswer(head.headers, bytes(body[:count])) if framing.ended else None
