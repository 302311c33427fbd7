"""A repository on a disk of this machine that may come and go, and threads to use it.

Whether a disk is there is a question of its own: an empty mount point, another repository in
the same place and a file system that gives errors all look like "no such object". So the
repository is recognised each time, by its directories and its UUID, and where it is not
recognised everything is RemoteUnavailable. Nothing is ever written into a mount point.
"""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from shoal.errors import (
    ContentLocked,
    NotEnoughSpace,
    RemoteError,
    RemoteRefused,
    RemoteUnavailable,
    ShoalError,
    TransferInProgress,
)
from shoal.git.identity import Identity, identity_of
from shoal.git.mounts import is_on_local_disk
from shoal.git.waiting import WouldWait
from shoal.remotes.shortwork import Lane, wait_briefly

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.uuid import UUID

T = TypeVar("T")

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG})
_THREADS: Final = 8  # of one disk: a disk that hangs must not stop the others
_SETTLE_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 5.0
_LOOK_HOLDS: Final = 0.002  # seconds for which at_once() believes that nothing changed


class LocalDisk:
    """Opens the repository when it is needed, and again when it comes back.

    The methods without `async` block and belong in a thread, but for at_once().
    """

    def __init__(
        self,
        path: str,
        uuid: UUID,
        name: str,
        repository: Repository | None = None,
        *,
        keeps_reserve: bool = True,
        alone: bool = False,
    ) -> None:
        """`alone`: one client has the event loop to itself, so that work can be done in it."""
        self._alone = alone
        self._path = path
        self._uuid = uuid
        self.name = name
        self._keeps_reserve = keeps_reserve if repository is None else repository.keeps_reserve
        self._lock = threading.Lock()
        self._repository: Repository | None = None
        self._identity: Identity | None = None
        self._objects_apart = False  # ANNEX/objects was seen on a disk of its own
        self._generation = -1
        self._answers_quickly = False  # it is a disk of this machine
        self._looked_until = 0.0  # of the monotonic clock: when at_once() has to look again
        self._pools: dict[bool, ThreadPoolExecutor] = {}  # for writing, and for reading
        self._lane = Lane(f"writing to {name}")
        if repository is not None:
            self._adopt(repository)

    # The repository

    def at_once(self, work: Callable[[Repository], T]) -> T | None:
        """Give what `work` gives for the open repository, right here in the event loop.

        None when it must be done in a thread: the repository is not open, or not as it was
        two milliseconds ago; the disk is behind a network, where it can hang for ever, or was
        slow within the last second (see Lane.at_once); or `work` failed.
        """
        repository = self._repository
        if repository is None or not self._answers_quickly:
            return None
        try:
            if self._alone:
                return self._look_and_work(repository, work)
            return self._lane.at_once(lambda: self._look_and_work(repository, work))
        except (OSError, ShoalError, WouldWait):
            return None

    def _look_and_work(self, repository: Repository, work: Callable[[Repository], T]) -> T | None:
        now = monotonic()
        if now >= self._looked_until:
            if not self._is_as_it_was(repository):
                return None
            self._looked_until = now + _LOOK_HOLDS
        return work(repository)

    def _is_as_it_was(self, repository: Repository) -> bool:
        """Tell whether the repository is there and unchanged: a few stat calls."""
        same = self._identity == identity_of(repository)
        return same and not repository.config.may_have_changed()

    def repository(self) -> Repository:
        """Give the repository, open and as fresh as a look at the disk.

        Raises RemoteUnavailable when it is not there, or is another one.
        """
        with self._lock, self.answering():
            repository = self._repository
            if repository is not None and self._identity == identity_of(repository):
                repository.refresh_config()
                if repository.config.generation != self._generation:
                    self._check_uuid(repository)
                return repository
            self._repository = None
            if repository is not None:
                repository.close()
            return self._open()

    def still_there(self) -> None:
        """Raise RemoteUnavailable when the repository is not the one that was used before:
        then what was not found may be there all the same."""
        repository = self._repository
        if repository is None or self._identity != identity_of(repository):
            raise RemoteUnavailable(self.name, "its disk went away")

    def _open(self) -> Repository:
        from shoal.git.repository import Repository

        repository = Repository.open(self._path)
        repository.keeps_reserve = self._keeps_reserve
        try:
            self._check_uuid(repository)
            self._adopt(repository)
        except BaseException:
            repository.close()
            raise
        return repository

    def _adopt(self, repository: Repository) -> None:
        identity = identity_of(repository)
        if identity is None:
            raise RemoteUnavailable(self.name, "its disk went away")
        device, _, objects = identity
        if self._objects_apart and objects == device:
            raise RemoteUnavailable(self.name, "the disk of its objects is not mounted")
        self._objects_apart = objects != device
        self._identity = identity
        self._generation = repository.config.generation
        self._answers_quickly = all(
            is_on_local_disk(path)
            for path in (repository.common_dir, repository.annex_path("objects"))
        )
        self._looked_until = 0.0
        self._repository = repository

    def _check_uuid(self, repository: Repository) -> None:
        found = repository.uuid
        if found != self._uuid:
            raise RemoteUnavailable(
                self.name, f"expected repository UUID {self._uuid} but found UUID {found}"
            )
        self._generation = repository.config.generation

    @contextmanager
    def answering(self, *, writing: bool = False) -> Iterator[None]:
        """Turn what a disk or a repository can raise into what a remote may raise."""
        try:
            yield
        except (OSError, ShoalError) as error:
            answer = self.answer(error, writing=writing)
            if answer is error:
                raise
            raise answer from error

    def answer(self, error: OSError | ShoalError, *, writing: bool = False) -> ShoalError:
        """Give what a remote may raise for what a disk or a repository raised."""
        if isinstance(error, RemoteError | NotEnoughSpace | TransferInProgress | ContentLocked):
            return error
        if isinstance(error, OSError):
            return self._system_error(error, writing)
        if isinstance(error.__cause__, OSError):
            return self._system_error(error.__cause__, writing)
        return RemoteUnavailable(self.name, str(error))

    def _system_error(self, error: OSError, writing: bool) -> ShoalError:
        cause = error.strerror or str(error)
        if error.errno in _FULL:
            return NotEnoughSpace(f'no space left on the disk of "{self.name}"')
        if writing and error.errno in _FORBIDDEN:
            return RemoteRefused(f'"{self.name}" cannot be written: {cause}')
        return RemoteUnavailable(self.name, cause)

    # Threads

    def submit(self, work: Callable[[], T], *, writing: bool = False) -> Future[T]:
        """Start `work` in a thread of this disk.

        Who writes has threads of its own: many may be waiting for the journal, which another
        process holds, and nobody who only reads should wait for them.
        """
        pool = self._pools.get(writing)
        if pool is None:
            name = f"{'writing' if writing else 'reading'} {self.name}"
            pool = self._pools[writing] = ThreadPoolExecutor(_THREADS, thread_name_prefix=name)
        return pool.submit(work)

    async def call(
        self,
        work: Callable[[], T],
        undo: Callable[[T], None] | None = None,
        *,
        writing: bool = False,
    ) -> T:
        """Run `work` in a thread; what a disk may raise comes as what a remote may raise.

        When this is cancelled, what `work` made is undone. A thread cannot be stopped: it is
        waited for only briefly, since a disk can hang; `undo` runs whenever it ends.
        """
        if self._alone:
            with self.answering(writing=writing):
                return work()
        return await self.wait(self.submit(work, writing=writing), undo, writing=writing)

    async def call_short(self, work: Callable[[], T]) -> T:
        """As call(), for work that writes and ends soon when the disk is as it should be."""
        if self._alone:
            return await self.call(work, writing=True)
        with self.answering(writing=True):
            return await self._lane.call(work)

    async def wait(
        self,
        future: Future[T],
        undo: Callable[[T], None] | None = None,
        *,
        writing: bool = False,
    ) -> T:
        """As call(), for work that was submitted before."""
        try:
            with self.answering(writing=writing):
                if future.done():
                    return future.result()
                return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if undo is not None:
                future.add_done_callback(lambda done: _undo(done, undo))
            await settle(future)
            raise

    async def clean_up(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread, come what may; a disk that hangs is not waited for long."""
        if self._alone:
            with suppress(OSError, ShoalError):
                work()
            return
        await settle(self.submit(work, writing=True))

    async def aclose(self) -> None:
        """Wait for the threads and close the repository. A disk that hangs is left alone."""
        idle = asyncio.ensure_future(self._lane.idle())
        try:
            await wait_briefly(idle, _CLOSE_SECONDS)
        finally:
            idle.cancel()
        pools, self._pools = list(self._pools.values()), {}
        repository, self._repository = self._repository, None

        def close() -> None:
            for pool in pools:
                pool.shutdown()
            if repository is not None:
                repository.close()

        closer = ThreadPoolExecutor(1, thread_name_prefix=f"closing {self.name}")
        future = closer.submit(close)
        closer.shutdown(wait=False)
        await settle(future, _CLOSE_SECONDS)


def _undo(done: Future[T], undo: Callable[[T], None]) -> None:
    if not done.cancelled() and done.exception() is None:
        with suppress(OSError, ShoalError):
            undo(done.result())


async def settle(future: Future[T], seconds: float = _SETTLE_SECONDS) -> None:
    """Wait a moment for a thread, whatever becomes of it, also while being cancelled."""
    thread = asyncio.wrap_future(future)
    thread.add_done_callback(lambda done: done.cancelled() or done.exception())
    await wait_briefly(thread, seconds)
