"""Running async tests, and finding what they leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")
_SECONDS = 120


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be put forward."""

    ahead = 0.0  # seconds

    def time(self) -> float:
        return super().time() + self.ahead


def in_loop(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Run an async test in an event loop of its own, for two minutes at most; no task may be
    left at its end."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(_checked(test(*args, **kwargs)))

    return run


async def pass_time(seconds: float) -> None:
    """Put the clock of the test's event loop forward, and let what is due then happen.

    Limits that are long for a machine that is busy are over soon with this. A test may pass
    half of its own time at most.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop)
    loop.ahead += seconds
    assert loop.ahead <= _SECONDS / 2
    for _ in range(10):
        await asyncio.sleep(0)


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
