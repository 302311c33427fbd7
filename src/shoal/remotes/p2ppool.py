"""Connections to one P2P server, kept between requests.

Each request has a connection to itself; gateways that must not be asked again are named once
per connection, so there is one set of kept connections for each such list. What was idle for
long, or has more than a few idle ones beside it, is closed.

To make a connection costs both machines more than a short request does: a process, and a few
ways there and back. So while others are at work, a short request waits for one of them to end,
but not much longer than it lately took to make a connection. So there are as many connections as
are worth their cost, however many requests come at once, and one that is held for long, as by a
large transfer, keeps nobody waiting.

Nothing can stop an answer that has begun. When its reader leaves, a little that is still to come
is read and dropped; more than that costs the connection. Who left may well be back at once, for
another part of the same content: for a while a spare connection is then made ahead of need, when a
long request takes the last one that is idle.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from shoal.errors import RemoteUnavailable
from shoal.remotes.p2pconnection import P2PConnection
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.git.config import GitConfig

Bypass = frozenset[UUID]
Dial = Callable[[Bypass], Awaitable[P2PConnection]]

KEPT = 8
"""Idle connections that are usually kept."""

_IDLE_SECONDS = 60.0
_LETTING_GO = 5.0  # seconds
_FEW = 2  # connections that are made at once: one is at work while the other's answer is read
_PATIENCE = 2.0  # times as long as it took to make a connection
_LEAST_PATIENCE = 0.2  # seconds that a short request waits for a connection
_MOST_PATIENCE = 2.0
_DRAINED = 4 << 20  # bytes: about what is on its way already when nobody wants it any more
_DRAINING = 1.0  # seconds that it may take
_WARY = 60.0  # seconds for which there is a spare connection after one was left by its reader


def kept_of(config: GitConfig) -> int:
    """Give how many idle connections to keep, as it is configured."""
    return max(0, config.get_int("shoal.idle-connections", KEPT))


class P2PPool:
    """Gives connections that `dial` made; `kept` gives how many are kept that are idle."""

    def __init__(
        self,
        dial: Dial,
        clock: Callable[[], float] = time.monotonic,
        kept: Callable[[], int] = lambda: KEPT,
    ) -> None:
        self._dial = dial
        self._most_idle = kept
        self._clock = clock
        self._idle: list[tuple[float, Bypass, P2PConnection]] = []
        self._lent: Counter[Bypass] = Counter()  # those that are being made, or drained, too
        self._dialling = 0
        self._waiting: list[tuple[Bypass, asyncio.Future[P2PConnection | None]]] = []
        self.patience = _LEAST_PATIENCE  # seconds that a short request waits for one in use
        self.on_idle: Callable[[Bypass], None] = lambda _: None
        self._sweeping: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()  # and those that drain
        self._spare: tuple[Bypass, asyncio.Task[P2PConnection]] | None = None  # is being made
        self._wary_until = 0.0
        self._closed = False

    @asynccontextmanager
    async def connection(self, bypass: Bypass, *, patiently: bool) -> AsyncIterator[P2PConnection]:
        """Lend a connection, as take() gives one. It is kept when it is idle at the end, and
        closed otherwise."""
        connection = await self.take(bypass, patiently=patiently)
        try:
            yield connection
        finally:
            await self.give_back(connection, bypass)

    async def take(self, bypass: Bypass, *, patiently: bool = False) -> P2PConnection:
        """Give a connection: whoever has it gives it back, or says that it was used up.

        `patiently`: rather than to make one, wait a moment for one that is in use.
        """
        connection = await self._take(bypass, patiently=patiently)
        if not patiently and self._clock() < self._wary_until:
            self._make_spare(bypass)
        return connection

    async def _take(self, bypass: Bypass, *, patiently: bool) -> P2PConnection:
        if (connection := self._kept(bypass)) is not None:
            self._lent[bypass] += 1
            return connection
        while patiently and self._lent[bypass] >= _FEW:
            connection = await self._wait(bypass)
            if connection is not None and not connection.has_ended():
                return connection
            if connection is not None:
                self.used_up(bypass)
                self._close(connection)
            if self._dialling < self._lent[bypass] - self._dialling:
                break
        if self._spare is not None and self._spare[0] == bypass:
            (_, making), self._spare = self._spare, None
            return await self._made(making, bypass)
        return await self._make(bypass)

    def take_at_once(self, bypass: Bypass) -> P2PConnection | None:
        """Give a connection that is idle, if nobody waits for it; as take()."""
        if any(wanted == bypass for wanted, _ in self._waiting):
            return None
        connection = self._kept(bypass)
        if connection is not None:
            self._lent[bypass] += 1
        return connection

    def is_busy(self, bypass: Bypass) -> bool:
        """Tell whether there are as many connections as are made without waiting, all in use.
        When one comes back that nobody waits for here, `on_idle` is called."""
        return self._lent[bypass] >= _FEW

    def _kept(self, bypass: Bypass) -> P2PConnection | None:
        """Give an idle connection that is still good."""
        for index in reversed(range(len(self._idle))):
            _, kept_for, connection = self._idle[index]
            if kept_for == bypass:
                del self._idle[index]
                if not connection.has_ended():
                    return connection
                self._close(connection)
        return None

    async def _wait(self, bypass: Bypass) -> P2PConnection | None:
        """Give the connection that somebody else gives back, lent already; None when that takes
        too long, or it is of no more use."""
        waiter: asyncio.Future[P2PConnection | None]
        waiter = asyncio.get_running_loop().create_future()
        waiting = (bypass, waiter)
        self._waiting.append(waiting)
        timer = asyncio.get_running_loop().call_later(self.patience, _give_up, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and (given := waiter.result()) is not None:
                self.put_back(given, bypass)
            raise
        finally:
            timer.cancel()
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    async def _make(self, bypass: Bypass) -> P2PConnection:
        began = self._clock()
        self._lent[bypass] += 1
        self._dialling += 1
        try:
            connection = await self._dial(bypass)
        except BaseException:
            self.used_up(bypass)
            raise
        finally:
            self._dialling -= 1
        seconds = _PATIENCE * (self._clock() - began)
        self.patience = min(max(seconds, _LEAST_PATIENCE), _MOST_PATIENCE)
        return connection

    def _make_spare(self, bypass: Bypass) -> None:
        """Begin to make a connection for whoever comes next, unless there is one."""
        idle = any(kept_for == bypass for _, kept_for, _ in self._idle)
        if idle or self._spare is not None or self._closed or not self._most_idle():
            return
        making = asyncio.create_task(self._make(bypass), name="make a spare P2P connection")
        self._spare = bypass, making
        making.add_done_callback(self._spare_is_made)

    async def _made(self, making: asyncio.Task[P2PConnection], bypass: Bypass) -> P2PConnection:
        """Wait for a spare as if it were made here."""
        try:
            return await making
        except asyncio.CancelledError:
            if making.done() and not making.cancelled() and making.exception() is None:
                self.put_back(making.result(), bypass)
            raise

    def _spare_is_made(self, making: asyncio.Task[P2PConnection]) -> None:
        """Keep it, unless somebody waits for it. Why there is none, the next one will see."""
        if self._spare is None or self._spare[1] is not making:
            return
        (bypass, _), self._spare = self._spare, None
        if not making.cancelled() and making.exception() is None:
            self.put_back(making.result(), bypass)

    async def give_back(self, connection: P2PConnection, bypass: Bypass) -> None:
        """Keep a connection for the next request if it can take one; else close it, and give
        the server a moment to let go of what it holds for us."""
        closing = self.put_back(connection, bypass)
        if closing is not None:
            await asyncio.wait({closing}, timeout=_LETTING_GO)

    def put_back(self, connection: P2PConnection, bypass: Bypass) -> asyncio.Task[None] | None:
        """As give_back(), without waiting; give what closes the connection."""
        left = connection.unread
        if left is not None and left <= _DRAINED and not self._closed:
            self._in_background(self._drain(connection, bypass), "drain a P2P connection")
            return None
        if not connection.is_idle or self._closed:
            self.used_up(bypass)
            self._wake(bypass, None)
            closing = self._close(connection)
            if left is not None:
                self._wary_until = self._clock() + _WARY
                self._make_spare(bypass)
            return closing
        if not self._wake(bypass, connection):
            self.used_up(bypass)
            self._keep(connection, bypass)
        return None

    async def _drain(self, connection: P2PConnection, bypass: Bypass) -> None:
        """Drop what is still to come, and put the connection back."""
        try:
            with suppress(RemoteUnavailable, TimeoutError):
                async with asyncio.timeout(_DRAINING):
                    await connection.skip_payload()
        finally:
            if not connection.is_idle:
                connection.give_up()
            self.put_back(connection, bypass)

    def used_up(self, bypass: Bypass) -> None:
        """A connection that was taken does not come back."""
        self._lent[bypass] -= 1
        if not self._lent[bypass]:
            del self._lent[bypass]

    def _keep(self, connection: P2PConnection, bypass: Bypass) -> None:
        self._idle.append((self._clock(), bypass, connection))
        while len(self._idle) > self._most_idle():
            self._close(self._idle.pop(0)[2])
        if self._sweeping is None:
            loop = asyncio.get_running_loop()
            self._sweeping = loop.call_later(_IDLE_SECONDS, self._sweep)
        self.on_idle(bypass)

    def _wake(self, bypass: Bypass, connection: P2PConnection | None) -> bool:
        """Tell the first who waits; give whether anybody does."""
        for index, (wanted, waiter) in enumerate(self._waiting):
            if wanted == bypass and not waiter.done():
                del self._waiting[index]
                waiter.set_result(connection)
                return True
        return False

    def _sweep(self) -> None:
        """Close what has been idle for long."""
        self._sweeping = None
        limit = self._clock() - _IDLE_SECONDS
        old = [item for item in self._idle if item[0] <= limit]
        self._idle = [item for item in self._idle if item[0] > limit]
        for _, _, connection in old:
            self._close(connection)
        if self._idle:
            loop = asyncio.get_running_loop()
            wait = self._idle[0][0] - limit
            self._sweeping = loop.call_later(wait, self._sweep)

    def _close(self, connection: P2PConnection) -> asyncio.Task[None]:
        """Close a connection, whether or not anybody waits for that."""
        return self._in_background(_quietly(connection), "close a P2P connection")

    def _in_background(
        self, work: Coroutine[object, object, None], name: str
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    async def aclose(self) -> None:
        """Close all idle connections; those that are lent are closed when they come back."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        idle, self._idle = self._idle, []
        for _, _, connection in idle:
            self._close(connection)
        if self._spare is not None:
            making = self._spare[1]
            making.cancel()
            await asyncio.wait({making})
        while self._closing:
            await asyncio.gather(*self._closing)


async def _quietly(connection: P2PConnection) -> None:
    with suppress(OSError):
        await connection.aclose()


def _give_up(waiter: asyncio.Future[P2PConnection | None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
