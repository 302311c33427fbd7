"""Receiving the content of a key: the body of a put, as content that a remote can store.

X-git-annex-data-length says how many bytes the body must have. A body that breaks off earlier
leaves what came for a resume; one that is longer, or that starts after what the remote has,
is no content of the key. The client hears `stored: false` in all of these cases.

A small body is gathered in memory first, so that the remote has no lock and no thread busy
while the client sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from aiohttp import web

from shoal.errors import RemoteUnavailable
from shoal.p2phttp.codec import Stored, render_stored
from shoal.p2phttp.routes import Request
from shoal.remotes.base import AlreadyPresent, Caller, Remote, StoreResult, Upload
from shoal.remotes.content import SMALL, Chunk, Content, WholeContent
from shoal.server.answers import json_answer
from shoal.server.messages import complain
from shoal.server.options import Limits
from shoal.values.key import Key

_NOT_STORED = StoreResult(False)
_ENOUGH = 512 * 1024
"""Bytes of a body that are handed on without a look whether there are more."""

_LOOKS = 4
_SMALLEST_BATCH = 64 * 1024
_BUFFERED = 8 << 20
"""Bytes that all uploads together should have in memory here, roughly."""


class Uploads:
    """The uploads that are under way, which share the memory for bodies."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._count = 0
        self._gathered = 0  # bytes of small bodies

    @contextmanager
    def one_more(self) -> Iterator[int]:
        """Give the number of bytes that one more upload reads at once."""
        self._count += 1
        try:
            fair = _BUFFERED // self._count
            yield max(_SMALLEST_BATCH, min(fair, self.limits.batch))
        finally:
            self._count -= 1

    def may_gather(self, length: int) -> bool:
        """Tell whether a body of `length` bytes is to be gathered in memory."""
        return length <= SMALL and self._gathered + length <= _BUFFERED

    @contextmanager
    def gathering(self, length: int) -> Iterator[None]:
        """A body of `length` bytes is in memory."""
        self._gathered += length
        try:
            yield
        finally:
            self._gathered -= length


class BodyBroken(RemoteUnavailable):
    """The body is not what the request announced, or its client has gone."""

    def __init__(self, cause: str) -> None:
        super().__init__("client", cause)


async def receive_key(
    request: web.BaseRequest,
    asked: Request,
    key: Key,
    remote: Remote,
    caller: Caller,
    uploads: Uploads,
) -> web.StreamResponse:
    """Answer a put. Raises what Remote.begin_store() and Upload.store() raise."""
    if asked.data_present:
        result = await remote.store_present(key, file=asked.file, caller=caller)
        return _answer(asked, result)
    if _is_whole(request, asked, key) and uploads.may_gather(asked.data_length or 0):
        result = await _receive_whole(request, asked, key, remote, caller, uploads)
        return _answer(asked, _told(key, result))
    begun = await remote.begin_store(key, file=asked.file, caller=caller)
    if isinstance(begun, AlreadyPresent):
        return _answer(asked, StoreResult(True, begun.stored_in))
    async with begun as upload:
        with uploads.one_more() as batch:
            body = BodyContent(request, asked, stall=uploads.limits.stall, batch=batch)
            result = await _store(body, upload)
    return _answer(asked, _told(key, result))


def _is_whole(request: web.BaseRequest, asked: Request, key: Key) -> bool:
    """Tell whether the body, already on its way, has as many bytes as the key."""
    complete = not asked.offset and request.content_length == asked.data_length == key.size
    return complete and "Expect" not in request.headers


async def _receive_whole(
    request: web.BaseRequest,
    asked: Request,
    key: Key,
    remote: Remote,
    caller: Caller,
    uploads: Uploads,
) -> StoreResult:
    """Gather the body and store it. Of one that breaks off the remote keeps what came."""
    length = asked.data_length or 0
    begun: Upload | StoreResult | AlreadyPresent
    with uploads.gathering(length):
        body = BodyContent(request, asked, stall=uploads.limits.stall, batch=max(length, 1))
        data = await body.gather()
        if data is not None:
            content = WholeContent(data)
            begun = await remote.store_whole(key, content, file=asked.file, caller=caller)
        else:
            begun = await remote.begin_store(key, file=asked.file, caller=caller)
        if isinstance(begun, Upload):
            async with begun as upload:
                return await _store(body, upload)
    return StoreResult(True, begun.stored_in) if isinstance(begun, AlreadyPresent) else begun


async def _store(body: BodyContent, upload: Upload) -> StoreResult:
    if not body.move_to(upload.offset):
        return _NOT_STORED
    try:
        return await upload.store(body)
    except RemoteUnavailable:
        if body.broken is None:
            raise
        return StoreResult(False, error=body.broken.cause)


def _told(key: Key, result: StoreResult) -> StoreResult:
    if result.error:
        complain(f"receiving {key}: {result.error}")
    return result


def _answer(asked: Request, result: StoreResult) -> web.StreamResponse:
    return json_answer(render_stored(Stored(result.stored, result.stored_in), asked.protocol))


class BodyContent(Content):
    """The body of a put.

    `batch` is how many bytes are read at once, and `stall` for how many seconds nothing may
    come.
    """

    def __init__(
        self, request: web.BaseRequest, asked: Request, *, stall: float, batch: int
    ) -> None:
        self._request = request
        self._length = asked.data_length or 0
        self._skip = 0  # bytes of the body that are known already
        self._stall = stall
        self._batch = batch
        self._gathered: list[bytes] = []
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
        await self._say_continue()
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
            raise self._break(f"nothing came for {self._stall:g} seconds") from None
        except web.RequestPayloadError as error:
            raise self._break("the body is broken") from error
        except ConnectionError as error:
            raise self._break("the connection was lost") from error

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

    async def _say_continue(self) -> None:
        """Ask a client that waits for it to send its body."""
        request = self._request
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _break(self, cause: str) -> BodyBroken:
        self.broken = BodyBroken(cause)
        return self.broken
