"""Receiving the content of a key: the answer to a put.

X-git-annex-data-length says how many bytes the body must have. A body that breaks off earlier
leaves what came for a resume; one that is longer, or that starts after what the remote has,
is no content of the key. The client hears `stored: false` in all of these cases.

A small body is gathered in memory first, so that the remote has no lock and no thread busy
while the client sends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from shoal.errors import RemoteUnavailable
from shoal.p2phttp.codec import Stored, render_stored
from shoal.p2phttp.routes import Request
from shoal.remotes.base import AlreadyPresent, Caller, Remote, StoreResult, Upload
from shoal.remotes.content import SMALL, WholeContent
from shoal.server.answers import json_answer
from shoal.server.bodies import Body, ParsedBody
from shoal.server.messages import complain
from shoal.server.options import Limits
from shoal.server.receiving import LargeBody, can_be_taken
from shoal.values.key import Key

_NOT_STORED = StoreResult(False)
_SMALLEST_BATCH = 64 * 1024
_BUFFERED = 8 << 20
"""Bytes that all uploads together should have in memory here, roughly."""


class Turns:
    """Lets one go on in each turn of the event loop: what they do then takes its time, and
    everybody else comes in between."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False

    def take_now(self) -> bool:
        """Take this turn, unless somebody has it; tell whether it was free."""
        if self._taken:
            return False
        self._taken = True
        loop = asyncio.get_running_loop()
        loop.call_soon(self._next, loop)
        return True

    async def take(self) -> None:
        """Wait for a turn. Who came first is first."""
        if not self.take_now():
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else nobody waits for it any more
                turn.set_result(None)
                loop.call_soon(self._next, loop)
                return
        self._taken = False


class Uploads:
    """The uploads that are under way, which share the memory for bodies."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._count = 0
        self._gathered = 0  # bytes of small bodies
        self.turns = Turns()  # to store them

    @contextmanager
    def one_more(self) -> Iterator[int]:
        """Give the number of bytes that one more upload reads at once."""
        self._count += 1
        try:
            yield min(self.share(), self.limits.batch)
        finally:
            self._count -= 1

    def share(self) -> int:
        """Give how many bytes one of the uploads should read at once: a power of two, so that
        it does not change with each that comes or goes."""
        return max(_SMALLEST_BATCH, _BUFFERED >> (self._count - 1).bit_length())

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
        return _answer(asked, told(key, result))
    begun = await remote.begin_store(key, file=asked.file, caller=caller)
    if isinstance(begun, AlreadyPresent):
        return _answer(asked, StoreResult(True, begun.stored_in))
    async with begun as upload:
        with uploads.one_more() as batch:
            result = await _store(_body(request, asked, uploads, batch), upload)
    return _answer(asked, told(key, result))


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
    with uploads.gathering(length):
        stall, share = uploads.limits.stall, uploads.share
        body = ParsedBody(request, asked, stall=stall, share=share, most=max(length, 1))
        data = await body.gather()
        if data is not None:
            return await _store_whole(asked, key, remote, caller, data, uploads)
        begun = await remote.begin_store(key, file=asked.file, caller=caller)
        if isinstance(begun, AlreadyPresent):
            return StoreResult(True, begun.stored_in)
        async with begun as upload:
            return await _store(body, upload)


async def _store_whole(
    asked: Request, key: Key, remote: Remote, caller: Caller, data: bytes, uploads: Uploads
) -> StoreResult:
    await uploads.turns.take()
    stored = remote.store_soon(key, WholeContent(data), file=asked.file, caller=caller)
    if not isinstance(stored, StoreResult | AlreadyPresent):
        stored = await stored
    return put_result(stored)


def put_result(stored: StoreResult | AlreadyPresent) -> StoreResult:
    """Give what the client is to hear."""
    return StoreResult(True, stored.stored_in) if isinstance(stored, AlreadyPresent) else stored


def _body(request: web.BaseRequest, asked: Request, uploads: Uploads, batch: int) -> Body:
    stall, share = uploads.limits.stall, uploads.share
    if can_be_taken(request, asked):
        return LargeBody(request, asked, stall=stall, share=share)
    return ParsedBody(request, asked, stall=stall, share=share, most=batch)


async def _store(body: Body, upload: Upload) -> StoreResult:
    if not body.move_to(upload.offset):
        return _NOT_STORED
    try:
        return await upload.store(body)
    except RemoteUnavailable:
        if body.broken is None:
            raise
        return StoreResult(False, error=body.broken.cause)
    finally:
        body.close()


def told(key: Key, result: StoreResult) -> StoreResult:
    """Tell the operator why a content was not stored, if it was not."""
    if result.error:
        complain(f"receiving {key}: {result.error}")
    return result


def _answer(asked: Request, result: StoreResult) -> web.StreamResponse:
    return json_answer(rendered(asked, result))


def rendered(asked: Request, result: StoreResult) -> bytes:
    """Give the text of an answer to a put."""
    return render_stored(Stored(result.stored, result.stored_in), asked.protocol)
