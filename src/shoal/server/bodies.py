"""The body of a put, as content that a remote can store.

A body that breaks off leaves what came for a resume.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from shoal.errors import RemoteUnavailable
from shoal.p2phttp.routes import Request
from shoal.remotes.content import Chunk, Content

LARGE = 2 << 20
"""Bytes of a body from which on it is read into memory that is used again and again."""

_BATCH = 4 << 20  # bytes that are handed on at once
_SMALL_BATCH = 1 << 20
_FEW = 16  # batches of a body that is not so large

_ENOUGH = 512 * 1024
"""Bytes of a body that are handed on without a look whether there are more."""

_LOOKS = 4


class BodyBroken(RemoteUnavailable):
    """The body is not what the request announced, or its client has gone."""

    def __init__(self, cause: str) -> None:
        super().__init__("client", cause)


class Body(Content):
    """The body of a put, which is given up when nothing comes for `stall` seconds.

    X-git-annex-data-length says how many bytes it must have. Close it in the end.
    """

    size: int

    def __init__(
        self, request: web.BaseRequest, asked: Request, *, stall: float, share: Callable[[], int]
    ) -> None:
        """`share` tells how many bytes an upload should have in memory at once, as things are."""
        self._request = request
        self._length = asked.data_length or 0
        self._skip = 0  # bytes of the body that are known already
        self._stall = stall
        self._share = share
        self.offset = asked.offset or 0
        self.size = self._length
        self.broken: BodyBroken | None = None

    @property
    def batch(self) -> int:
        """The larger the batches, the fewer are handed over; but the first should be written
        while others come."""
        return min(self._share(), _BATCH, max(_SMALL_BATCH, self._length // _FEW))

    def move_to(self, offset: int) -> bool:
        """Begin at byte `offset` of the key; tell whether the body can be its content."""
        skip = offset - self.offset
        announced = self._request.content_length
        if not 0 <= skip <= self._length or (announced is not None and announced > self._length):
            return False
        self._skip = skip
        self.offset = offset
        self.size = self._length - skip
        return True

    def close(self) -> None:
        """Leave the connection to others. Nothing is read any more."""

    def say_continue(self) -> None:
        """Ask a client that waits for it to send its body."""
        request = self._request
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _silent(self) -> BodyBroken:
        return self._break(f"nothing came for {self._stall:g} seconds")

    def _lost(self) -> BodyBroken:
        return self._break("the connection was lost")

    def _break(self, cause: str) -> BodyBroken:
        self.broken = BodyBroken(cause)
        return self.broken


class ParsedBody(Body):
    """A body of any kind, as the connection gives it. `most` bytes are read at once."""

    def __init__(
        self,
        request: web.BaseRequest,
        asked: Request,
        *,
        stall: float,
        share: Callable[[], int],
        most: int,
    ) -> None:
        super().__init__(request, asked, stall=stall, share=share)
        self.filler = self if self._length >= LARGE else None
        self._most = most
        self._gathered: list[bytes] = []
        self._source = self.stream()
        self._rest = memoryview(b"")  # of what came from there

    async def gather(self) -> bytes | None:
        """Give the whole body; None when it is broken. Then stream() gives what came of it."""
        try:
            async for chunk in self._checked():
                self._gathered.append(chunk)
        except BodyBroken:
            return None
        return self._gathered[0] if len(self._gathered) == 1 else b"".join(self._gathered)

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        skip += self._skip
        async for chunk in self._checked() if self.broken is None else self._again(self.broken):
            if skip >= len(chunk):
                skip -= len(chunk)
            else:
                yield memoryview(chunk)[skip:] if skip else chunk
                skip = 0

    async def fill(self, buffer: memoryview) -> int:
        """As Filler.fill(); more is waited for as long as much comes at once."""
        count = 0
        much = True
        while much and count < len(buffer):
            if not self._rest:
                self._rest = memoryview(await self._more(count))
                much = len(self._rest) >= _ENOUGH
            piece = self._rest[: len(buffer) - count]
            buffer[count : count + len(piece)] = piece
            count += len(piece)
            self._rest = self._rest[len(piece) :]
        return count

    async def _more(self, count: int) -> Chunk:
        """Give what comes next; b"" when nothing will. That it broke off is only said when
        nothing else is to be said first."""
        try:
            if self.broken is None:
                return await anext(self._source, b"")
        except BodyBroken:
            pass
        if self.broken is not None and not count:
            raise self.broken
        return b""

    async def _again(self, broken: BodyBroken) -> AsyncIterator[bytes]:
        for chunk in self._gathered:
            yield chunk
        raise broken

    async def _checked(self) -> AsyncIterator[bytes]:
        """Give the body, its last bytes only when nothing comes after them."""
        self.say_continue()
        left = self._length
        while chunk := await self._read():
            left -= len(chunk)
            if left < 0 or (left == 0 and await self._read()):
                raise self._break(f"the body is longer than the {self._length} bytes announced")
            yield chunk
            if left == 0:
                return
        if left:
            raise self._break(f"the body ended {left} bytes too early")

    async def _read(self) -> bytes:
        """Give the next bytes of the body, b"" at its end."""
        content = self._request.content
        if content.is_eof() and content.exception() is None:  # all of it is here
            return content.read_nowait(self._most)
        try:
            async with asyncio.timeout(self._stall):
                first = await self._request.content.read(self._most)
            return await self._with_more(first) if first else first
        except TimeoutError:
            raise self._silent() from None
        except web.RequestPayloadError as error:
            raise self._break("the body is broken") from error
        except ConnectionError as error:
            raise self._lost() from error

    async def _with_more(self, data: bytes) -> bytes:
        """Add to `data` what comes without waiting: each piece costs hand-overs to threads."""
        pieces = [data]
        size = len(data)
        for _ in range(_LOOKS):
            if size >= min(_ENOUGH, self._most):
                break
            await asyncio.sleep(0)
            if self._request.content.exception() is not None:
                break  # for the next read to say: what came until then is kept
            pieces.append(self._request.content.read_nowait(self._most - size))
            size += len(pieces[-1])
        return data if size == len(data) else b"".join(pieces)
