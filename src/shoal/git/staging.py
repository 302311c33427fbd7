"""Putting annexed files into the user's git index, many at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shoal.git.blobs import BlobWriter
from shoal.git.gitindex import GitIndex
from shoal.git.objectsettings import blob_algorithm

if TYPE_CHECKING:
    from shoal.git.repository import Repository

SYMLINK: Final = "120000"
FILE: Final = "100644"
EXECUTABLE: Final = "100755"
_MANY: Final = 10_000  # files staged at once


@dataclass(frozen=True, slots=True)
class Staged:
    """A file for the index: path from the top, mode, and what git stores of it."""

    path: bytes
    mode: str
    content: bytes


class Stager:
    """Collects files and stages them together: use it as a `with` block, or flush() it.

    The files must be in the work tree already, as they are staged: git is told that they are
    unchanged.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._waiting: dict[bytes, Staged] = {}
        self._algorithm = blob_algorithm(repository)

    def add(self, staged: Staged) -> None:
        """Stage a file soon."""
        self._waiting[staged.path] = staged
        if len(self._waiting) >= _MANY:
            self.flush()

    def flush(self) -> None:
        """Stage all now. Raises GitError, for instance when the index is locked."""
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        repository = self._repository
        blobs: dict[bytes, bytes] = {}
        with BlobWriter(repository.git, self._algorithm) as writer:
            for staged in waiting.values():
                blobs[staged.path] = bytes.fromhex(writer.write(staged.content))
        lines = [
            b"%s %s\t%s\0" % (staged.mode.encode(), blobs[staged.path].hex().encode(), path)
            for path, staged in waiting.items()
        ]
        with repository.locker.exclusive(repository.lock_path("gitqueue")):
            repository.git.run("update-index", "-z", "--index-info", data=b"".join(lines))
        self._restamp(blobs)

    def _restamp(self, blobs: dict[bytes, bytes]) -> None:
        repository = self._repository
        states = {}
        for path, blob in blobs.items():
            try:
                states[path] = (blob, os.lstat(os.path.join(repository.path, os.fsdecode(path))))
            except OSError:
                continue  # deleted meanwhile: git sees that
        GitIndex(
            repository.git_dir, repository.path, repository.permissions, self._algorithm
        ).restamp(states)

    def __enter__(self) -> Stager:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.flush()
