"""Content that is a file of this machine: read in threads, one chunk ahead, or not at all."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Final

from shoal.errors import RemoteUnavailable
from shoal.remotes.content import CHUNK_SIZE, Chunk, Content, Region
from shoal.remotes.localdisk import LocalDisk

SMALL: Final = 64 << 10  # bytes that are read when the file is opened: no second thread hop


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
            self._start = b""
            if 0 < self.size <= SMALL:
                self._start = os.pread(self._fd, self.size, self.offset)
        except BaseException:
            os.close(self._fd)
            raise
        self._flight: Future[int] | None = None

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        assert self.size is not None
        position = self.offset + skip
        end = self.offset + self.size
        if self._start:
            if len(self._start) < self.size:
                raise RemoteUnavailable(self._disk.name, "the content became shorter")
            if skip < self.size:
                yield self._start[skip:]
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


def _same_state(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
