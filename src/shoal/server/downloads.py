"""Sending the content of a key.

The promise of the protocol: a body of as many bytes as X-git-annex-data-length says is good,
any other is not. So the last byte is held back until the remote vouches for the content; a
content that breaks off, or that the remote does not vouch for, ends with a closed connection.
Content that is in memory is sent together with the headers. All other content goes right to the
connection's socket, unless that is encrypted; a file of this machine, by sendfile(). When that
file fails in the middle, what is missing comes from the content's stream, which may come from
elsewhere.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from aiohttp import web

from shoal.errors import RemoteProtocolError, ShoalError
from shoal.p2phttp.codec import LENGTH_HEADER, ByteRange, RangeNotSatisfiable, parse_range
from shoal.p2phttp.routes import Request
from shoal.remotes.base import Caller, Remote
from shoal.remotes.content import Chunk, Content, Region
from shoal.server.answers import content_headers, plain_answer
from shoal.server.messages import complain
from shoal.server.peersocket import PeerSocket, PeerStalled
from shoal.values.key import Key

_PIECE = 256 * 1024
"""Bytes of which a client must take some in the time that it has, where asyncio keeps them."""


async def send_key(
    request: web.BaseRequest, asked: Request, key: Key, remote: Remote, caller: Caller, stall: float
) -> web.StreamResponse:
    """Answer a GET or HEAD for content.

    Raises what Remote.retrieve() raises, and ConnectionError when the client has gone.
    """
    async with AsyncExitStack() as stack:
        opened = remote.retrieve(key, asked.offset or 0, file=asked.file, caller=caller)
        content = await stack.enter_async_context(opened)
        if asked.version is not None or content.size is None:
            return await _Download(request, content, stall).answer(content.size)
        size = content.size
        try:
            part = parse_range(request.headers.get("Range"), size)
        except RangeNotSatisfiable as error:
            answer = plain_answer(416)
            answer.headers["Content-Range"] = str(error)
            return answer
        if part is None:
            return await _Download(request, content, stall).answer(size, ranges=True)
        if part.start:
            await stack.aclose()
            opened = remote.retrieve(key, part.start, file=asked.file, caller=caller)
            content = await stack.enter_async_context(opened)
        return await _Download(request, content, stall).answer_part(part, size)


class _Download:
    """One answer with content."""

    def __init__(self, request: web.BaseRequest, content: Content, stall: float) -> None:
        self._request = request
        self._content = content
        self._stall = stall  # seconds
        self._whole = True  # to the content's end
        self._socket: PeerSocket | None = None  # to which it is sent

    async def answer(self, size: int | None, *, ranges: bool = False) -> web.StreamResponse:
        """Answer 200 with all of the content."""
        if size is None:
            return await self._answer_unsized()
        headers = {LENGTH_HEADER: str(size)}
        if ranges:
            headers["Accept-Ranges"] = "bytes"
        return await self._answer_sized(200, headers, size)

    async def answer_part(self, part: ByteRange, size: int) -> web.StreamResponse:
        """Answer 206; the content starts where the part does."""
        length = part.stop - part.start
        self._whole = part.stop == size
        headers = {LENGTH_HEADER: str(length), "Content-Range": part.header(size)}
        return await self._answer_sized(206, headers, length)

    async def _answer_sized(
        self, status: int, headers: dict[str, str], length: int
    ) -> web.StreamResponse:
        headers["Content-Length"] = str(length)
        if self._request.method != "HEAD" and length:
            whole = self._content.whole
            if whole is not None and await self._vouched():
                body = whole[:length]
                return web.Response(status=status, body=body, headers=content_headers(headers))
        response = web.StreamResponse(status=status, headers=content_headers(headers))
        if self._request.method == "HEAD" or not length:
            return response
        with self._unbuffered():
            await response.prepare(self._request)
            async with self._in_time():
                await self._request.writer.drain()
            with self._at_socket():
                if not await self._send(response, length):
                    response.force_close()
        return response

    async def _answer_unsized(self) -> web.StreamResponse:
        """Answer with content whose size nobody knows: in chunks, the last of which says that
        it is whole."""
        response = web.StreamResponse(headers=content_headers({}))
        if self._request.method == "HEAD":
            return response
        await response.prepare(self._request)
        try:
            with self._unbuffered():
                async with _reading(self._content) as chunks:
                    async for chunk in chunks:
                        await self._write(response, chunk)
            good = await self._content.confirm()
        except ShoalError as error:
            good = self._broke_off(error)
        if not good:
            self._abort()
            raise ConnectionResetError("the content broke off")
        return response

    async def _send(self, response: web.StreamResponse, length: int) -> bool:
        """Send the content, its last byte only when it is good; tell whether it was."""
        sent = 0
        region = self._content.region
        if region is not None and self._socket is not None:
            try:
                with _opened(region) as file:
                    await self._socket.send_file(file, region.offset, length - 1)
                return await self._finish(response, _byte_at(region, length - 1))
            except ConnectionError:
                raise
            except OSError as error:
                complain(f"reading {region.path}: {error.strerror}")
            sent = self._socket.sent
        try:
            last = await self._send_stream(response, sent, length)
        except ShoalError as error:
            return self._broke_off(error)
        return await self._finish(response, last)

    async def _send_stream(self, response: web.StreamResponse, skip: int, length: int) -> bytes:
        """Send the content but for its last byte, and give that."""
        left = length - skip
        last = b""
        async with _reading(self._content, skip) as chunks:
            async for chunk in chunks:
                if last:
                    raise RemoteProtocolError("the content is longer than its sender said")
                rest = memoryview(chunk)
                if len(chunk) >= left:
                    last = bytes(rest[left - 1 : left])
                    rest = rest[: left - 1]
                left -= len(chunk)
                await self._write(response, rest)
                if last and not self._whole:
                    break
        if not last:
            raise RemoteProtocolError(f"the content ended {left} bytes too early")
        if left and self._whole:
            raise RemoteProtocolError("the content is longer than its sender said")
        return last

    async def _finish(self, response: web.StreamResponse, last: bytes) -> bool:
        if not await self._vouched():
            return False
        await self._write(response, last)
        return True

    async def _vouched(self) -> bool:
        return not self._whole or await self._content.confirm()

    async def _write(self, response: web.StreamResponse, chunk: Chunk) -> None:
        """Send a chunk; when this returns nothing refers to its memory any more."""
        if self._socket is not None:
            await self._socket.send(chunk)
            return
        rest = memoryview(chunk)
        while rest:
            async with self._in_time():
                await response.write(rest[:_PIECE])
                await self._request.writer.drain()
            rest = rest[_PIECE:]

    @contextmanager
    def _at_socket(self) -> Iterator[None]:
        """Send right to the socket, where nothing is encrypted."""
        if not self._encrypted:
            self._socket = PeerSocket(self._transport, self._stall)
        try:
            yield
        finally:
            if self._socket is not None:
                self._socket.close()

    @contextmanager
    def _unbuffered(self) -> Iterator[None]:
        """Let drain() wait until nothing waits to be sent."""
        transport = self._transport
        # With 0, asyncio's TLS never lets a writer go on.
        transport.set_write_buffer_limits(high=1 if self._encrypted else 0, low=0)
        try:
            yield
        finally:
            transport.set_write_buffer_limits()

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """The client must take something of what is sent before `stall` seconds are over."""
        try:
            async with asyncio.timeout(self._stall):
                yield
        except TimeoutError:
            self._abort()
            raise PeerStalled(f"nothing was taken for {self._stall:g} seconds") from None

    @property
    def _transport(self) -> asyncio.Transport:
        transport = self._request.transport
        if transport is None:
            raise ConnectionResetError("Connection lost")
        return transport

    @property
    def _encrypted(self) -> bool:
        return self._transport.get_extra_info("sslcontext") is not None

    def _broke_off(self, error: ShoalError) -> bool:
        complain(f"sending content: {error}")
        return False

    def _abort(self) -> None:
        transport = self._request.transport
        if transport is not None:
            transport.abort()


@contextmanager
def _opened(region: Region) -> Iterator[int]:
    file = os.open(region.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


def _byte_at(region: Region, index: int) -> bytes:
    with _opened(region) as file:
        last = os.pread(file, 1, region.offset + index)
    if not last:
        raise OSError(5, "the file became shorter")
    return last


@asynccontextmanager
async def _reading(content: Content, skip: int = 0) -> AsyncIterator[AsyncIterator[Chunk]]:
    """Give the content's chunks; afterwards nothing of its source stays open."""
    chunks = content.stream(skip)
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
