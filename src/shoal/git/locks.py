"""Locks that the real git-annex sees, and sees through.

Every lock is on a lock file of its own: shared or exclusive, over the whole file. Linux
open-file-description locks are used: they conflict with the fcntl locks of git-annex, they
also exclude other threads of this process, and closing some other descriptor of the file
does not release them. `flock` would be invisible to git-annex (checked against 10.20261026).

With `annex.pidlock` there is one lock of the whole repository instead, see
shoal.git.pidlock; `Locker` is the same interface for both.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.git.held import Held
from shoal.git.permissions import Permissions
from shoal.git.waiting import WouldWait, about_to_wait, must_not_wait

if TYPE_CHECKING:
    from shoal.git.pidlock import PidLock

_FLOCK = "hhqqi0q"  # l_type, l_whence, l_start, l_len, l_pid of Linux's struct flock
_SHARED = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
_EXCLUSIVE = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class LockError(ShoalError):
    """A lock file cannot be made or locked, for another reason than that it is locked."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(f"cannot lock {path}: {cause}")
        self.path = path


class Lock(Held):
    """A lock that is held until release(), or the end of a `with` block."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self._fd = fd

    def release(self) -> None:
        """Give the lock up. Harmless when it was given up before."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @property
    def files(self) -> tuple[int, ...]:
        """The open files that a child process must inherit to keep the lock held."""
        return (self._fd,) if self._fd >= 0 else ()

    def is_sane(self) -> bool:
        """Tell whether the locked file is still the one at its path.

        A lock file that is deleted after use may be deleted between another's open and lock:
        a lock on such a file protects nothing.
        """
        if self._fd < 0:
            return False
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        held = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)


class Locker:
    """Takes the locks of one repository.

    `permissions` say which mode a lock file gets that has to be made. Raises LockError when a
    lock file cannot be opened or made.
    """

    def __init__(
        self, permissions: Permissions | None = None, *, pidlock: PidLock | None = None
    ) -> None:
        self._permissions = permissions or Permissions()
        self._pidlock = pidlock

    def exclusive(self, path: str) -> Lock:
        """Wait for the exclusive lock on `path`."""
        lock = self._take(path, exclusive=True, wait=True)
        assert lock is not None
        return lock

    def shared(self, path: str) -> Lock:
        """Wait for a shared lock on `path`."""
        lock = self._take(path, exclusive=False, wait=True)
        assert lock is not None
        return lock

    def try_exclusive(self, path: str, *, new: bool = False) -> Lock | None:
        """Take the exclusive lock on `path`, or give None at once when somebody has it.

        `new` is a hint that there is no such file yet.
        """
        return self._take(path, exclusive=True, wait=False, new=new)

    def try_shared(self, path: str) -> Lock | None:
        """Take a shared lock on `path`, or give None at once when somebody has it alone."""
        return self._take(path, exclusive=False, wait=False)

    def is_locked_exclusively(self, path: str) -> bool:
        """Tell whether somebody, here or elsewhere, holds the exclusive lock on `path`.

        Shared holders are not seen. With a pid lock its holder counts, whatever it does.
        """
        if self._pidlock is not None:
            return self._pidlock.is_locked(path)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):
            return False
        try:
            answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _SHARED)
        finally:
            os.close(fd)
        return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)

    def child_environment(self) -> dict[str, str]:
        """Give what a git-annex that is run while a lock is held must find in its environment."""
        return {} if self._pidlock is None else self._pidlock.child_environment()

    def _take(self, path: str, *, exclusive: bool, wait: bool, new: bool = False) -> Lock | None:
        if self._pidlock is not None:
            about_to_wait()
        fd = _open(path, os.O_RDWR if exclusive else os.O_RDONLY, self._permissions, new=new)
        try:
            if self._pidlock is not None:
                lock = self._pidlock.take(path, exclusive=exclusive, wait=wait)
                os.close(fd)
                return lock
            if _set_lock(fd, path, exclusive=exclusive, wait=wait and not must_not_wait()):
                return Lock(path, fd)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        if wait:
            raise WouldWait
        return None


def _open(path: str, flags: int, permissions: Permissions, *, new: bool) -> int:
    """Open a lock file, made when it is missing. It is never truncated."""
    try:
        while True:
            try:
                if not new:
                    return os.open(path, flags | os.O_CLOEXEC)
            except FileNotFoundError:
                pass
            new = False
            try:
                fd = os.open(path, flags | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                continue
            permissions.settle_open(fd)
            return fd
    except OSError as error:
        raise LockError(path, error.strerror or str(error)) from error


def _set_lock(fd: int, path: str, *, exclusive: bool, wait: bool) -> bool:
    command = fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK
    try:
        fcntl.fcntl(fd, command, _EXCLUSIVE if exclusive else _SHARED)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise LockError(path, error.strerror or str(error)) from error
    return True
