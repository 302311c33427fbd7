"""Files of the work tree that git must look at again, because their content came or went.

The git index is told at once where that can be (shoal.git.gitindex). Where not (git holds its
lock, or a form of index that only git writes) they are noted in ANNEX/restage.log, which the
real git-annex shares, one line `INODECACHE:FILE` each, and flush() or git-annex does it later.

Source: on-disk behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.git.inodecache import InodeCache
from shoal.git.locks import Lock, Locker
from shoal.git.othertmp import write_all
from shoal.git.permissions import Permissions
from shoal.git.process import GitError

if TYPE_CHECKING:
    from shoal.git.process import Git


@dataclass(frozen=True, slots=True)
class RestageLog:
    """The restage log of one repository. Thread-safe."""

    annex_dir: str
    work_tree: str
    locker: Locker
    permissions: Permissions

    def add(self, files: Mapping[bytes, os.stat_result]) -> None:
        """Note files (paths from the work tree's top) as they are now."""
        lines = b"".join(
            b"%s:%s\n" % (str(cache).encode(), file)
            for file, status in files.items()
            if (cache := InodeCache.of(status)) is not None and b"\n" not in file
        )
        if not lines:
            return
        with self._locked():
            self._append("restage.log", lines)

    def flush(self, git: Git) -> bool:
        """Let git look at all noted files, with its own filters; tell whether that worked.

        When git's index is being changed by somebody the notes are kept for later. The lock
        is not held meanwhile: the filters that git runs may need it.
        """
        with self._locked():
            if noted := self._read("restage.log"):
                self._append("restage.old", noted)
                os.unlink(os.path.join(self.annex_dir, "restage.log"))
            noted = self._read("restage.old")
        files = self._unchanged(noted)
        if files:
            listed = b"".join(file + b"\0" for file in files)
            try:
                git.run("update-index", "-q", "--refresh", "-z", "--stdin", data=listed)
            except GitError:
                return False
        with self._locked():
            if noted and self._read("restage.old") == noted:
                os.unlink(os.path.join(self.annex_dir, "restage.old"))
        return True

    def _unchanged(self, noted: bytes) -> list[bytes]:
        """Give the noted files that are still as they were when they were noted."""
        files: dict[bytes, None] = {}
        for line in noted.split(b"\n"):
            text, _, file = line.partition(b":")
            try:
                cache = InodeCache.parse(text.decode("ascii"))
            except ValueError:
                continue
            if InodeCache.of_file(os.path.join(self.work_tree, os.fsdecode(file))) == cache:
                files[file] = None
        return list(files)

    def _locked(self) -> Lock:
        return self.locker.exclusive(os.path.join(self.annex_dir, "restage.lck"))

    def _read(self, name: str) -> bytes:
        try:
            with open(os.path.join(self.annex_dir, name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def _append(self, name: str, lines: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(os.path.join(self.annex_dir, name), flags, 0o666)
        try:
            self.permissions.settle_open(fd)
            write_all(fd, lines)
        finally:
            os.close(fd)
