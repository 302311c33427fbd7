"""Pipes, as they are best used for much data."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress

_PIPE_SIZE = 1 << 20  # bytes that a pipe should hold, where the kernel allows it


def widen(fd: int) -> None:
    """Let a pipe hold more than it does; anything else than a pipe stays as it is."""
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
