"""Which files of the work tree have which key."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from shoal.annex.files import WorkTree, index_entry
from shoal.git.process import entries_of

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.key import Key


class FilesOfKeys:
    """The files of the git index by their keys. Reads the whole index when first asked, as a
    stream, and keeps little more than the names: for a million files 50 MB or so."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def of(self, key: Key) -> list[str]:
        """Give the files that have `key`, from the work tree's top, in git's order."""
        known, name = self._known, hash(bytes(key))
        found = []
        at = bisect_left(known.keys, name)
        while at < len(known.keys) and known.keys[at] == name:
            start = known.starts[at]
            found.append(os.fsdecode(known.paths[start : known.paths.index(b"\0", start)]))
            at += 1
        return found

    @cached_property
    def _known(self) -> _Known:
        keys, starts, paths = array("q"), array("q"), bytearray()
        if not self._repository.is_bare:
            tree = WorkTree(self._repository)
            with self._repository.git.reading("ls-files", "-s", "-z") as listed:
                for entry, key in tree.keys_of(map(index_entry, entries_of(listed))):
                    keys.append(hash(bytes(key)))
                    starts.append(len(paths))
                    paths += os.fsencode(entry.path) + b"\0"
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return _Known(
            array("q", map(keys.__getitem__, order)),
            array("q", map(starts.__getitem__, order)),
            bytes(paths),
        )


class _Known(NamedTuple):
    """Sorted hashes of the keys of all files, and where in `paths`, which are ended by NUL, each
    file's begins. Two keys with the same hash of 64 bits are not to be expected."""

    keys: array[int]
    starts: array[int]
    paths: bytes
