"""Noticing cheaply that files changed on disk."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

SETTLING = 30_000_000  # ns: a file may change twice within one tick of the kernel's clock
_COARSE = 2_000_000_000  # ns: or of a file system that counts whole (FAT: two) seconds
_SECOND = 1_000_000_000

Signature = tuple[int, int, int, int] | None
"""Modification time, change time (both ns), inode and size; None for a file that is absent."""


def signature(path: str) -> Signature:
    """Give what changes when the file or directory at `path` does."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size)


def _settling(seen: tuple[int, int, int, int]) -> int:
    """Give how long after its times a file can still change without a trace."""
    return SETTLING if seen[0] % _SECOND or seen[1] % _SECOND else _COARSE


class Watch:
    """Tells whether any of some files may have changed since look().

    It never misses a change. A file that changed shortly before look() counts as changed for
    a moment longer, because its times might not show a change right after it.
    """

    def __init__(self) -> None:
        self._seen: dict[str, Signature] = {}
        self._settled = False
        self._looked = 0

    def look(self, paths: Iterable[str]) -> None:
        """Remember the state of `paths`. Call it before reading them."""
        self._looked = time.time_ns()
        self._seen = {path: signature(path) for path in paths}
        self._settled = all(
            seen is None or max(seen[:2]) < self._looked - _settling(seen)
            for seen in self._seen.values()
        )

    def changed(self) -> bool:
        """Tell whether a file may differ from what look() saw."""
        return not self._settled or [*map(signature, self._seen)] != [*self._seen.values()]
