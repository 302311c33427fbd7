"""How fast, and how much: limits that hold for a whole run, over all its transfers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from shoal.remotes.content import Chunk, Content

_SLICE_SECONDS = 0.1  # what is sent at once lasts so long at the limited rate
_SMALLEST_SLICE = 1 << 14  # bytes


class Throttle:
    """Lets `rate` bytes pass in a second (None: any number), shared by all who use it."""

    def __init__(
        self,
        rate: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.rate = rate
        self._clock = clock
        self._sleep = sleep
        self._free_at = clock()  # when the bytes that were let through have taken their time

    @property
    def slice_size(self) -> int | None:
        """How many bytes to pass at once; None: no limit."""
        if self.rate is None:
            return None
        return max(_SMALLEST_SLICE, int(self.rate * _SLICE_SECONDS))

    async def take(self, count: int) -> None:
        """Wait until `count` bytes may pass after those that were let through before."""
        if self.rate is None:
            return
        now = self._clock()
        self._free_at = max(self._free_at, now) + count / self.rate
        if self._free_at > now:
            await self._sleep(self._free_at - now)


class Budget:
    """What a run may still begin: `most` bytes to transfer, and `seconds` of time.

    What was begun is finished. A key of unknown size counts as nothing.
    """

    def __init__(
        self,
        most: int | None = None,
        seconds: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._left = most
        self._clock = clock
        self._end = None if seconds is None else clock() + seconds
        self.spent = ""
        """Why nothing more is begun, "" while there is no reason."""

    def allows(self, size: int) -> bool:
        """Tell whether a transfer of `size` bytes may begin, and count it. After a first no
        the answer is always no."""
        if self.in_time() and self._left is not None and size > self._left:
            self.spent = f"the next transfer, of {size} bytes, would go beyond the limit"
        if self.spent:
            return False
        if self._left is not None:
            self._left -= size
        return True

    def in_time(self) -> bool:
        """Tell whether something may begin as far as time is concerned."""
        if not self.spent and self._end is not None and self._clock() >= self._end:
            self.spent = "the time is over"
        return not self.spent


class Paced(Content):
    """Content that passes at the pace of `throttle`. Each byte counts `weight` times, and
    `progress` is told how many bytes of the key have passed."""

    def __init__(
        self,
        content: Content,
        throttle: Throttle,
        progress: Callable[[int], None] = lambda done: None,
        *,
        weight: int = 1,
    ) -> None:
        self._content = content
        self._throttle = throttle
        self._progress = progress
        self._weight = weight
        self.offset = content.offset
        self.size = content.size
        self.digest = content.digest
        self.region = content.region if throttle.rate is None else None
        self.passed = 0
        """Bytes that have passed."""

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        start = self.offset + skip
        size = self._throttle.slice_size
        async for chunk in self._content.stream(skip):
            step = len(chunk) if size is None else size
            for begin in range(0, len(chunk), step):
                part = chunk if step >= len(chunk) else memoryview(chunk)[begin : begin + step]
                await self._throttle.take(len(part) * self._weight)
                yield part
                self.passed += len(part)
                self._progress(start + self.passed)

    async def confirm(self) -> bool:
        return await self._content.confirm()
