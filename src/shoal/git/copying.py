"""Copying file contents inside the kernel: shared blocks where the file system can, else
copy_file_range, else by hand."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Final

from shoal.git.othertmp import write_all

_FICLONE: Final = 0x40049409  # ioctl of Linux: share all blocks of a file
_PIECE: Final = 8 << 20  # bytes per system call, so that a signal or a stop is not waited for
_CANNOT: Final = frozenset(
    {
        *(errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.ETXTBSY),
        *(errno.EPERM, errno.ENOTTY, errno.EIO),
    }
)


def share_blocks(source: int, target: int) -> bool:
    """Make the empty file `target` share all of `source`'s blocks; tell whether that worked."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def copy_bytes(source: int, target: int, offset: int, length: int, target_offset: int) -> int:
    """Copy up to `length` bytes from one open file to another; give how many were copied:
    fewer only when `source` ends early."""
    done = 0
    while done < length:
        want = min(length - done, _PIECE)
        copied = _copy_piece(source, target, offset + done, want, target_offset + done)
        if copied == 0:
            break
        done += copied
    return done


def _copy_piece(source: int, target: int, offset: int, length: int, target_offset: int) -> int:
    try:
        return os.copy_file_range(source, target, length, offset, target_offset)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    data = os.pread(source, min(length, 1 << 20), offset)
    os.lseek(target, target_offset, os.SEEK_SET)
    write_all(target, data)
    return len(data)


def copy_file(source: str, target: str, mode: int = 0o666) -> None:
    """Make `target`, which must not exist, a copy of `source`'s content and time stamps."""
    with open(source, "rb") as here:
        status = os.fstat(here.fileno())
        fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            if not share_blocks(here.fileno(), fd):
                copied = copy_bytes(here.fileno(), fd, 0, status.st_size, 0)
                if copied != status.st_size:
                    raise OSError(errno.EIO, "the file became shorter", source)
            os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(fd)
