"""What the real git-annex remembers about unlocked files: its database ANNEX/keysdb.

It is a cache, and shoal never needs it: it is read to save hashing, and told of files that
shoal fills or empties so that the real program need not hash them either. Where there is no
such database, or it cannot be used now, every question is answered with nothing known.

Source: on-disk behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import TypeVar

from shoal.values.key import Key

_BUSY_SECONDS = 2.0
T = TypeVar("T")


class KeysDb:
    """The database in the directory `directory` (ANNEX/keysdb). Thread-safe: it is opened
    for each question."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, "db")

    def associated_files(self, key: Key) -> list[bytes]:
        """Give files, from the work tree's top, that had `key` when the database was last
        brought up to date: each must be looked at."""

        def ask(db: sqlite3.Connection) -> list[bytes]:
            rows = db.execute("SELECT file FROM associated WHERE key = ?", (bytes(key),))
            return [_bytes(file) for (file,) in rows]

        return self._ask(ask, [])

    def inode_caches(self, key: Key) -> list[str]:
        """Give the inode caches (text) of files known to hold the content of `key`."""

        def ask(db: sqlite3.Connection) -> list[str]:
            rows = db.execute("SELECT inodecache FROM content WHERE key = ?", (bytes(key),))
            return [str(text) for (text,) in rows]

        return self._ask(ask, [])

    def is_known(self, inode_cache: str) -> bool:
        """Tell whether a file in this state is known to hold the content of some key."""

        def ask(db: sqlite3.Connection) -> bool:
            found = db.execute("SELECT 1 FROM content WHERE inodecache = ? LIMIT 1", (inode_cache,))
            return found.fetchone() is not None

        return self._ask(ask, False)

    def add_inode_caches(self, key: Key, caches: Iterable[tuple[str, int, int]]) -> None:
        """Remember files that hold the content of `key`: (inode cache, size, mtime in s)."""
        rows = [(bytes(key), text, str(size), mtime) for text, size, mtime in caches]
        with suppress(sqlite3.Error), self._open() as db:
            if db is not None:
                db.executemany(
                    "INSERT OR IGNORE INTO content(key, inodecache, filesize, mtime) "
                    "VALUES (?, ?, ?, ?)",
                    rows,
                )
                db.commit()

    def forget_inode_caches(self, key: Key) -> None:
        """Forget all files that held the content of `key`."""
        with suppress(sqlite3.Error), self._open() as db:
            if db is not None:
                db.execute("DELETE FROM content WHERE key = ?", (bytes(key),))
                db.commit()

    def forget_inode_cache(self, inode_cache: str) -> None:
        """Forget that a file in this state held the content of any key."""
        with suppress(sqlite3.Error), self._open() as db:
            if db is not None:
                db.execute("DELETE FROM content WHERE inodecache = ?", (inode_cache,))
                db.commit()

    def _ask(self, ask: Callable[[sqlite3.Connection], T], unknown: T) -> T:
        try:
            with self._open() as db:
                return unknown if db is None else ask(db)
        except sqlite3.Error:
            return unknown

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection | None]:
        if not os.path.exists(self._path):
            yield None
            return
        with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS)) as db:
            yield db


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else os.fsencode(value)
