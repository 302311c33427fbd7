"""An object that is open for reading, and whether it is still what was opened."""

from __future__ import annotations

import os


class ObjectFile:
    """The file at `path`, open as `fd`. Its bytes stay readable when it is removed meanwhile.

    Raises OSError when it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.status = os.fstat(self.fd)
        except BaseException:
            os.close(self.fd)
            raise

    def is_unchanged(self) -> bool:
        """Tell whether the file is as it was, for who read it by its descriptor or its path."""
        now = os.fstat(self.fd)
        if not same_state(now, self.status):
            return False
        try:
            named = os.stat(self._path)
        except FileNotFoundError:
            return True  # removed: what was read was the content
        except OSError:
            return False
        return os.path.samestat(named, now)

    def close(self) -> None:
        """Close the file. Call it once."""
        os.close(self.fd)


def same_state(one: os.stat_result, other: os.stat_result) -> bool:
    """Tell whether a file was not written between two looks."""
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
