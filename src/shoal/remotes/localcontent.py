"""Content that is a file of this machine: read in threads, one chunk ahead, or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncIterator
from concurrent.futures import Future

from shoal.errors import RemoteUnavailable
from shoal.git.objectfile import ObjectFile, same_state
from shoal.remotes.content import AT_ONCE, CHUNK_SIZE, Chunk, Content, Region
from shoal.remotes.localdisk import LocalDisk


class FileContent(Content):
    """An object that is open for reading, from `offset` on.

    Its bytes stay readable when the object is removed meanwhile. Made in a thread.
    """

    def __init__(self, disk: LocalDisk, path: str, offset: int) -> None:
        self._disk = disk
        self._file: ObjectFile | None = None
        file = ObjectFile(path)
        try:
            self.offset = min(offset, file.status.st_size)
            self.size = file.status.st_size - self.offset
            self.region = Region(path, self.offset, self.size)
            if self.size <= AT_ONCE:
                start = os.pread(file.fd, self.size, self.offset)
                self.whole = start if len(start) == self.size else None
        except BaseException:
            file.close()
            raise
        self._file = file
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
        assert self._file is not None
        fd = self._file.fd
        self._flight = self._disk.submit(lambda: os.preadv(fd, [view], position))

    async def _landed(self) -> int:
        flight = self._flight
        assert flight is not None
        return await self._disk.wait(flight)

    async def confirm(self) -> bool:
        """Tell whether the file is as it was, for who read `stream` and who read `region`."""
        return self._file is not None and self._file.is_unchanged()

    def close(self) -> None:
        """Close the file, once no thread reads it any more."""
        file, self._file = self._file, None
        if file is None:
            return
        if self._flight is None or self._flight.done() or self._flight.cancel():
            file.close()
        else:
            self._flight.add_done_callback(lambda _: file.close())


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
        return data if len(data) == size and same_state(os.fstat(fd), before) else None
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
