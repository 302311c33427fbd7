"""HTTP requests to one host, without encryption or a proxy, over connections that are kept.

A short question needs no task; a large body is read into memory that is used again, and sent
from where it is. An answer may come before all of a request was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from shoal.transport.http_answer import HttpAnswer, HttpFailure, Piece, failure_of
from shoal.transport.http_connection import HttpConnection, Tell
from shoal.transport.http_parts import Head
from shoal.transport.sockets import MakeSocket, connect

_T = TypeVar("_T")

_SWEEP = 1.0  # seconds between looks for connections whose time is over

Body = AsyncIterator[Piece] | bytes | None


class PlainHttp:
    """Connections to one host, with sockets of `make_socket`. For one event loop."""

    def __init__(self, host: str, port: int, make_socket: MakeSocket) -> None:
        self._host = host
        self._port = port
        self._make_socket = make_socket
        self._idle: list[HttpConnection] = []
        self._all: set[HttpConnection] = set()
        self._asked: set[HttpConnection] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False

    def ask(self, request: bytes, tell: Tell) -> bool:
        """Send a whole request that has no body, if a connection is idle. `tell` is called once,
        later: with the answer, or with None when there is none with status 200."""
        if not self._idle:
            return False
        connection = self._idle.pop()
        self._asked.add(connection)
        return connection.ask(request, tell)

    @asynccontextmanager
    async def request(
        self, head: bytes, body: Body, patience: float | None, *, chunked: bool = False
    ) -> AsyncIterator[HttpAnswer]:
        """Send a request and give its answer. Raises HttpFailure. `patience` is how many seconds
        may pass without anything received."""
        connection = self._idle.pop() if self._idle else await self._connect()
        sending: asyncio.Task[None] | None = None
        kept = False
        try:
            sending = await _begin(connection, head, body, chunked)
            found = await _answer(connection, sending, patience)
            yield _PlainAnswer(connection, found, patience)
            kept = connection.is_idle and (sending is None or _succeeded(sending))
        finally:
            try:
                if sending is not None:
                    await _stop(sending)  # first: it must not wait for a socket that is closed
            finally:
                if kept:
                    self.free(connection)
                else:
                    connection.close()

    async def _connect(self) -> HttpConnection:
        try:
            stream = await connect(self._host, self._port, self._make_socket)
        except OSError as error:
            raise failure_of(error) from error
        connection = HttpConnection(stream, self)
        self._all.add(connection)
        if self._sweeping is None:
            self._sweep()
        return connection

    def free(self, connection: HttpConnection) -> None:
        """A connection is idle."""
        self._asked.discard(connection)
        if self._closed:
            connection.close()
        else:
            connection.rest()
            self._idle.append(connection)

    def lost(self, connection: HttpConnection) -> None:
        """A connection is closed."""
        self._all.discard(connection)
        self._asked.discard(connection)
        with suppress(ValueError):
            self._idle.remove(connection)

    def _sweep(self) -> None:
        """Close connections that were idle for too long, or asked too long ago."""
        loop = asyncio.get_running_loop()
        for connection in (*self._idle, *self._asked):
            if connection.deadline < loop.time():
                connection.close()
        self._sweeping = loop.call_later(_SWEEP, self._sweep) if self._all else None

    def close(self) -> None:
        """Close all connections; who waits for an answer is told that there is none."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in tuple(self._all):
            connection.close()


class _PlainAnswer(HttpAnswer):
    def __init__(self, connection: HttpConnection, head: Head, patience: float | None) -> None:
        super().__init__(head.status, head.reason)
        self._connection = connection
        self._headers = head.headers
        self._patience = patience

    def header(self, name: str) -> str | None:
        return self._headers.get(name.lower())

    def chunks(self) -> AsyncIterator[Piece]:
        return self._connection.body(self._patience)


def render_head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Give the bytes of a request before its body. Raises HttpFailure for what is no text of
    headers, such as one with ends of lines in it."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    text = "\r\n".join((*lines, "", ""))
    if text.count("\n") != len(lines) + 1 or text.count("\r") != len(lines) + 1:
        raise HttpFailure("a header must not have ends of lines in it")
    return text.encode()


async def _begin(
    connection: HttpConnection, head: bytes, body: Body, chunked: bool
) -> asyncio.Task[None] | None:
    """Send a request, or begin to. What goes wrong shows in the answer."""
    if body is None or isinstance(body, bytes):
        with suppress(HttpFailure):
            await connection.send(head + body if body else head)
        return None
    sending = _send_chunks(connection, head, body) if chunked else _send(connection, head, body)
    return asyncio.create_task(sending, name="send the body of a request")


async def _send(connection: HttpConnection, head: bytes, body: AsyncIterator[Piece]) -> None:
    await connection.send(head)
    async for piece in body:
        await connection.send(piece)


async def _send_chunks(connection: HttpConnection, head: bytes, body: AsyncIterator[Piece]) -> None:
    await connection.send(head)
    async for piece in body:
        await connection.send(b"".join((b"%x\r\n" % len(piece), piece, b"\r\n")))
    await connection.send(b"0\r\n\r\n")


async def _answer(
    connection: HttpConnection, sending: asyncio.Task[None] | None, patience: float | None
) -> Head:
    """Wait for the head of the answer, or for the body to break off. Raises HttpFailure."""
    if sending is None:
        return await connection.head(patience)
    coming = asyncio.create_task(connection.head(patience), name="wait for an answer")
    try:
        await asyncio.wait({coming, sending}, return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            error = sending.exception()
            if error is not None and not isinstance(error, HttpFailure):
                raise HttpFailure("the body broke off") from error
        return await coming
    finally:
        await _stop(coming)


def _succeeded(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def _stop(task: asyncio.Task[_T]) -> None:
    """End a task whose result nobody needs."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # so that nobody hears of it
