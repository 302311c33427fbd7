"""Keeping content locked on a server over HTTP for as long as a context is open.

lockcontent makes a lock for ten minutes; keeplocked is a request whose body goes on for as long
as the lock is wanted. The real client goes on whatever becomes of keeplocked (verified with
git-annex 10.20261026); here the context is entered only when the server took it, and leaving
it tells whether it was kept to the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from shoal.errors import RemoteRefused, ShoalError
from shoal.p2phttp.codec import KEEP, UNLOCK
from shoal.p2phttp.routes import Request
from shoal.remotes.base import LeaveLocked
from shoal.remotes.p2phttpcalls import P2PHttpServer

_REMIND = 25.0  # seconds after which the body goes on, so that no proxy takes it for dead
_ANSWER = 30.0  # seconds for the server to answer after the unlock


class _Keeper:
    """The body of keeplocked."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.taken = asyncio.Event()  # the first of it was handed to the connection

    async def body(self) -> AsyncIterator[bytes]:
        yield KEEP
        self.taken.set()
        while not self.over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_REMIND):
                    await self.over.wait()
                continue
            yield KEEP
        yield UNLOCK


@asynccontextmanager
async def keep_locked(
    server: P2PHttpServer, request: Request, check: Callable[[], Awaitable[bool]]
) -> AsyncIterator[None]:
    """Keep the lock of a keeplocked `request` while the context is open, then let it go.

    `check` asks the server whether the content is present: that answer, together with no answer
    to keeplocked, shows that the server is there and that it keeps the lock.
    Entering raises RemoteRefused or RemoteUnavailable; leaving raises RemoteUnavailable when
    the server stopped keeping the lock before that.
    """
    keeper = _Keeper()
    keeping = asyncio.create_task(server.send(request, keeper.body(), None), name="keeplocked")
    try:
        await _first_of(keeper.taken.wait(), keeping)
        present = await check()
        if keeping.done():
            raise _lost(server, keeping)
        if not present:
            raise RemoteRefused("the content is locked, but not there")
        yield
        if keeping.done():
            raise _lost(server, keeping)
        await _unlock(server, keeper, keeping)
    except LeaveLocked:
        keeping.cancel()  # the connection is cut: the server keeps the lock for its ten minutes
        with suppress(asyncio.CancelledError, ShoalError):
            await keeping
        raise
    finally:
        keeper.over.set()
        if not keeping.done():
            await asyncio.wait({keeping}, timeout=_ANSWER)
        keeping.cancel()
        with suppress(asyncio.CancelledError, ShoalError):
            await keeping


async def _unlock(server: P2PHttpServer, keeper: _Keeper, keeping: asyncio.Task[bytes]) -> None:
    """Say that the lock is no longer wanted; only an answer shows that it was kept until now.

    Raises RemoteUnavailable when none comes.
    """
    keeper.over.set()
    await asyncio.wait({keeping}, timeout=_ANSWER)
    if not keeping.done():
        keeping.cancel()
        raise server.unavailable("it did not say that the content is unlocked")
    keeping.result()


async def _first_of(one: Awaitable[object], keeping: asyncio.Task[bytes]) -> None:
    waiting = asyncio.ensure_future(one)
    try:
        await asyncio.wait({waiting, keeping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


def _lost(server: P2PHttpServer, keeping: asyncio.Task[bytes]) -> BaseException:
    """Give the error for a keeplocked that was answered too early."""
    error = keeping.exception()
    return error or server.unavailable("it did not keep the content locked")
