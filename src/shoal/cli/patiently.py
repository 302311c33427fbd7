"""Running a command that asks nodes, also when one of them never answers.

A thread that reads from a dead disk or network mount cannot be ended. Python would wait for it,
for ever, before the process may end.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor

_GRACE = 2.0  # seconds that threads have to end when everything else has
_LOOK = 0.1  # seconds between two looks whether Python waits for them


def run_patiently(work: Coroutine[object, object, int]) -> int:
    """Give the exit code that `work` comes to, as asyncio.run() would. Threads that it left
    behind do not keep the process from its end."""
    before = set(threading.enumerate())
    code = 1
    try:
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(_Threads())
            code = runner.run(work)
    finally:
        if any(not one.daemon for one in threading.enumerate() if one not in before):
            threading.Thread(target=_end_without_them, args=[code], daemon=True).start()
    return code


class _Threads(ThreadPoolExecutor):
    """Threads that the event loop does not wait for at its end."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)


def _end_without_them(code: int) -> None:
    """Wait until Python waits for threads, give these a moment, and end the process."""
    while not _python_is_ending():
        time.sleep(_LOOK)
    time.sleep(_GRACE)
    sys.stdout.flush()
    os._exit(code)


def _python_is_ending() -> bool:
    """Tell whether the main thread is done: then no thread can be given work any more."""
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(int)
    except RuntimeError:
        return True
    return False
