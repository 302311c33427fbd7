"""Short-lived files in ANNEX/othertmp, and replacing a file of the repository at once.

Any process may empty that directory, unless somebody holds its lock file shared. A file that
is to appear whole is written there and renamed into place.

Who holds another lock must not wait for that lock file: a thread of the real git-annex holds
it exclusively for a moment, and while another of its threads waits for, say, the journal's
lock, the first may not get on (its run time system stops both). Two processes of git-annex
with -J can lock each other out for ever in that way; seen with 10.20261026. So replace()
does without the lock: when its file is deleted before it is renamed, it writes it again.
Source: on-disk behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from shoal.git.locks import Locker
from shoal.git.permissions import Permissions

_NUMBERS = itertools.count()
_ATTEMPTS = 100  # to write a file while others empty the directory


class OtherTmp:
    """Gives temporary names on the annex's own file system. Thread-safe."""

    def __init__(self, annex_dir: str, locker: Locker, permissions: Permissions) -> None:
        self._annex_dir = annex_dir
        self._directory = os.path.join(annex_dir, "othertmp")
        self._lock_file = os.path.join(annex_dir, "othertmp.lck")
        self._locker = locker
        self._permissions = permissions

    @contextmanager
    def file(self, name: str = "shoal") -> Iterator[str]:
        """Give a path where nothing is; whatever is left there at the end is deleted.

        `name` is the beginning of its name. The directory stays as long as the block runs.
        This waits for a lock: do not call it while another is held that others wait for.
        """
        with self._locker.shared(self._lock_file):
            self._permissions.make_directory(self._directory, self._annex_dir)
            path = self._new_path(name)
            try:
                yield path
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(path)

    def _new_path(self, name: str) -> str:
        return f"{self._directory}/{name[:100]}.{os.getpid()}.{next(_NUMBERS)}"

    def sweep(self) -> None:
        """Delete what killed processes left behind, unless somebody uses the directory."""
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return
        if not names or (lock := self._locker.try_exclusive(self._lock_file)) is None:
            return
        import shutil  # slow to import

        with lock:
            for name in os.listdir(self._directory):
                path = os.path.join(self._directory, name)
                if os.path.isdir(path) and not os.path.islink(path):
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    with suppress(OSError):
                        os.unlink(path)

    def replace(self, path: str, content: bytes) -> None:
        """Write `content` to `path`, in one step for all who look.

        May be called while any lock is held. Raises FileNotFoundError when the directory of
        `path` is missing.
        """
        for attempt in range(_ATTEMPTS):
            temporary = self._new_path(os.path.basename(path))
            try:
                write_file(self._permissions, temporary, content)
                os.rename(temporary, path)
                return
            except FileNotFoundError:
                _unlink(temporary)
                if attempt == _ATTEMPTS - 1 or not os.path.isdir(os.path.dirname(path)):
                    raise
                self._permissions.make_directory(self._directory, self._annex_dir)
            except BaseException:
                _unlink(temporary)
                raise


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def write_file(permissions: Permissions, path: str, content: bytes) -> None:
    """Write a whole file, made with the modes of this repository when it is new."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        permissions.settle_open(fd)
        write_all(fd, content)
    finally:
        os.close(fd)


def read_all(fd: int) -> bytes:
    """Read a small file from where it is to its end."""
    pieces = []
    while piece := os.read(fd, 1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def write_all(fd: int, content: bytes | memoryview) -> None:
    """Write all of `content`, however many calls it takes."""
    done = os.write(fd, content)
    while done < len(content):
        done += os.write(fd, memoryview(content)[done:])
