"""Receiving one content into the object store: partial file, verification, placement.

Everything here blocks and belongs in a thread. A content is written to ANNEX/tmp/K, from
where a broken transfer resumes, and is renamed into place once it is verified. Files that
are there from an earlier attempt prove nothing: they are hashed from their first byte.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from shoal.errors import LocalProtocolError
from shoal.git.copying import copy_bytes, share_blocks

if TYPE_CHECKING:
    from shoal.git.objects import ObjectStore
    from shoal.git.repository import Repository
    from shoal.git.transfers import Transfer
    from shoal.values.backend import Verifier
    from shoal.values.key import Key

_PIECE: Final = 1 << 20
_FLAGS: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC

Buffer = bytes | bytearray | memoryview


class Receiving:
    """One content on its way in. It holds the transfer locks until it is finished, discarded
    or given up; each of these may be called after the others, and while write() runs in
    another thread, and then does nothing, or waits for that to end.

    `offset` is how many bytes were there at the beginning: the next is wanted first.
    """

    def __init__(
        self,
        objects: ObjectStore,
        repository: Repository,
        key: Key,
        transfer: Transfer,
        offset: int,
    ) -> None:
        self._objects = objects
        self._repository = repository
        self._key = key
        self._transfer = transfer
        self._path = objects.temp_path(key)
        self._fd = -1
        self._is_new = False  # the partial file: this made it
        self._over = False
        self._busy = threading.RLock()
        self.offset = offset
        self.received = offset  # bytes of the key that are in the partial file

    @property
    def over(self) -> bool:
        """Whether it has let go of everything."""
        return self._over

    def restart(self) -> None:
        """Begin at the first byte, whatever was there; before anything was written."""
        self.offset = self.received = 0

    def filled(self) -> None:
        """Take the partial file as it is: another program wrote it, under our locks."""
        self.offset = self.received = os.stat(self._path).st_size

    def write(self, buffers: Sequence[Buffer], *, last: bool = False) -> None:
        """Append all bytes of `buffers` to the partial file; tell others how far it is, but
        not that it has come to its end."""
        with self._busy:
            fd = self._open()
            left = [memoryview(buffer).cast("B") for buffer in buffers if len(buffer)]
            while left:
                written = os.writev(fd, left[:512])
                self.received += written
                while left and written >= len(left[0]):
                    written -= len(left.pop(0))
                if written:
                    left[0] = left[0][written:]
            if not last:
                self._transfer.progress(self.received)

    def copy(self, source: int, offset: int, length: int) -> int:
        """Append bytes of another open file, inside the kernel; give how many those were.

        Fewer than `length` only when that file ends early.
        """
        with self._busy:
            fd = self._open()
            copied = copy_bytes(source, fd, offset, length, self.received)
            self.received += copied
            os.lseek(fd, self.received, os.SEEK_SET)
            self._transfer.progress(self.received)
            return copied

    def share(self, source: int, length: int) -> bool:
        """Let the still empty partial file share all blocks of another file, `length` bytes
        long; tell whether the file system can do that."""
        with self._busy:
            fd = self._open()
            if self.received or not share_blocks(source, fd):
                return False
            if os.fstat(fd).st_size != length:
                os.ftruncate(fd, 0)
                return False
            self.received = os.lseek(fd, length, os.SEEK_SET)
            return True

    def hash_written(self, verifier: Verifier, start: int, end: int) -> None:
        """Feed bytes of the partial file to `verifier`, from `start` up to `end`."""
        with self._busy:
            fd = os.dup(self._open())  # so that write() need not wait
        try:
            view = memoryview(bytearray(min(_PIECE, max(end - start, 1))))
            while start < end:
                count = os.preadv(fd, [view[: end - start]], start)
                if count == 0:
                    return
                verifier.update(view[:count])
                start += count
        finally:
            os.close(fd)

    def finish(self) -> bool:
        """Make the verified content the key's object; tell whether it is a new one.

        The caller verified it. The transfer locks stay until end(), so that the location log
        can be written before anybody else begins.
        """
        with self._busy:
            fd = self._open()
            if self._objects.settings.sync:
                os.fsync(fd)
            self._close()
            self._remove_work_directory()
            return self._objects.place(self._key, self._path)

    def end(self, *, failed: bool | None) -> None:
        """Let go of everything: after a success (False), a failure (True), or when nothing
        was begun (None). The partial file stays, for a resume."""
        with self._busy:
            self._over = True
            self._close()
            self._transfer.end(failed=failed)

    def discard(self) -> None:
        """Delete the partial file, which is not the key's content, and let go as failed."""
        with self._busy:
            if not self._over:
                self._close()
                self._remove_work_directory()
                with suppress(FileNotFoundError):
                    os.unlink(self._path)
            self.end(failed=True)

    def _open(self) -> int:
        if self._over:
            raise LocalProtocolError("the transfer is over")
        if self._fd < 0:
            self._fd = self._open_new() if self.offset == 0 else -1
            self._is_new = self._fd >= 0
            if self._fd < 0:
                self._fd = self._open_partial()
            if self.offset == 0:
                self._repository.permissions.settle_open(self._fd)
        return self._fd

    def _open_new(self) -> int:
        """Make the partial file; -1 when there is one."""
        flags = _FLAGS | os.O_CREAT | os.O_EXCL
        try:
            return os.open(self._path, flags, 0o666)
        except FileExistsError:
            return -1
        except FileNotFoundError:
            self._repository.make_directory(os.path.dirname(self._path))
            return os.open(self._path, flags, 0o666)

    def _open_partial(self) -> int:
        """Open the partial file that is there, at `offset`, which becomes its end."""
        try:
            fd = os.open(self._path, _FLAGS | os.O_CREAT, 0o666)
        except PermissionError:
            self._objects.settings.freezer.thaw_file(self._path)
            fd = os.open(self._path, _FLAGS | os.O_CREAT, 0o666)
        if os.lseek(fd, 0, os.SEEK_END) != self.offset:
            os.ftruncate(fd, self.offset)  # nobody else may write to it: we lock it
            os.lseek(fd, self.offset, os.SEEK_SET)
        return fd

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _remove_work_directory(self) -> None:
        """A program that downloaded this key may have left its own directory of parts. Who
        makes that makes the partial file first (as git-annex does, so that it is found)."""
        if self._is_new:
            return
        above, _, name = self._path.rpartition("/")
        directory = f"{above}/work.{name}"
        if os.path.isdir(directory):
            shutil.rmtree(directory, ignore_errors=True)
