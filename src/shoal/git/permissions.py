"""Modes of files and directories below ANNEX, after `core.sharedRepository`.

`group` and `all` add bits to what the umask gives; an octal mode is set exactly. On a crippled
file system modes are left alone. In a shared repository a file may be another user's, so a
mode that cannot be changed is no error. Checked against git-annex 10.20261026.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat

from shoal.values.record import record

_GROUP = frozenset({"1", "group", "true"})
_ALL = frozenset({"2", "all", "world", "everybody"})
_OCTAL = re.compile(r"[0-7]+")


@record
class Permissions:
    """How a repository is shared: `exact` mode of its files, or bits `added` to them."""

    exact: int | None = None
    added: int = 0
    crippled: bool = False

    @classmethod
    def parse(cls, shared: str | None, *, crippled: bool = False) -> Permissions:
        """Read the value of core.sharedRepository; None when it is not set."""
        value = (shared or "").lower()
        if value in _GROUP:
            return cls(added=0o660, crippled=crippled)
        if value in _ALL:
            return cls(added=0o664, crippled=crippled)
        if (octal := _OCTAL.match(value)) is not None and int(octal[0], 8):
            return cls(exact=int(octal[0], 8), crippled=crippled)
        return cls(crippled=crippled)

    @property
    def shared(self) -> bool:
        """Whether other users are meant to write."""
        return self.exact is not None or self.added != 0

    @property
    def leave_alone(self) -> bool:
        """Whether new files and directories are right as the umask makes them."""
        return self.crippled or not self.shared

    def file_mode(self, mode: int) -> int:
        """Give the mode for a file (not an object) that the umask made with `mode`."""
        if self.leave_alone:
            return mode
        return self.exact if self.exact is not None else mode | self.added

    def directory_mode(self, mode: int) -> int:
        """Give the mode for a directory that the umask made with `mode`."""
        if self.leave_alone:
            return mode
        if self.exact is not None:
            return self.directory_of(self.exact)
        return mode | self.added | (0o111 if self.added & 0o004 else 0o110)

    @staticmethod
    def directory_of(mode: int) -> int:
        """Give the directory mode that belongs to an exact file mode: setgid, and searchable
        by whoever may read."""
        return mode | stat.S_ISGID | ((mode & 0o444) >> 2)

    def settle(self, path: str) -> None:
        """Give a file of ANNEX that was just made the mode of shared repositories."""
        if not self.leave_alone:
            with contextlib.suppress(OSError):
                os.chmod(path, self.file_mode(stat.S_IMODE(os.stat(path).st_mode)))

    def settle_open(self, fd: int) -> None:
        """As settle(), for an open file."""
        if not self.leave_alone:
            with contextlib.suppress(OSError):
                os.fchmod(fd, self.file_mode(stat.S_IMODE(os.fstat(fd).st_mode)))

    def make_directory(self, path: str, top: str) -> bool:
        """Make a directory at or below `top` (ANNEX), and those above it, `top` included;
        tell whether it was missing.

        `top` is made only inside a git directory, one with a HEAD: what is no git directory
        is the mount point of a disk that went away, or nothing of ours. Raises
        FileNotFoundError then.
        """
        try:
            if path == top and not os.path.lexists(os.path.join(os.path.dirname(top), "HEAD")):
                os.stat(top)
                return False
            os.mkdir(path)
        except FileExistsError:
            return False
        except FileNotFoundError:
            if path == top or os.path.dirname(path) == path:
                raise
            self.make_directory(os.path.dirname(path), top)
            return self.make_directory(path, top)
        if not self.leave_alone:
            with contextlib.suppress(OSError):
                os.chmod(path, self.directory_mode(stat.S_IMODE(os.stat(path).st_mode)))
        return True
