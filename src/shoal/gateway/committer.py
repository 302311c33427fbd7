"""Committing journalled changes of a git-annex branch some time after the last of them.

The journal is safe and seen by every git-annex process at once; commits are for other
clones. So they wait until a burst of changes is over, but not for ever on a busy server.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from shoal.errors import ShoalError

IDLE = 1.0  # seconds without a change, as `git-annex p2phttp` waits
LATEST = 30.0  # seconds from the first change that is not committed yet
MOST = 5000  # changes that are not committed; with a long journal everything is slower


class IdleCommitter:
    """Calls `commit` when changes have ended. One per repository and event loop.

    A commit that fails is tried again after the next change, after `latest` seconds, and at
    the end; `complain` gets the error.
    """

    def __init__(
        self,
        commit: Callable[[], Awaitable[object]],
        *,
        idle: float = IDLE,
        latest: float = LATEST,
        most: int = MOST,
        complain: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._commit = commit
        self._idle = idle
        self._latest = latest
        self._most = most
        self._complain = complain
        self._lock = threading.Lock()
        self._pending = 0  # changes that are not committed
        self._newest = 0.0  # when the last of them was made
        self._deadline = 0.0  # when the first of them must be committed
        self._watched = False  # the event loop will look at them
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """Something was written to the journal: commit it soon. Called in any thread.

        The event loop is not woken for each of many changes.
        """
        now = self._loop.time()
        with self._lock:
            if not self._pending:
                self._deadline = now + self._latest
            self._pending += 1
            self._newest = now
            if self._watched and self._pending != self._most:
                return
            self._watched = True
        with suppress(RuntimeError):  # a thread that outlived the event loop
            self._loop.call_soon_threadsafe(self._look)

    async def aclose(self) -> None:
        """Commit now what is not committed yet."""
        self._closed = True
        self._cancel_timer()
        if self._task is not None:
            await asyncio.wait({self._task})
        if self._pending:
            await self._run()

    def _look(self) -> None:
        """Start a commit if it is time for one, or look again when it may be."""
        self._cancel_timer()
        if self._closed:
            return
        now = self._loop.time()
        with self._lock:
            due = min(self._newest + self._idle, self._deadline)
            if not self._pending:
                self._watched = False
                return
            if self._pending >= self._most:
                due = now
        if due > now:
            self._timer = self._loop.call_later(min(due - now, self._idle), self._look)
        elif self._task is not None and not self._task.done():
            self._timer = self._loop.call_later(self._idle, self._look)
        else:
            self._task = self._loop.create_task(self._run(), name="commit")
            self._timer = self._loop.call_later(self._idle, self._look)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _run(self) -> None:
        with self._lock:
            self._pending = 0
        try:
            await self._commit()
        except (ShoalError, OSError) as error:
            with self._lock:
                self._pending = max(self._pending, 1)
                self._deadline = self._loop.time() + self._latest
                self._newest = self._deadline  # not before that, unless something changes
                self._watched = True
            self._look()
            self._complain(error)
