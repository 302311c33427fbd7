"""The body of a put, as content that a remote can store.

A body that breaks off leaves what came for a resume.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from shoal.errors import RemoteUnavailable
from shoal.p2phttp.routes import Request
from shoal.remotes.content import Chunk, Content

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

    def __init__(self, request: web.BaseRequest, asked: Request, *, stall: float) -> None:
        self._request = request
        self._length = asked.data_length or 0
        self._skip = 0  # bytes of the body that are known already
        self._stall = stall
        self.offset = asked.offset or 0
        self.size = self._length
        self.broken: BodyBroken | None = None

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
    """A body of any kind, as the connection gives it. `batch` bytes are read at once."""

    def __init__(
        self, request: web.BaseRequest, asked: Request, *, stall: float, batch: int
    ) -> None:
        super().__init__(request, asked, stall=stall)
        self._batch = batch
        self._gathered: list[bytes] = []

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
            return content.read_nowait(self._batch)
        try:
            async with asyncio.timeout(self._stall):
                first = await self._request.content.read(self._batch)
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
            if size >= min(_ENOUGH, self._batch):
                break
            await asyncio.sleep(0)
            if self._request.content.exception() is not None:
                break  # for the next read to say: what came until then is kept
            pieces.append(self._request.content.read_nowait(self._batch - size))
            size += len(pieces[-1])
        return data if size == len(data) else b"".join(pieces)
