"""HTTP/1.1 connections: aiohttp's low-level server, with limits and without tracebacks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from shoal.server.answers import plain_answer
from shoal.server.options import Limits

_LINGER = 30.0  # seconds for which the rest of an unwanted body is read and dropped


class Connection(web.RequestHandler):
    """One connection of a client."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request (with 4xx), or a bug of ours (with 500)."""
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
            lingering_time=_LINGER,
            auto_decompress=False,
        )
