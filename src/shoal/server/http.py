"""HTTP/1.1 connections: aiohttp's low-level server, with limits and without tracebacks.

A request that can be answered without waiting for anything is answered as soon as it is read:
most requests are of that kind, and the tasks, streams and turns of the event loop that aiohttp
has for each request would be most of what they cost. One that is a short question to another
machine waits here for its answer, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Protocol, Self, cast

from aiohttp import web
from aiohttp.http import HttpRequestParser, HttpVersion11, RawRequestMessage
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from shoal.server.answers import plain_answer
from shoal.server.options import Limits

_LINGER = 30.0  # seconds for which the rest of an unwanted body is read and dropped
_SILENCE = 2.0  # seconds without any of it after which that ends
_FEW = 64 << 10  # bytes that are read at once when there are few: for more than twice as many
_MANY = 256 << 10  # the allocator would map memory, and unmap it after each request


class Later(Enum):
    """That an answer will be told."""

    LATER = auto()


class Answering(Protocol):
    """Who answers requests."""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request. Raises ConnectionError when the client has gone."""

    def answer_at_once(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        tell: Callable[[bytes | None], None],
        *,
        encrypted: bool,
    ) -> bytes | Later | None:
        """Give the whole answer to a request that is all there, when there is no need to wait
        for anything; else None. `target` is the path and what follows. With LATER, `tell` is
        called once, and soon, with such an answer or None."""


async def send_and_drop_the_rest(request: web.BaseRequest, answer: web.StreamResponse) -> None:
    """Answer before the request's body came to its end, and close the connection then.

    Some of what is on its way is read: a client that is still sending would not see the
    answer if its bytes met a closed connection. Raises ConnectionError.
    """
    answer.force_close()
    await answer.prepare(request)
    await answer.write_eof()
    try:
        async with asyncio.timeout(_LINGER):
            while not request.content.is_eof():
                async with asyncio.timeout(_SILENCE):
                    await request.content.readany()
    except (TimeoutError, web.RequestPayloadError, ConnectionError):
        pass  # enough, or nobody is there any more


class _Reading(Protocol):
    """What asyncio's transports for sockets are besides: `max_size` bytes are read at once."""

    max_size: int


