"""Trying out what the file system of a new repository can do."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from shoal.git.locks import Locker, LockError


@dataclass(frozen=True, slots=True)
class FileSystem:
    """What a file system can do. `crippled`: no symlinks, or no read-only files."""

    crippled: bool
    has_locks: bool
    has_fifos: bool


def probe(directory: str) -> FileSystem:
    """Try out the file system of `directory`, which must be writable."""
    return FileSystem(
        crippled=not _works(directory, _link_and_freeze),
        has_locks=_works(directory, _lock),
        has_fifos=_works(directory, _make_fifo),
    )


def _works(directory: str, attempt: Callable[[str], bool]) -> bool:
    path = os.path.join(directory, "gaprobe")
    try:
        return attempt(path)
    except (OSError, LockError):
        return False
    finally:
        for leftover in (path, path + "2"):
            with suppress(OSError):
                os.unlink(leftover)


def _link_and_freeze(path: str) -> bool:
    with open(path, "wb"):
        pass
    os.symlink(path, path + "2")
    os.chmod(path, 0o444)
    if stat.S_IMODE(os.stat(path).st_mode) & 0o222:
        return False
    if os.getuid() == 0:  # may write to anything
        return True
    try:
        os.close(os.open(path, os.O_WRONLY))
    except PermissionError:
        return True
    return False


def _lock(path: str) -> bool:
    with Locker().exclusive(path), open(path, "r+b") as file:
        with suppress(BlockingIOError):  # by our own lock: fcntl locks work as well
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True


def _make_fifo(path: str) -> bool:
    os.mkfifo(path, 0o400)
    os.link(path, path + "2")
    return stat.S_ISFIFO(os.stat(path).st_mode)
