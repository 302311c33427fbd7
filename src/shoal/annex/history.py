"""What the history of the git-annex branch tells: where keys were, and how much was where.

The journal has no history: commit it before. Everything is given as it is found, newest first
but for sizes, and takes memory only for some thousand keys at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from shoal.git.history import FileChange, FileHistories, branch_changes, is_nothing
from shoal.git.process import GitError
from shoal.git.refs import BRANCH
from shoal.logs import location, trust
from shoal.logs.history import Change, Version, change, changes
from shoal.logs.sizehistory import Rows, SizeHistory

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

T = TypeVar("T")
_GROUP = 20_000  # keys for which the history is read once
_FEW = 4  # keys for which git is faster one by one
_BATCH = 2000  # changes whose logs are read at once
_KEPT = 50_000  # logs and keys kept, since one change's old version is another's new one
_NOWHERE: frozenset[UUID] = frozenset()


class History:
    """The history of one repository's git-annex branch.

    `options` of git log (such as `--since=DATE`) limit which commits are looked at.
    """

    def __init__(self, repository: Repository, options: Sequence[str] = ()) -> None:
        self._repository = repository
        self._options = tuple(options)
        self._present: dict[bytes, frozenset[UUID]] = {}  # by blob
        self._keys: dict[bytes, Key | None] = {}  # by path

    def of_keys(
        self, works: Iterable[T], key_of: Callable[[T], Key]
    ) -> Iterator[tuple[T, list[Change]]]:
        """Give for each of `works` the changes of its key's location log."""
        levels = self._repository.branch_hash_levels
        rest = iter(works)
        while group := list(islice(rest, _GROUP)):
            paths = [os.fsencode(location.path(key_of(work), levels)) for work in group]
            find = self._finder(paths)
            for start in range(0, len(group), _BATCH):
                found = [find(path) for path in paths[start : start + _BATCH]]
                self._read(one for changed in found for one in changed)
                for work, changed in zip(group[start : start + _BATCH], found, strict=True):
                    yield work, list(self._changes(changed))

    def of_all_keys(self) -> Iterator[tuple[Key, Change]]:
        """Give all changes of all location logs."""
        rest = branch_changes(self._repository.git, BRANCH, self._options)
        while batch := list(islice(rest, _BATCH)):
            located = [(key, c) for c in batch if (key := self._key_of(c.path))]
            self._read(found for _, found in located)
            for key, found in located:
                if one := change(found.time, self._present[found.old], self._present[found.new]):
                    yield key, one

    def of_sizes(self, history: SizeHistory, rows: Rows) -> Iterator[tuple[int, str]]:
        """Give the rows to show, oldest first, each with its time in seconds since 1970.

        The whole history counts: `options` do not limit it.
        """
        order = ("--date-order", "--reverse")
        rest = branch_changes(self._repository.git, BRANCH, order)
        while batch := list(islice(rest, _BATCH)):
            wanted = [
                (found, key)
                for found in batch
                if not is_nothing(found.new)
                and ((key := self._key_of(found.path)) or found.path == _TRUST)
            ]
            logs = self._contents([found.new for found, _ in wanted])
            for (found, key), log in zip(wanted, logs, strict=True):
                if key:
                    history.add_location(key, log)
                else:
                    history.add_trust(log)
                if (row := rows.add(found.time, history)) is not None:
                    yield found.time, row

    def _key_of(self, path: bytes) -> Key | None:
        """Give the key whose location log is at `path`, if any. The same logs come again."""
        if path not in self._keys:
            if len(self._keys) > _KEPT:
                self._keys.clear()
            self._keys[path] = location.key_of(path, self._repository.branch_hash_levels)
        return self._keys[path]

    def _finder(self, paths: Sequence[bytes]) -> Callable[[bytes], list[FileChange]]:
        """Give what finds the changes of each of `paths`."""
        git = self._repository.git
        if len(paths) >= _FEW and not self._options:
            return FileHistories(git, BRANCH, paths).changes
        options = ("--remove-empty", *self._options)
        return lambda path: list(branch_changes(git, BRANCH, options, os.fsdecode(path)))

    def _changes(self, found: Sequence[FileChange]) -> Iterator[Change]:
        versions = [Version(one.time, self._present[one.new]) for one in found]
        return changes(versions, self._present[found[-1].old] if found else _NOWHERE)

    def _read(self, found: Iterable[FileChange]) -> None:
        """Find out where keys were before and after each change."""
        if len(self._present) > _KEPT:
            self._present.clear()
        names = {name for one in found for name in (one.old, one.new)} - self._present.keys()
        missing = [name for name in names if not is_nothing(name)]
        self._present.update(dict.fromkeys(names, _NOWHERE))
        for name, log in zip(missing, self._contents(missing), strict=True):
            self._present[name] = location.present_uuids(log)

    def _contents(self, names: Sequence[bytes]) -> Iterator[bytes]:
        for name, found in zip(names, self._repository.cat_file.read_many(names), strict=True):
            if found is None:
                raise GitError("cat-file", 1, f"{name.decode()} of the git-annex branch is missing")
            yield found.content


_TRUST = os.fsencode(trust.PATH)
