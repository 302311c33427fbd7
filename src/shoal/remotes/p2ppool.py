"""Connections to one P2P server, kept between requests.

Each request has a connection to itself; gateways that must not be asked again are named once
per connection, so there is one set of kept connections for each such list. What was idle for
long, or has more than a few idle ones beside it, is closed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from shoal.remotes.p2pconnection import P2PConnection
from shoal.values.uuid import UUID

Bypass = frozenset[UUID]
Dial = Callable[[Bypass], Awaitable[P2PConnection]]

_KEPT = 8  # idle connections
_IDLE_SECONDS = 60.0
_LETTING_GO = 5.0  # seconds


class P2PPool:
    """Gives connections that `dial` made."""

    def __init__(self, dial: Dial, clock: Callable[[], float] = time.monotonic) -> None:
        self._dial = dial
        self._clock = clock
        self._idle: list[tuple[float, Bypass, P2PConnection]] = []
        self._sweeping: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    @asynccontextmanager
    async def connection(self, bypass: Bypass) -> AsyncIterator[P2PConnection]:
        """Lend a connection. It is kept when it is idle at the end, and closed otherwise."""
        connection = await self.take(bypass)
        try:
            yield connection
        finally:
            await self.give_back(connection, bypass)

    async def take(self, bypass: Bypass) -> P2PConnection:
        """Give a connection for good: whoever has it gives it back, or closes it."""
        for index in reversed(range(len(self._idle))):
            _, kept_for, connection = self._idle[index]
            if kept_for == bypass:
                del self._idle[index]
                if not connection.has_ended():
                    return connection
                self._close(connection)
        return await self._dial(bypass)

    async def give_back(self, connection: P2PConnection, bypass: Bypass) -> None:
        """Keep a connection for the next request if it can take one; else close it, and give
        the server a moment to let go of what it holds for us."""
        if not connection.is_idle or self._closed:
            await asyncio.wait({self._close(connection)}, timeout=_LETTING_GO)
            return
        self._idle.append((self._clock(), bypass, connection))
        while len(self._idle) > _KEPT:
            self._close(self._idle.pop(0)[2])
        if self._sweeping is None:
            loop = asyncio.get_running_loop()
            self._sweeping = loop.call_later(_IDLE_SECONDS, self._sweep)

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
        task = asyncio.create_task(_quietly(connection), name="close a P2P connection")
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
        await asyncio.gather(*self._closing)


async def _quietly(connection: P2PConnection) -> None:
    with suppress(OSError):
        await connection.aclose()
