"""Committing journalled changes of a git-annex branch some time after the last of them.

The journal is safe and seen by every git-annex process at once; commits are for other
clones. So they wait until a burst of changes is over, but not for ever on a busy server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shoal.errors import ShoalError

IDLE = 1.0  # seconds without a change, as `git-annex p2phttp` waits
LATEST = 30.0  # seconds from the first change that is not committed yet
MOST = 1000  # changes that are not committed; with a long journal everything is slower


class IdleCommitter:
    """Calls `commit` when changes have ended. One per repository and event loop.

    A commit that fails is tried again after the next change, and at the end; `complain` gets
    the error.
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
        self._complain = complain
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0  # of the oldest change that is not committed
        self._most = most
        self._pending = 0  # changes
        self._task: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """Something was written to the journal: commit it soon. Called in the event loop."""
        now = self._loop.time()
        if not self._pending:
            self._deadline = now + self._latest
        self._pending += 1
        if self._pending >= self._most:
            self._deadline = now
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now + self._idle, self._deadline), self._begin)

    async def aclose(self) -> None:
        """Commit now what is not committed yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            await asyncio.wait({self._task})
        if self._pending:
            await self._run()

    def _begin(self) -> None:
        """Start a commit, or wait a little more when one is under way."""
        self._timer = None
        if self._task is not None and not self._task.done():
            self._timer = self._loop.call_later(self._idle, self._begin)
            return
        self._task = self._loop.create_task(self._run(), name="commit")

    async def _run(self) -> None:
        self._pending = 0
        try:
            await self._commit()
        except (ShoalError, OSError) as error:
            self._pending = 1
            self._deadline = self._loop.time() + self._latest
            self._complain(error)