class Connection(web.RequestHandler):
    """One connection of a client."""

    __slots__ = ("_app", "_lost", "_silence", "_to_be_told")

    _app: Answering
    _lost: asyncio.Event | None
    _silence: asyncio.TimerHandle | None
    _to_be_told: bool  # the answer to the first of the messages

    @classmethod
    def made_for(cls, app: Answering, server: web.Server, limits: Limits) -> Self:
        """Make a connection for the loop that runs now."""
        connection = cls(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.idle,
            max_line_size=limits.request_line,
            max_field_size=limits.header_field,
            max_headers=limits.headers,
            read_bufsize=limits.read_ahead,
            lingering_time=0,
            auto_decompress=False,
        )
        connection._app = app
        connection._lost = None
        connection._to_be_told = False
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; the first request has to come in as much time as any other. (Not every
        aiohttp limits that.)"""
        super().connection_made(transport)
        self._silence = self._loop.call_later(self.keepalive_timeout, self._close_if_silent)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._lost is not None:
            self._lost.set()
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _close_if_silent(self) -> None:
        self._silence = None
        if not self._request_count:
            self.force_close()

    async def wait_until_lost(self) -> None:
        """Return when the client has gone."""
        if self.transport is not None:
            self._lost = self._lost or asyncio.Event()
            await self._lost.wait()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered, or waits to be."""
        return self._current_request is None and not self._messages

    def data_received(self, data: bytes) -> None:
        """Take what came. A body that cannot be read on ends at once: aiohttp would only
        answer the next request with 400, and leave whoever reads the body waiting."""
        if self.transport is not None:
            more = _MANY if len(data) >= _FEW else _FEW  # as of the body of an upload
            cast(_Reading, self.transport).max_size = more
        waiter, self._waiter = self._waiter, None  # who waits for what is not answered at once
        super().data_received(data)
        self._waiter = waiter
        if waiter is not None and self._messages:
            self._answer_or_leave(waiter)
            return
        request = self._current_request
        if self._messages and request is not None:
            newest, _ = self._messages[-1]
            if not isinstance(newest, RawRequestMessage):
                request.content.set_exception(web.RequestPayloadError("the body is broken"))

    def _answer_or_leave(self, waiter: asyncio.Future[None]) -> None:
        """Answer the request that came, or leave it to aiohttp, which is waiting for it."""
        if not (self._to_be_told or waiter.done() or self._answer_at_once()):
            waiter.set_result(None)

    def _answer_at_once(self) -> bool:
        """Answer the request that came, now or later; False when that is for aiohttp to do."""
        transport = self.transport
        message, payload = self._messages[0]
        body = b"" if payload is EMPTY_PAYLOAD else self._whole(payload)
        if (
            transport is None
            or not isinstance(transport, asyncio.Transport)
            or not isinstance(message, RawRequestMessage)
            or body is None
            or len(self._messages) > 1
            or message.should_close
            or message.upgrade
            or message.version != HttpVersion11
            or transport.get_write_buffer_size()  # the client does not take its answers
        ):
            return False
        encrypted = transport.get_extra_info("sslcontext") is not None
        answer = self._app.answer_at_once(
            message.method, message.path, message.headers, body, self._told, encrypted=encrypted
        )
        if answer is None:
            return False
        self._next_keepalive_close_time = self._loop.time() + self.keepalive_timeout
        if isinstance(answer, Later):
            self._to_be_told = True
        else:
            self._send(transport, answer)
        return True

    def _whole(self, payload: StreamReader) -> bytes | None:
        """Give a body that is all there; None when it is not. It stays where it is, so that
        aiohttp can still answer the request."""
        if not payload.is_eof() or payload.exception() is not None or self._reading_paused:
            return None
        return b"".join(payload._buffer)

    def _send(self, transport: asyncio.Transport, answer: bytes) -> None:
        self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        self._next_keepalive_close_time = self._loop.time() + self.keepalive_timeout
        transport.write(answer)

    def _told(self, answer: bytes | None) -> None:
        """Take the answer that was to come later; None: the request is for aiohttp."""
        self._to_be_told = False
        transport, waiter = self.transport, self._waiter
        if transport is None or transport.is_closing() or waiter is None or waiter.done():
            return
        if answer is None:
            waiter.set_result(None)
            return
        assert isinstance(transport, asyncio.Transport)
        self._send(transport, answer)
        if self._messages:
            self._answer_or_leave(waiter)

    def forget_body(self, request: web.BaseRequest) -> None:
        """Go on after the request that is being answered: the rest of its body was read from
        the socket, past this connection. (The parser would wait for that for ever.)"""
        self._parser = HttpRequestParser(
            self,
            self._loop,
            self._read_bufsize,
            max_line_size=self.max_line_size,
            max_field_size=self.max_field_size,
            max_headers=self.max_headers,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
            max_msg_queue_size=self._max_msg_queue_size,
        )
        request.content.feed_eof()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request (with 4xx), or a bug of ours (with 500).

        Raises ConnectionError when the client has gone: nobody needs an answer.
        """
        if isinstance(exc, ConnectionError):
            raise exc
        if isinstance(exc, LineTooLong):
            answer = plain_answer(431, "the request line or a header is too long")
        elif isinstance(exc, BadHttpMessage):
            answer = plain_answer(400, "this is no HTTP request")
        else:
            self.log_exception("Error handling request", exc_info=exc)
            if request.writer.output_size > 0:
                raise ConnectionResetError("the answer has begun already")
            answer = plain_answer(500, "Something went wrong")
        answer.force_close()
        return answer

    def log_exception(self, *args: object, **kw: object) -> None:
        """Show the traceback of a bug to the operator, but not that a body broke off."""
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)


class Server(web.Server):
    """Makes connections; asyncio's protocol factory."""

    def __init__(self, app: Answering, limits: Limits) -> None:
        super().__init__(app.answer)
        self._app = app
        self._limits = limits

    def close_idle(self) -> None:
        """Close the connections on which nothing is going on."""
        for connection in self.connections:
            if isinstance(connection, Connection) and connection.is_idle:
                connection.force_close()

    def __call__(self) -> Connection:
        return Connection.made_for(self._app, self, self._limits)
