"""Running async tests, and finding what they leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")
_SECONDS = 60


def in_loop(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Run an async test in an event loop of its own, for a minute at most; no task may be
    left at its end."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(_checked(test(*args, **kwargs)))

    return run


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until `condition` holds. For what gives no event to wait for."""
    async with asyncio.timeout(_SECONDS):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def _checked(test: Coroutine[None, None, None]) -> None:
    async with asyncio.timeout(_SECONDS):
        await test
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for _ in range(100):  # tasks that are done but for their last step
        if not left:
            break
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks are left: {left}"
