"""Time, and blocking calls that must not be left half done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def monotonic() -> float:
    """Give seconds of a clock that nobody sets, and that goes on while the machine sleeps: a
    lock of another machine does not wait for us to wake up."""
    return time.clock_gettime(_CLOCK)


async def to_the_end(function: Callable[[], T]) -> T:
    """Run a blocking call in a thread. When this is cancelled, wait for the call nevertheless."""
    call = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await asyncio.wait([call])
        raise
