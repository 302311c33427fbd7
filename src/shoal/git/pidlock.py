"""The one lock of a repository with `annex.pidlock`, for file systems without fcntl locks.

The lock is the file ANNEX/pidlock, whose text names the process and host that hold it. A
second lock, the side lock, is an fcntl lock on a file in /dev/shm: while it is held the
process lives, and a pidlock of this host without it is left over and may be replaced. Locks
on single files then only exclude threads of this process.
Source: behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import tempfile
import threading
import time
from dataclasses import dataclass, field

from shoal.git.locks import Lock, Locker, LockError
from shoal.git.permissions import Permissions

_TEXT = re.compile(r'\s*PidLock\s*\{\s*lockingPid\s*=\s*(\d+)\s*,\s*lockingHost\s*=\s*"(.*)"\s*\}')
_POLL = 1.0  # seconds; git-annex polls at the same rate


@dataclass(slots=True)
class _Holders:
    """The threads of this process that hold one lock file."""

    shared: int = 0
    exclusive: bool = False


class _PidLocked(Lock):
    """A lock on one file, for this process's threads, that keeps the pid lock held."""

    def __init__(self, path: str, owner: PidLock, *, exclusive: bool) -> None:
        super().__init__(path, -1)
        self._owner: PidLock | None = owner
        self._exclusive = exclusive

    def release(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.put_back(self.path, exclusive=self._exclusive)

    def is_sane(self) -> bool:
        return self._owner is not None


@dataclass
class PidLock:
    """The lock of a whole repository; `path` is its ANNEX/pidlock, absolute.

    Waiting ends with LockError after `timeout` seconds. Thread-safe.
    """

    path: str
    timeout: float = 300.0
    _changed: threading.Condition = field(default_factory=threading.Condition, repr=False)
    _holders: dict[str, _Holders] = field(default_factory=dict, repr=False)
    _users: int = 0
    _side: Lock | None = field(default=None, repr=False)

    @property
    def _variable(self) -> str:
        return "PIDLOCK_" + re.sub(r"[^A-Za-z0-9_]", "", self.path)

    def child_environment(self) -> dict[str, str]:
        """Tell a child git-annex that its parent holds the lock, while that is so."""
        with self._changed:
            return {self._variable: "1"} if self._users else {}

    def is_locked(self, path: str) -> bool:
        """Tell whether `path` is locked here, or the repository by another process."""
        with self._changed:
            if self._users:
                held = self._holders.get(path)
                return held is not None and held.exclusive
        return _read(self.path) is not None

    def take(self, path: str, *, exclusive: bool, wait: bool) -> Lock | None:
        """Lock `path` against this process's threads and the repository against others."""
        deadline = time.monotonic() + self.timeout
        with self._changed:
            while not self._free(path, exclusive=exclusive) or not self._hold_repository():
                if not wait:
                    return None
                if not self._users and time.monotonic() >= deadline:
                    raise LockError(self.path, "gave up waiting for the process that holds it")
                self._changed.wait(_POLL)
            self._users += 1
            held = self._holders.setdefault(path, _Holders())
            if exclusive:
                held.exclusive = True
            else:
                held.shared += 1
        return _PidLocked(path, self, exclusive=exclusive)

    def put_back(self, path: str, *, exclusive: bool) -> None:
        """Undo one take(). Only locks call this."""
        with self._changed:
            held = self._holders[path]
            if exclusive:
                held.exclusive = False
            else:
                held.shared -= 1
            if not held.exclusive and not held.shared:
                del self._holders[path]
            self._drop_user()
            self._changed.notify_all()

    def _free(self, path: str, *, exclusive: bool) -> bool:
        held = self._holders.get(path)
        return held is None or not (exclusive or held.exclusive)

    def _hold_repository(self) -> bool:
        return self._users > 0 or self._take_repository()

    def _drop_user(self) -> None:
        self._users -= 1
        if self._users == 0 and self._side is not None:
            side, self._side = self._side, None
            _drop_side(side)  # first: from here on the pid lock counts as left over
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)

    def _take_repository(self) -> bool:
        if self._variable in os.environ:  # a parent process holds it for us
            return True
        side = _take_side(self.path)
        if side is None:
            return False
        try:
            taken = _place(self.path)
        except BaseException:
            _drop_side(side)
            raise
        if taken:
            self._side = side
        else:
            _drop_side(side)
        return taken


_pidlocks: dict[str, PidLock] = {}
_pidlocks_guard = threading.Lock()


def pidlock_of(path: str, timeout: float) -> PidLock:
    """Give the one PidLock of this process for the file at `path` (absolute)."""
    with _pidlocks_guard:
        found = _pidlocks.setdefault(path, PidLock(path))
        found.timeout = timeout
        return found


def side_lock_path(pidlock: str) -> str:
    """Give the file whose fcntl lock shows that the holder of `pidlock` lives."""
    base = pidlock.lstrip("/").replace("/", "_")
    tail = base[-32:]
    digest = b"" if base == tail else base.encode("utf-8", "surrogateescape")
    prefix = hashlib.md5(digest, usedforsecurity=False).hexdigest() if digest else ""
    directory = "/dev/shm" if os.path.isdir("/dev/shm") else "/tmp"
    return f"{directory}/{prefix}{tail}.lck"


def _take_side(pidlock: str) -> Lock | None:
    lock = Locker(Permissions(exact=0o666)).try_exclusive(side_lock_path(pidlock))
    if lock is not None and not lock.is_sane():
        lock.release()
        return None
    return lock


def _drop_side(side: Lock) -> None:
    with contextlib.suppress(OSError):
        os.unlink(side.path)
    side.release()


def _read(path: str) -> tuple[int, str] | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            found = _TEXT.match(file.read())
    except FileNotFoundError:
        return None
    return (int(found[1]), found[2]) if found else (0, "")


def _place(path: str) -> bool:
    """Put our pid lock at `path`, over one that a dead process of this host left there."""
    host = socket.gethostname()
    fd, temporary = tempfile.mkstemp(prefix="locktmp", dir=os.path.dirname(path))
    try:
        with open(fd, "w") as file:
            file.write(f'PidLock {{lockingPid = {os.getpid()}, lockingHost = "{host}"}}')
        os.chmod(temporary, 0o444)
        try:
            os.link(temporary, path)
        except FileExistsError:
            found = _read(path)
            if found is not None and found[1] != host:
                return False
            os.rename(temporary, path)
        except OSError:
            return _place_without_links(temporary, path, host)
        return True
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _place_without_links(temporary: str, path: str, host: str) -> bool:
    """As _place(), on a file system that has no hard links."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    except FileExistsError:
        found = _read(path)
        if found is not None and found[1] != host:
            return False
        os.rename(temporary, path)
        return True
    with open(fd, "wb") as file, open(temporary, "rb") as text:
        file.write(text.read())
    return True
