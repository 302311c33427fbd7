"""Receiving a large body right from its socket, into memory that is used again and again.

What aiohttp makes of a body is many small pieces, each in memory of its own. When the length of
a body is known and nothing encrypts the connection, they are not needed: after the head, all
bytes up to that length are the body's. So the connection stops reading, the socket is read
here, and at the body's end the connection goes on.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from shoal.p2phttp.routes import Request
from shoal.remotes.content import Chunk
from shoal.server.bodies import LARGE, Body
from shoal.server.http import Connection

_PIECE = 1 << 20  # bytes per system call: other requests have their turn after each
_AT_ONCE = 512 << 10  # bytes that the kernel gathers before it says that something came
_HAND_ON = 0.5  # seconds after which less than that is taken, and handed on


def can_be_taken(request: web.BaseRequest, asked: Request) -> bool:
    """Tell whether the body of a put can be read from its socket, and should be."""
    length = asked.data_length or 0
    transport = request.transport
    return (
        length >= LARGE
        and request.content_length == length
        and not request.content.is_eof()
        and transport is not None
        and transport.get_extra_info("sslcontext") is None
    )


class LargeBody(Body):
    """A body of known length that is read from the socket. close() gives that back."""

    def __init__(
        self, request: web.BaseRequest, asked: Request, *, stall: float, share: Callable[[], int]
    ) -> None:
        super().__init__(request, asked, stall=stall, share=share)
        self.filler = self
        self._left = self._length
        self._head = memoryview(b"")  # what had come before the socket was taken
        self._socket: socket.socket | None = None
        self._heard = 0.0  # when something came, of the monotonic clock
        self._patience = min(_HAND_ON, stall)

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        buffer = memoryview(bytearray(self.batch))
        while count := await self.fill(buffer):
            if skip < count:
                yield buffer[skip:count]
            skip = max(0, skip - count)

    async def fill(self, buffer: memoryview) -> int:
        if self._socket is None:
            self._socket = self._take_socket()
        while self._skip:
            self._skip -= await self._next(self._socket, buffer[: self._skip])
        return await self._next(self._socket, buffer[: self._left])

    def close(self) -> None:
        """Let the connection read on. A body that did not come to its end stays unfinished."""
        taken, self._socket = self._socket, None
        if taken is None:
            return
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        taken.close()
        request = self._request
        connection = request.protocol
        if isinstance(connection, Connection) and request.transport is not None:
            if not self._left:
                connection.forget_body(request)
            request.transport.resume_reading()

    def _take_socket(self) -> socket.socket:
        self.say_continue()
        content, transport = self._request.content, self._request.transport
        pieces = []
        try:
            while piece := content.read_nowait():
                pieces.append(piece)
        except web.RequestPayloadError as error:
            raise self._break("the body is broken") from error
        if transport is None or transport.is_closing():
            raise self._lost()
        self._head = memoryview(b"".join(pieces))
        transport.pause_reading()
        # The descriptor stays ours if the connection is closed: else its number could be
        # another connection's by then.
        taken = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        taken.setblocking(False)
        self._heard = time.monotonic()
        return taken

    async def _next(self, source: socket.socket, buffer: memoryview) -> int:
        """Fill `buffer` for a while, and give how many bytes came; 0 when there is no room."""
        count = min(len(self._head), len(buffer))
        buffer[:count] = self._head[:count]
        self._head = self._head[count:]
        until = time.monotonic() + self._patience
        while count < len(buffer):
            got = self._receive(source, buffer[count : count + _PIECE])
            if got:
                count += got
                self._heard = time.monotonic()
                await asyncio.sleep(0)
            elif count and (got == 0 or time.monotonic() > until):
                break
            elif got == 0:
                raise self._lost()
            elif time.monotonic() - self._heard > self._stall:
                raise self._silent()
            else:
                await self._wait(source, min(_AT_ONCE, len(buffer) - count))
        self._left -= count
        return count

    def _receive(self, source: socket.socket, buffer: memoryview) -> int | None:
        """Give how many bytes were there: None for none yet, 0 when none will come."""
        try:
            return source.recv_into(buffer)
        except BlockingIOError:
            return None
        except OSError:
            return 0

    async def _wait(self, source: socket.socket, enough: int) -> None:
        """Wait until `enough` bytes are there, the client has gone, or some time is over."""
        source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, enough)
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        timer = loop.call_later(self._patience, _wake, waiter)
        loop.add_reader(source, _wake, waiter)
        try:
            await waiter
        finally:
            loop.remove_reader(source)
            timer.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
