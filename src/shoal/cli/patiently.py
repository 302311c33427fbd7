"""Running a command that asks nodes, also when one of them never answers.

A thread that reads from a dead disk or network mount cannot be ended. Python would wait for it,
for ever, before the process may end.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_HUNG = 2.0  # seconds until the process ends without threads that hang


def run_patiently(work: Coroutine[object, object, int]) -> int:
    """Give the exit code that `work` comes to, as asyncio.run() would. Threads that it left
    behind do not keep the process from its end."""
    threads = _Threads()
    code = 1
    try:
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(threads)
            code = runner.run(work)
    finally:
        if threads.are_busy():
            timer = threading.Timer(_HUNG, _end, [code])
            timer.daemon = True
            timer.start()
    return code


class _Threads(ThreadPoolExecutor):
    """Threads that nobody waits for at the end."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="shoal")
        self._given: set[Future[object]] = set()

    def submit(self, call: Callable[P, T], /, *args: P.args, **named: P.kwargs) -> Future[T]:
        future = super().submit(call, *args, **named)
        self._given.add(future)  # type: ignore[arg-type]
        future.add_done_callback(self._given.discard)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)

    def are_busy(self) -> bool:
        """Tell whether something is still running."""
        return any(future.running() for future in list(self._given))


def _end(code: int) -> None:
    sys.stdout.flush()
    os._exit(code)
