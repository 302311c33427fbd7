"""Content locks: promises that a key's content stays, and the right to remove it.

Next to an object K are K.lck (locked shared: "keep it"; exclusive: "I am removing it"), K.rtm
(until when a promise outlives the process that made it) and K.rtl (locked while K.rtm is
written). Locks are tried, never waited for: two gateways that wait for each other's copies
would wait for ever.

Source: on-disk behaviour of git-annex 10.20261026, which takes part in these locks.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from shoal.errors import ContentLocked
from shoal.git.freezing import Freezer
from shoal.git.held import Held
from shoal.git.locks import Lock, Locker, LockError
from shoal.git.othertmp import OtherTmp
from shoal.values.clock import clock_from_nanoseconds, parse_clock, render_clock

_BILLION: Final = 1_000_000_000
_ATTEMPTS: Final = 5  # at a directory that others freeze, or remove, at the same time

T = TypeVar("T")


def format_timestamp(nanoseconds: int) -> bytes:
    """Give a time since the epoch as K.rtm holds it: `1795346056.365625357s`, no newline."""
    return render_clock(clock_from_nanoseconds(nanoseconds))


def parse_timestamp(text: bytes) -> int | None:
    """Read such a time, in nanoseconds. As strict as the real program, for which a file with
    anything else, even a final newline, promises nothing."""
    try:
        return parse_clock(text) // 1000
    except ValueError:
        return None


class Promises:
    """The retention times that this process wrote, so that it takes back its own and only
    those. Shared by all ContentLocks of a repository.

    `busy` is held while a lock is taken or given up: the exclusive lock that cleaning up needs
    for a moment would refuse another thread's promise.
    """

    def __init__(self) -> None:
        self.busy = threading.Lock()
        self._ours: dict[str, set[int]] = {}
        self._others: dict[str, set[int]] = {}

    def made(self, path: str, until: int, replaced: int | None) -> None:
        """Note a promise, and the one that was on disk before."""
        ours = self._ours.setdefault(path, set())
        if replaced is not None and replaced not in ours:
            self._others.setdefault(path, set()).add(replaced)
        ours.add(until)

    def abandoned(self, path: str, until: int) -> None:
        """A promise must be kept although nobody holds its lock any more."""
        self._others.setdefault(path, set()).add(until)

    def settle(self, path: str, on_disk: int | None, now: int) -> int | None:
        """Nobody holds a lock: give the time that must be on disk from now on."""
        ours = self._ours.pop(path, set())
        others = self._others.pop(path, set())
        if on_disk is None or on_disk not in ours:
            return on_disk
        kept = max((until for until in others if until >= now), default=None)
        if kept is not None:
            self.abandoned(path, kept)
            self._ours[path] = {kept}
        return kept


class ContentLocks:
    """Takes the content locks of one repository's objects. Thread-safe.

    Objects are named by their path, ANNEX/objects/…/K/K.
    """

    def __init__(
        self,
        objects_dir: str,
        locker: Locker,
        freezer: Freezer,
        othertmp: OtherTmp,
        promises: Promises | None = None,
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._objects_dir = objects_dir
        self._locker = locker
        self._freezer = freezer
        self._othertmp = othertmp
        self._promises = promises or Promises()
        self._clock = clock

    def shared(self, path: str, retention: float | None = None) -> SharedLock:
        """Promise that the object stays until release().

        `retention` is for how many seconds the promise is kept even if this process dies; it
        is on disk when this returns. Raises ContentLocked when somebody is removing the
        object, FileNotFoundError when the object's directory is not there. Whether there is
        an object is to be checked afterwards: only now it can no longer go.
        """
        until = None
        with self._promises.busy:
            lock = self._take(path, self._locker.try_shared)
            if retention is not None:
                try:
                    until = self._clock() + int(retention * _BILLION)
                    self._retain(path, until)
                except BaseException:
                    lock.release()
                    raise
        return SharedLock(
            path,
            lock,
            lambda held: self._release_shared(path, held),
            lambda held: self._abandon(path, held, until),
        )

    def for_removal(self, path: str) -> ContentLock:
        """Take the right to remove the object.

        Raises ContentLocked when somebody promised to keep it, FileNotFoundError when the
        object's directory is not there.
        """
        self._check_retention(path)
        with self._promises.busy:
            lock = self._take(path, self._locker.try_exclusive)
        try:
            self._check_retention(path)  # one more: a promise may have been made just now
            self._forget_retention(path)
        except BaseException:
            lock.release()
            raise
        return ContentLock(path, lock, lambda held: self._release_removal(path, held))

    def is_being_removed(self, path: str) -> bool:
        """Tell whether somebody holds the right to remove the object."""
        return self._locker.is_locked_exclusively(f"{path}.lck")

    def _take(self, path: str, take: Callable[[str], Lock | None]) -> Lock:
        lock_file = f"{path}.lck"
        lock = self.in_thawed_directory(path, lambda: _take(take, lock_file))
        if lock is None:
            raise ContentLocked()
        if not lock.is_sane():
            lock.release()
            raise ContentLocked()
        return lock

    def in_thawed_directory(self, path: str, action: Callable[[], T]) -> T:
        """Run `action` while the directory of `path` may be changed.

        Another process may freeze it in between; then it is thawed and tried again.
        """
        directory = os.path.dirname(path)
        try:
            for _ in range(_ATTEMPTS - 1):
                self._freezer.thaw_directory(directory)
                with suppress(PermissionError):
                    return action()
            self._freezer.thaw_directory(directory)
            return action()
        finally:
            self._freezer.freeze_directory(directory)

    # Retention

    def _retain(self, path: str, until: int) -> None:
        def write() -> None:
            with self._locker.exclusive(f"{path}.rtl"):
                there = _read_timestamp(f"{path}.rtm")
                if there is None or there < until:
                    self._othertmp.replace(f"{path}.rtm", format_timestamp(until))
                self._promises.made(path, until, there)

        self.in_thawed_directory(path, write)

    def _check_retention(self, path: str) -> None:
        until = _read_timestamp(f"{path}.rtm")
        if until is not None and self._clock() <= until:
            raise ContentLocked()

    def _forget_retention(self, path: str) -> None:
        if os.path.lexists(f"{path}.rtm") or os.path.lexists(f"{path}.rtl"):
            self.in_thawed_directory(path, lambda: _unlink(f"{path}.rtm", f"{path}.rtl"))

    # Letting go

    def _release_shared(self, path: str, lock: Lock) -> None:
        """Let go, and remove the lock files when nobody else uses them."""
        with self._promises.busy:
            lock.release()
            try:
                last = _take(self._locker.try_exclusive, f"{path}.lck")
            except OSError:
                return  # gone already, or frozen by another: whoever is last cleans up
            if last is None:
                return
            with last:
                if last.is_sane():
                    self._clean(path, self._needless(path))

    def _abandon(self, path: str, lock: Lock, until: int | None) -> None:
        with self._promises.busy:
            if until is not None:
                self._promises.abandoned(path, until)
            lock.release()

    def _needless(self, path: str) -> list[str]:
        """Give the files about retention that are of no more use, now that nobody holds a
        lock. A promise of others that ours had replaced is put back."""
        there = _read_timestamp(f"{path}.rtm")
        kept = self._promises.settle(path, there, self._clock())
        if kept is not None and kept != there:
            text = format_timestamp(kept)
            self.in_thawed_directory(path, lambda: self._othertmp.replace(f"{path}.rtm", text))
        return [f"{path}.rtm", f"{path}.rtl"] if kept is None else []

    def _release_removal(self, path: str, lock: Lock) -> None:
        with lock:
            self._clean(path, [])

    def _clean(self, path: str, others: list[str]) -> None:
        with suppress(OSError):  # left-over lock files do no harm
            self.in_thawed_directory(path, lambda: _unlink(*others, f"{path}.lck"))
        self.remove_empty_directories(path)

    def remove_empty_directories(self, path: str) -> None:
        """Remove the key's directory and its hash directories, as far as they are empty."""
        directory = os.path.dirname(path)
        with suppress(OSError):
            while len(directory) > len(self._objects_dir):
                os.rmdir(directory)
                directory = os.path.dirname(directory)


