"""Content that is a file of this machine: read in threads, one chunk ahead, or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncIterator
from concurrent.futures import Future

from shoal.errors import RemoteUnavailable
from shoal.remotes.content import AT_ONCE, CHUNK_SIZE, Chunk, Content, Region
from shoal.remotes.localdisk import LocalDisk


class FileContent(Content):
    """An object that is open for reading, from `offset` on.

    Its bytes stay readable when the object is removed meanwhile. Made in a thread.
    """

    def __init__(self, disk: LocalDisk, path: str, offset: int) -> None:
        self._disk = disk
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._status = os.fstat(self._fd)
            self.offset = min(offset, self._status.st_size)
            self.size = self._status.st_size - self.offset
            self.region = Region(path, self.offset, self.size)
            if self.size <= AT_ONCE:
                start = os.pread(self._fd, self.size, self.offset)
                self.whole = start if len(start) == self.size else None
        except BaseException:
            os.close(self._fd)
            raise
        self._flight: Future[int] | None = None

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        assert self.size is not None
        position = self.offset + skip
        end = self.offset + self.size
        if self.whole is not None:
            if skip < self.size:
                yield self.whole[skip:]
            return
        buffers = [bytearray(min(CHUNK_SIZE, max(end - position, 0))) for _ in range(2)]
        turn = 0
        if position < end:
            self._read(buffers[0], position, end)
        while position < end:
            count = await self._landed()
            if count == 0:
                raise RemoteUnavailable(self._disk.name, "the content became shorter")
            position += count
            full = memoryview(buffers[turn])[:count]
            turn = 1 - turn
            if position < end:
                self._read(buffers[turn], position, end)
            yield full

    def _read(self, buffer: bytearray, position: int, end: int) -> None:
        view = memoryview(buffer)[: end - position]
        fd = self._fd
        self._flight = self._disk.submit(lambda: os.preadv(fd, [view], position))

    async def _landed(self) -> int:
        flight = self._flight
        assert flight is not None
        return await self._disk.wait(flight)

    async def confirm(self) -> bool:
        """Tell whether the file is as it was, for who read `stream` and who read `region`."""
        return self._unchanged()

    def _unchanged(self) -> bool:
        if self.region is None or self._fd < 0:
            return False
        now = os.fstat(self._fd)
        if not _same_state(now, self._status):
            return False
        try:
            named = os.stat(self.region.path)
        except FileNotFoundError:
            return True  # removed: what was read was the content
        except OSError:
            return False
        return os.path.samestat(named, now)

    def close(self) -> None:
        """Close the file, once no thread reads it any more."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        if self._flight is None or self._flight.done() or self._flight.cancel():
            os.close(fd)
        else:
            self._flight.add_done_callback(lambda _: os.close(fd))


def read_file_at_once(path: str, offset: int, most: int) -> bytes | None:
    """Give the bytes of a file from `offset` on, without waiting for them to come from a disk.

    None when they are more than `most`, not in memory, or being changed. Raises OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        before = os.fstat(fd)
        size = max(before.st_size - offset, 0)
        if size > most or not stat.S_ISREG(before.st_mode):
            return None
        data = _read_if_in_memory(fd, size, offset)
        return data if len(data) == size and _same_state(os.fstat(fd), before) else None
    finally:
        os.close(fd)


def _read_if_in_memory(fd: int, size: int, offset: int) -> bytes:
    """Read bytes of a file: fewer, or none, where that means to wait for the disk.

    A file system that cannot say, such as one that is nothing but memory, is just read.
    """
    data = bytearray(size)
    try:
        return bytes(memoryview(data)[: os.preadv(fd, [data], offset, os.RWF_NOWAIT)])
    except BlockingIOError:
        return b""
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return os.pread(fd, size, offset)


def _same_state(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
