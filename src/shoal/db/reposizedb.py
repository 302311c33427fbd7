"""The database of repository sizes that is shared with the real git-annex: reposize/db/db.

It holds the sizes as of one commit of the git-annex branch, so that the next process need only
look at what changed since; and the changes that processes are making right now, so that two of
them do not promise the same free space. All of it can be found out again: what is lost with
the database costs time, and reservations of transfers under way.

Schema, names of constraints and types of values are those of git-annex 10.20261026, which
repeats for a minute a query to a database without these tables: a new one is made beside its
place and then renamed.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import IntEnum

from shoal.errors import ShoalError
from shoal.values.key import Key
from shoal.values.uuid import UUID, uuid_bytes

_SCHEMA = """
CREATE TABLE "repo_sizes"("id" INTEGER PRIMARY KEY,"repo" BLOB NOT NULL,"size" VARCHAR NOT NULL,\
CONSTRAINT "unique_repo" UNIQUE ("repo"));
CREATE TABLE "annex_branch"("id" INTEGER PRIMARY KEY,"commit" VARCHAR NOT NULL,\
CONSTRAINT "unique_commit" UNIQUE ("commit"));
CREATE TABLE "live_size_changes"("id" INTEGER PRIMARY KEY,"repo" BLOB NOT NULL,\
"key" BLOB NOT NULL,"changeid" VARCHAR NOT NULL,"changepid" VARCHAR NOT NULL,\
"change" INTEGER NOT NULL,\
CONSTRAINT "unique_live_size_change" UNIQUE ("repo","key","changeid","changepid"));
CREATE TABLE "size_changes"("id" INTEGER PRIMARY KEY,"repo" BLOB NOT NULL,\
"rollingtotal" VARCHAR NOT NULL,CONSTRAINT "unique_repo_rolling_total" UNIQUE ("repo"));
CREATE TABLE "recent_changes"("id" INTEGER PRIMARY KEY,"repo" BLOB NOT NULL,\
"key" BLOB NOT NULL,"change" INTEGER NOT NULL,\
CONSTRAINT "unique_recent_change" UNIQUE ("repo","key"));
"""
_BUSY_SECONDS = 5.0  # a transaction of either program takes milliseconds, on an idle disk
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})


class Change(IntEnum):
    """What is done to a repository; the number is what stands in the database."""

    ADDING = 1
    REMOVING = -1


@dataclass(frozen=True, slots=True)
class LiveChange:
    """A key that a process is adding to a repository, or removing.

    `process` is a process id, and `number` tells apart the changes of that process.
    """

    repo: UUID
    key: Key
    change: Change
    process: int
    number: int


class DatabaseUnusable(ShoalError):
    """The database cannot be read or written now. `damaged`: nor will it ever be again."""

    def __init__(self, path: str, error: sqlite3.Error | ValueError) -> None:
        super().__init__(f"cannot use the database of repository sizes, {path}: {error}")
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        self.damaged = code in _DAMAGED or isinstance(error, ValueError)


def create(
    directory: str, make_directory: Callable[[str], object], settle: Callable[[str], None]
) -> None:
    """Make an empty database in `directory`, in place of whatever is there.

    `make_directory` makes a directory with its mode, and `settle` gives a new file its mode.
    The caller holds the lock that keeps others from doing the same. Raises OSError;
    DatabaseUnusable.
    """
    made = directory + ".tmp"
    shutil.rmtree(made, ignore_errors=True)
    make_directory(made)
    path = os.path.join(made, "db")
    try:
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(_SCHEMA)
    except sqlite3.Error as error:
        raise DatabaseUnusable(path, error) from error
    settle(path)
    shutil.rmtree(directory, ignore_errors=True)
    os.rename(made, directory)


class RepoSizeDb:
    """The open database in `directory`. One thread at a time may use it.

    Every method is one transaction, and raises DatabaseUnusable when that is impossible.
    """

    def __init__(self, directory: str) -> None:
        self.path = os.path.join(directory, "db")
        with self._mapped():
            # Not made when missing: an empty file would stop the real program.
            name = f"file:{_quoted(self.path)}?mode=rw"
            self._db = sqlite3.connect(
                name, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            with self._mapped():
                self._identity = _identity(self.path)
                # What a power failure takes with it belonged to processes that died of it.
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.execute("SELECT 1 FROM repo_sizes LIMIT 1").fetchall()
        except DatabaseUnusable:
            self.close()
            raise

    def close(self) -> None:
        """Close it. Harmless when it was closed before."""
        self._db.close()

    def is_in_place(self) -> bool:
        """Tell whether this is still the file that others open."""
        return _identity(self.path) == self._identity

    # Sizes as of a commit

    def sizes(self) -> tuple[dict[UUID, int], str | None]:
        """Give the sizes in bytes, and the commit of the git-annex branch that they are of;
        None when there are none."""
        with self._transaction("DEFERRED") as db:
            rows = db.execute("SELECT repo, size FROM repo_sizes").fetchall()
            commits = db.execute('SELECT "commit" FROM annex_branch').fetchall()
            found = {_uuid(repo): int(size) for repo, size in rows}
        return (found, str(commits[0][0])) if len(commits) == 1 else ({}, None)

    def store_sizes(self, sizes: Mapping[UUID, int], commit: str) -> None:
        """Put in the sizes as of `commit`. Recent changes are forgotten, but for those that
        somebody is making once more."""
        with self._transaction() as db:
            known = {_uuid(repo) for (repo,) in db.execute("SELECT repo FROM repo_sizes")}
            gone = [(uuid_bytes(repo),) for repo in known - sizes.keys()]
            db.executemany("DELETE FROM repo_sizes WHERE repo = ?", gone)
            db.executemany(
                "INSERT INTO repo_sizes(repo, size) VALUES (?, ?) "
                "ON CONFLICT(repo) DO UPDATE SET size = excluded.size",
                [(uuid_bytes(repo), str(size)) for repo, size in sizes.items()],
            )
            db.execute(
                "DELETE FROM recent_changes WHERE NOT EXISTS (SELECT 1 FROM live_size_changes "
                "AS live WHERE live.repo = recent_changes.repo AND live.key = recent_changes.key "
                "AND live.change = recent_changes.change)"
            )
            db.execute("DELETE FROM annex_branch")
            db.execute('INSERT INTO annex_branch("commit") VALUES (?)', (commit,))

    # Changes under way

    def version(self) -> int:
        """Give a number that changes when another process has written."""
        with self._mapped():
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def additions(self, besides: int) -> list[LiveChange]:
        """Give the keys that processes other than `besides` are adding to repositories."""
        with self._mapped():
            rows = self._db.execute(
                "SELECT repo, key, changepid, changeid FROM live_size_changes "
                "WHERE change = ? AND changepid <> ?",
                (int(Change.ADDING), str(besides)),
            ).fetchall()
            return [
                LiveChange(_uuid(repo), Key.parse(_raw(key)), Change.ADDING, int(pid), int(number))
                for repo, key, pid, number in rows
            ]

    def add(self, changes: Iterable[LiveChange]) -> None:
        """Say that changes have begun."""
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO live_size_changes(change, repo, key, changepid, changeid) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT(repo, key, changeid, changepid) "
                "DO UPDATE SET change = excluded.change",
                [(int(each.change), *_identifiers(each)) for each in changes],
            )

    def cancel(self, changes: Iterable[LiveChange]) -> None:
        """Say that changes will not be made."""
        with self._transaction() as db:
            _remove(db, changes)

    def finish(self, changes: Collection[LiveChange]) -> None:
        """Say that changes have been made. Call it while the journal that says so is locked.

        A change that somebody else has made already counts once.
        """
        with self._transaction() as db:
            for each in changes:
                where = (uuid_bytes(each.repo), bytes(each.key))
                recent = db.execute(
                    "SELECT change FROM recent_changes WHERE repo = ? AND key = ?", where
                ).fetchone()
                if recent is None or recent[0] != each.change:
                    _count(db, each)
            _remove(db, changes)

    def remove_processes(self, processes: Collection[int]) -> None:
        """Remove the changes of processes that are no more."""
        with self._transaction() as db:
            db.executemany(
                "DELETE FROM live_size_changes WHERE changepid = ?",
                [(str(process),) for process in processes],
            )

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        with self._mapped():
            self._db.execute(f"BEGIN {kind}")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:  # ValueError: no number where one must be
            raise DatabaseUnusable(self.path, error) from error


def _count(db: sqlite3.Connection, made: LiveChange) -> None:
    """Add a finished change to the rolling total, and to the recent changes."""
    repo = uuid_bytes(made.repo)
    found = db.execute("SELECT rollingtotal FROM size_changes WHERE repo = ?", (repo,)).fetchone()
    total = (int(found[0]) if found else 0) + made.change * (made.key.size or 0)
    db.execute(
        "INSERT INTO size_changes(repo, rollingtotal) VALUES (?, ?) "
        "ON CONFLICT(repo) DO UPDATE SET rollingtotal = excluded.rollingtotal",
        (repo, str(total)),
    )
    db.execute(
        "INSERT INTO recent_changes(repo, key, change) VALUES (?, ?, ?) "
        "ON CONFLICT(repo, key) DO UPDATE SET change = excluded.change",
        (repo, bytes(made.key), int(made.change)),
    )


def _remove(db: sqlite3.Connection, changes: Iterable[LiveChange]) -> None:
    db.executemany(
        "DELETE FROM live_size_changes "
        "WHERE repo = ? AND key = ? AND changepid = ? AND changeid = ?",
        [_identifiers(each) for each in changes],
    )


def _identifiers(change: LiveChange) -> tuple[bytes, bytes, str, str]:
    return uuid_bytes(change.repo), bytes(change.key), str(change.process), str(change.number)


def _uuid(stored: object) -> UUID:
    return UUID(_raw(stored).decode("utf-8", "surrogateescape"))


def _raw(stored: object) -> bytes:
    return stored if isinstance(stored, bytes) else str(stored).encode("utf-8", "surrogateescape")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _quoted(path: str) -> str:
    """Give a path as it stands in a file: URI."""
    from urllib.parse import quote

    return quote(os.fsencode(path))
