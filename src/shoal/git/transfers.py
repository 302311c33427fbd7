"""Transfers under way and failed ones, as files that every process of the repository sees.

    ANNEX/transfer/{download,upload}/UUID/K            STARTTIME[ BYTES]\\n FILE\\n
    ANNEX/transfer/{download,upload}/UUID/lck.K        locked while it runs
    ANNEX/transfer/download/lck/lck.K                  one download of a key at a time
    ANNEX/transfer/failed/{download,upload}/UUID/K     left by a failure, until a success

A download is content coming into this repository, an upload content leaving it; UUID is the
other side's. Source: on-disk behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Final, Literal

from shoal.errors import TransferInProgress
from shoal.git.contentlock import format_timestamp, parse_timestamp
from shoal.git.locks import Lock, Locker, LockError
from shoal.git.othertmp import write_all
from shoal.git.permissions import Permissions
from shoal.values.key import Key
from shoal.values.keypath import key_file
from shoal.values.record import record
from shoal.values.uuid import UUID

Direction = Literal["download", "upload"]

LOGGED_SIZE: Final = 1 << 20  # bytes; smaller contents are sent before anybody could look

_LOCK_PREFIX: Final = "lck."
_PLAIN: Final = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_+.:-]{0,127}")
_SIZE: Final = re.compile(r"[^-]+-s([0-9]+)-")
_UNSIZED_STEP: Final = 100_000  # bytes between two records when the size is not known


@record
class TransferInfo:
    """What the file of one transfer says. `started` is in ns since the epoch, `done` in bytes."""

    started: int | None = None
    done: int | None = None
    file: str = ""

    @classmethod
    def parse(cls, text: bytes) -> TransferInfo:
        """Read such a file; anything odd in it reads as not known."""
        first, _, file = text.partition(b"\n")
        words = first.split(b" ")
        done = int(words[1]) if len(words) > 1 and words[1].isdigit() else None
        return cls(parse_timestamp(words[0]), done, os.fsdecode(file.removesuffix(b"\n")))

    def __bytes__(self) -> bytes:
        start = b"" if self.started is None else format_timestamp(self.started)
        done = b"" if self.done is None else b" %d" % self.done
        return b"%s%s\n%s\n" % (start, done, os.fsencode(self.file))


class Transfer:
    """One transfer under way, which only its owner ends."""

    def __init__(
        self,
        log: TransferLog,
        key: Key,
        path: str,
        failed: str,
        locks: list[Lock],
        file: str,
        recorded: bool,
    ) -> None:
        self._log = log
        self._path = path
        self._failed = failed
        self._locks = locks
        self._info = TransferInfo(time.time_ns(), None, file)
        self._recorded = 0
        self._step = _UNSIZED_STEP if key.size is None else key.size // 100
        if recorded:
            self._log._write(path, bytes(self._info))

    def progress(self, done: int) -> None:
        """Record how many bytes of the key are here, unless little changed since the last."""
        if done - self._recorded < max(self._step, 1):
            return
        self._recorded = done
        self._info = TransferInfo(self._info.started, done, self._info.file)
        with suppress(OSError):  # only news for others
            self._log._write(self._path, bytes(self._info))

    def end(self, *, failed: bool | None) -> None:
        """End it: as a success, as a failure, or (None) as if it had never begun.

        Harmless when it has ended before.
        """
        locks, self._locks = self._locks, []
        if not locks:
            return
        try:
            _unlink(self._path)
            for lock in locks:
                _unlink(lock.path)
        finally:
            for lock in reversed(locks):
                lock.release()
        if failed is False:
            _unlink(self._failed)
        elif failed:
            with suppress(OSError):
                self._log._write(self._failed, bytes(self._info))


class TransferLog:
    """The transfers of one repository. Thread-safe."""

    def __init__(self, annex_dir: str, locker: Locker, permissions: Permissions) -> None:
        self._annex_dir = annex_dir
        self._directory = os.path.join(annex_dir, "transfer")
        self._locker = locker
        self._permissions = permissions
        self.plenty = (0.0, 0)
        """Until when, of the monotonic clock, small keys have room, and beside what reserve."""

    def begin_download(
        self, key: Key, source: UUID, file: str = "", *, briefly: bool = False
    ) -> Transfer:
        """Begin to receive `key` from `source`, as the only one who does.

        It is locked, and recorded unless it will be over `briefly`. Raises TransferInProgress
        when anybody receives the key already.
        """
        name = _LOCK_PREFIX + key_file(key)
        lock_files = [
            f"{self._directory}/download/lck/{name}",
            f"{self._directory}/download/{directory_name(source)}/{name}",
        ]
        return self._begin("download", key, source, file, lock_files, recorded=not briefly)

    def begin_upload(self, key: Key, destination: UUID, file: str = "") -> Transfer | None:
        """Record that `key` is being sent to `destination`.

        Several may send it at the same time: only the first is recorded, and none where
        nothing can be written; then this gives None.
        """
        name = _LOCK_PREFIX + key_file(key)
        lock_file = f"{self._directory}/upload/{directory_name(destination)}/{name}"
        try:
            return self._begin("upload", key, destination, file, [lock_file])
        except (TransferInProgress, LockError, OSError):
            return None

    def _begin(
        self,
        direction: Direction,
        key: Key,
        other: UUID,
        file: str,
        lock_files: list[str],
        *,
        recorded: bool = True,
    ) -> Transfer:
        parts = f"{direction}/{directory_name(other)}/{key_file(key)}"
        locks: list[Lock] = []
        try:
            for lock_file in lock_files:
                lock = self._take(lock_file)
                if lock is None:
                    raise TransferInProgress()
                locks.append(lock)
                if not lock.is_sane():
                    raise TransferInProgress()
            path = f"{self._directory}/{parts}"
            failed = f"{self._directory}/failed/{parts}"
            return Transfer(self, key, path, failed, locks, file, recorded)
        except BaseException:
            for lock in reversed(locks):
                lock.release()
            raise

    def _take(self, lock_file: str) -> Lock | None:
        try:
            return self._locker.try_exclusive(lock_file, new=True)
        except LockError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            self._permissions.make_directory(os.path.dirname(lock_file), self._annex_dir)
            return self._locker.try_exclusive(lock_file, new=True)

    def _write(self, path: str, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        try:
            fd = os.open(path, flags, 0o666)
        except FileNotFoundError:
            self._permissions.make_directory(os.path.dirname(path), self._annex_dir)
            fd = os.open(path, flags, 0o666)
        try:
            self._permissions.settle_open(fd)
            write_all(fd, content)
        finally:
            os.close(fd)

    # Looking

    def downloads(self) -> Iterator[tuple[str, int, str]]:
        """Give file name of the key, size (0: not known) and path of every download that a
        file tells of, running or not."""
        top = os.path.join(self._directory, "download")
        for directory in _names(top):
            if directory == "lck":
                continue
            for name in _names(f"{top}/{directory}"):
                if not name.startswith(_LOCK_PREFIX):
                    sized = _SIZE.match(name)
                    size = int(sized[1]) if sized else 0
                    yield name, size, f"{top}/{directory}/{name}"

    def is_running(self, path: str) -> bool:
        """Tell whether the download that `path` tells of is under way: locked by somebody."""
        directory, name = os.path.split(path)
        common = os.path.join(os.path.dirname(directory), "lck")
        return any(
            self._locker.is_locked_exclusively(os.path.join(place, _LOCK_PREFIX + name))
            for place in (common, directory)
        )

    def most_to_come(self, besides: Key) -> int:
        """Give the most that downloads of other keys can still write; no file is read."""
        name = key_file(besides)
        return sum(size for other, size, _ in self.downloads() if other != name)

    def bytes_to_come(self, besides: Key) -> int:
        """Give how many bytes the running downloads of other keys will still write."""
        total = 0
        for other, size, path in self.downloads():
            if other == key_file(besides) or not size or not self.is_running(path):
                continue
            with suppress(OSError), open(path, "rb") as file:
                total += max(0, size - (TransferInfo.parse(file.read(8192)).done or 0))
        return total


@lru_cache(maxsize=1024)
def directory_name(other: UUID) -> str:
    """Give the directory for transfers with `other`: its UUID.

    A client can call itself anything; what is no plain word gets a name made from its bytes.
    """
    if _PLAIN.fullmatch(other):
        return other
    return "x" + other.encode("utf-8", "surrogateescape").hex()[:120]


def _unlink(path: str) -> None:
    """Delete what may not be there, or may be deleted by others."""
    try:
        os.unlink(path)
    except OSError:
        return


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
