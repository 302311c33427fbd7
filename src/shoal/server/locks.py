"""Content locks of clients over HTTP: made by lockcontent, held or released by keeplocked.

A lock that nobody keeps ends 600 seconds after it was made. A client that keeps it may hold
it for as long as it likes; when its connection is lost, the lock holds until those 600 seconds
are over, as the protocol's page says (the real server releases it at once; a client may rely
on the 600 seconds when it removes another copy). A lock that could not be made takes no place.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from shoal.errors import (
    ContentLocked,
    KeyNotPresent,
    RemoteRefused,
    RemoteUnavailable,
    ShoalError,
)
from shoal.remotes.base import LOCK_SECONDS, Caller, LeaveLocked
from shoal.server.messages import complain
from shoal.server.target import Target
from shoal.values.key import Key
from shoal.values.uuid import UUID

_LEAVING = 5.0  # seconds that remotes have to leave a lock when the server ends


class _Held:
    """One lock: the task that holds it waits for `over`."""

    def __init__(self, server: UUID) -> None:
        self.server = server
        self.over = asyncio.Event()
        self.abandoned = False  # over, but not to be unlocked
        self.keepers = 0  # keeplocked requests that are open
        self.ends = 0.0  # time of the event loop's clock
        self.timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None

    def start_timer(self) -> None:
        loop = asyncio.get_running_loop()
        self.timer = loop.call_at(self.ends, self.over.set)

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class LockRegistry:
    """All locks that this server holds for its clients; at most `limit` at a time."""

    def __init__(self, limit: int, seconds: float = LOCK_SECONDS) -> None:
        self._limit = limit
        self._seconds = seconds
        self._held: dict[str, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    async def lock(self, target: Target, key: Key, caller: Caller, server: UUID) -> str | None:
        """Lock `key`; give the lock's id, or None when it cannot be locked.

        Raises RemoteUnavailable. The lock is effective when this returns.
        """
        if len(self._held) >= self._limit:
            return None
        lock_id = str(uuid.uuid4())
        held = self._held[lock_id] = _Held(server)
        loop = asyncio.get_running_loop()
        held.ends = loop.time() + self._seconds
        ready: asyncio.Future[bool] = loop.create_future()
        held.task = loop.create_task(
            self._hold(lock_id, target, key, caller, ready), name=f"lock of {key}"
        )
        return lock_id if await ready else None

    async def _hold(
        self, lock_id: str, target: Target, key: Key, caller: Caller, ready: asyncio.Future[bool]
    ) -> None:
        """Hold one lock; the remote's context is entered and left in this one task."""
        held = self._held[lock_id]
        try:
            with target.site.in_use():
                async with target.remote.lock_content(key, caller=caller):
                    held.start_timer()
                    _tell(ready, True)
                    await held.over.wait()
                    if held.abandoned:
                        raise LeaveLocked("the server ends")
        except LeaveLocked:
            pass
        except (RemoteRefused, KeyNotPresent, ContentLocked) as error:
            if not _tell(ready, False):
                complain(f"unlocking {key}: {error}")
        except (ShoalError, OSError) as error:
            if not _tell(ready, error):
                complain(f"unlocking {key}: {error}")
        finally:
            held.stop_timer()
            del self._held[lock_id]
            _tell(ready, RemoteUnavailable(target.remote.info.name, "locking failed"))

    @contextmanager
    def kept(self, lock_id: str, server: UUID) -> Iterator[None]:
        """While the context is open the lock does not end by itself. Unknown ids do nothing.

        Left without release(), it goes on until its 600 seconds are over.
        """
        held = self._find(lock_id, server)
        if held is None:
            yield
            return
        held.keepers += 1
        held.stop_timer()
        try:
            yield
        finally:
            held.keepers -= 1
            if not held.keepers and not held.over.is_set():
                held.start_timer()

    async def release(self, lock_id: str, server: UUID) -> None:
        """Release a lock; when this returns it is gone. Unknown ids do nothing."""
        held = self._find(lock_id, server)
        if held is not None and held.task is not None:
            held.over.set()
            await asyncio.wait([held.task])

    async def aclose(self) -> None:
        """Stop holding the locks, but do not unlock: the remotes keep them for 600 seconds."""
        tasks = []
        for held in self._held.values():
            held.abandoned = True
            held.over.set()
            if held.task is not None:
                tasks.append(held.task)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_LEAVING)
            for task in late:
                task.cancel()

    def _find(self, lock_id: str, server: UUID) -> _Held | None:
        held = self._held.get(lock_id)
        return held if held is not None and held.server == server else None


def _tell(ready: asyncio.Future[bool], outcome: bool | Exception) -> bool:
    """Give the outcome to whoever waits; False when it was given before, or nobody waits."""
    if ready.done():
        return ready.cancelled()
    if isinstance(outcome, Exception):
        ready.set_exception(outcome)
    else:
        ready.set_result(outcome)
    return True
