"""HTTP/1.1 connections: aiohttp's low-level server, with limits and without tracebacks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http import HttpRequestParser, RawRequestMessage
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from shoal.server.answers import plain_answer
from shoal.server.options import Limits

_LINGER = 30.0  # seconds for which the rest of an unwanted body is read and dropped
_SILENCE = 2.0  # seconds without any of it after which that ends


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


class Connection(web.RequestHandler):
    """One connection of a client."""

    __slots__ = ("_silence",)

    _silence: asyncio.TimerHandle | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; the first request has to come in as much time as any other. (Not every
        aiohttp limits that.)"""
        super().connection_made(transport)
        self._silence = self._loop.call_later(self.keepalive_timeout, self._close_if_silent)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _close_if_silent(self) -> None:
        self._silence = None
        if not self._request_count:
            self.force_close()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered, or waits to be."""
        return self._current_request is None and not self._messages

    def data_received(self, data: bytes) -> None:
        """Take what came. A body that cannot be read on ends at once: aiohttp would only
        answer the next request with 400, and leave whoever reads the body waiting."""
        super().data_received(data)
        request = self._current_request
        if self._messages and request is not None:
            newest, _ = self._messages[-1]
            if not isinstance(newest, RawRequestMessage):
                request.content.set_exception(web.RequestPayloadError("the body is broken"))

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

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        limits: Limits,
    ) -> None:
        super().__init__(handler)
        self._limits = limits

    def close_idle(self) -> None:
        """Close the connections on which nothing is going on."""
        for connection in self.connections:
            if isinstance(connection, Connection) and connection.is_idle:
                connection.force_close()

    def __call__(self) -> Connection:
        limits = self._limits
        return Connection(
            self,
            loop=self._loop,
            keepalive_timeout=limits.idle,
            max_line_size=limits.request_line,
            max_field_size=limits.header_field,
            max_headers=limits.headers,
            read_bufsize=limits.read_ahead,
            lingering_time=0,
            auto_decompress=False,
        )
