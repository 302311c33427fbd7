"""The journal: changes of the git-annex branch that are not committed yet.

A file of the journal is the complete new content of one file of the branch, and counts
instead of it. It is written below othertmp/ and renamed into place, under the journal's lock.
What concerns private repositories goes to a journal of its own, which is never committed.
Source: on-disk behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from shoal.git.othertmp import OtherTmp, read_all
from shoal.git.permissions import Permissions

Signature = tuple[int, int, int]
"""Modification time in ns, inode and size of a file."""

_HASHED = re.compile(r"([0-9a-f]{3}(?:_[0-9a-f]{3})?)_((?:__)+)(?=[^_])")


def journal_name(path: str) -> str:
    """Give the name in the journal of a file on the branch."""
    return path.replace("_", "__").replace("/", "_")


def branch_path(name: str) -> str:
    """Give the file on the branch that a name in the journal stands for.

    The code is ambiguous where a slash and an underscore meet. After a hash directory the
    slash comes first (git-annex puts it last, and loses sight of keys that begin with `_`).
    """
    if (hashed := _HASHED.match(name)) is not None:
        start = f"{hashed[1].replace('_', '/')}/{hashed[2][::2]}"
        return start + branch_path(name[hashed.end() :])
    return "_".join(part.replace("_", "/") for part in name.split("__"))


class Journal:
    """One journal directory. Reading needs no lock; whoever writes must hold the journal's."""

    def __init__(
        self, directory: str, annex_dir: str, othertmp: OtherTmp, permissions: Permissions
    ) -> None:
        self.directory = directory
        self._annex_dir = annex_dir
        self._othertmp = othertmp
        self._permissions = permissions

    def read(self, path: str) -> bytes | None:
        """Give the journalled content of a branch file, None when there is none.

        A last line without newline is one that git-annex is appending: it is left out.
        """
        try:
            fd = os.open(self.file(path), os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            content = read_all(fd)
        finally:
            os.close(fd)
        return content if content.endswith(b"\n") else content[: content.rfind(b"\n") + 1]

    def write(self, path: str, content: bytes) -> None:
        """Put the new content of a branch file into the journal, at once."""
        try:
            self._othertmp.replace(self.file(path), content)
        except FileNotFoundError:
            self._permissions.make_directory(self.directory, self._annex_dir)
            self._othertmp.replace(self.file(path), content)

    def file(self, path: str) -> str:
        """Give the file of the journal that holds (or would hold) a branch file."""
        return f"{self.directory}/{journal_name(path)}"

    def names(self) -> list[str]:
        """Give the names of all files in the journal, regular files or links to such."""
        try:
            with os.scandir(self.directory) as entries:
                return [entry.name for entry in entries if entry.is_file()]
        except FileNotFoundError:
            return []

    def paths(self) -> set[str]:
        """Give all branch files that are journalled."""
        return set(map(branch_path, self.names()))

    def is_empty(self) -> bool:
        """Tell whether nothing is journalled."""
        return not self.names()

    def remove(self, names: Iterable[str]) -> None:
        """Delete files that have been committed."""
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self.directory, name))

    def signatures(self, names: Iterable[str]) -> Iterator[tuple[str, Signature]]:
        """Give the branch files of `names`, with what changes when their content does."""
        for name in names:
            with suppress(FileNotFoundError):
                found = os.stat(os.path.join(self.directory, name))
                yield branch_path(name), (found.st_mtime_ns, found.st_ino, found.st_size)