class ContentLock(Held):
    """A content lock in use: the right to remove an object. A `with` block releases it."""

    def __init__(self, path: str, lock: Lock, let_go: Callable[[Lock], None]) -> None:
        self.path = path  # of the object
        self._lock: Lock | None = lock
        self._let_go = let_go

    def release(self) -> None:
        """Give the lock up. Harmless when it was given up before."""
        lock, self._lock = self._lock, None
        if lock is not None:
            self._let_go(lock)


class SharedLock(ContentLock):
    """A promise in use: while it is held the object stays."""

    def __init__(
        self,
        path: str,
        lock: Lock,
        let_go: Callable[[Lock], None],
        abandon: Callable[[Lock], None],
    ) -> None:
        super().__init__(path, lock, let_go)
        self._abandon = abandon

    def abandon(self) -> None:
        """Give the lock up but leave the retention time to run out, as if this process had
        died: for a peer that may still rely on the promise."""
        lock, self._lock = self._lock, None
        if lock is not None:
            self._abandon(lock)


def _take(take: Callable[[str], Lock | None], path: str) -> Lock | None:
    """Take a lock; when its file cannot be opened raise what the system said."""
    try:
        return take(path)
    except LockError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from error
        raise


def _read_timestamp(path: str) -> int | None:
    try:
        with open(path, "rb") as file:
            return parse_timestamp(file.read(100))
    except FileNotFoundError:
        return None


def _unlink(*paths: str) -> None:
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)
