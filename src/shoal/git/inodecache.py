"""Inode caches: what a file looked like to stat() when its content was last known.

Text form, as in the real program's database: `INODE SIZE SECONDS FRACTION`; the fraction are
the decimals of the second without zeros at their end, so it may be empty. A file whose inode
cache is known is unmodified; any other must be looked at.
Source: on-disk behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass

_TEXT = re.compile(r"(\d+) (\d+) (-?\d+)(?: (\d*))?")


@dataclass(frozen=True, slots=True)
class InodeCache:
    """One file's state. `size` in bytes, `mtime_ns` since the epoch."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> InodeCache | None:
        """Give the state of a regular file, None for anything else."""
        if not stat.S_ISREG(status.st_mode):
            return None
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)

    @classmethod
    def of_file(cls, path: str) -> InodeCache | None:
        """Give the state of the regular file at `path`, None when there is none."""
        try:
            return cls.of(os.lstat(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    @classmethod
    def parse(cls, text: str) -> InodeCache:
        """Read the text form. Raises ValueError."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError(f"not an inode cache: {text!r}")
        inode, size, seconds, fraction = found.groups()
        nanoseconds = int((fraction or "")[:9].ljust(9, "0"))
        return cls(int(inode), int(size), int(seconds) * 1_000_000_000 + nanoseconds)

    def __str__(self) -> str:
        seconds, fraction = divmod(self.mtime_ns, 1_000_000_000)
        decimals = f"{fraction:09}".rstrip("0")
        return f"{self.inode} {self.size} {seconds} {decimals}"
