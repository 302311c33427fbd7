"""The database of repository sizes as processes share it: where it is, and its locks.

All below ANNEX/reposize, or annex.dbdir:

* `db/db`: the database (see shoal.db.reposizedb);
* `lock`: held exclusively while somebody decides, by sizes, where a key goes, and while the
  database is made;
* `live/PID`: locked exclusively by a process that has written what it is about to do, for as
  long as it lives. Who can lock such a file knows that the process is gone, and removes what
  it left in the database. The real program makes the same test, at most once a minute.

Nothing depends on the database: when it cannot be used, `trouble` says why, the repository's
`complain` hears of it once, and what this process is about to do is known to it alone. So it
is, too, with annex.pidlock: there is no lock then that one process could hold all its life.
Source: on-disk behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from shoal.db.reposizedb import DatabaseUnusable, LiveChange, RepoSizeDb, create
from shoal.errors import ShoalError
from shoal.git.locks import Lock, LockError
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_PATIENCE = 60.0  # seconds to wait for the lock: nobody should hold it for longer than moments
_FIRST_POLL, _LAST_POLL = 0.0005, 0.01  # seconds
_SPELL = 0.05  # seconds of decisions in a row, after which others get the lock for sure
_GAP = 0.002  # seconds: what is that long apart is not in a row
_STALE_EVERY = 60.0  # seconds between looks for processes that are gone
_RETRY_AFTER = 10.0  # seconds to leave a database alone that cannot be used
_WITHOUT = "until that is mended, processes do not know what others are storing"

T = TypeVar("T")


class SharedSizes:
    """The database of one repository, for this process. Thread-safe.

    Locks are taken in this order: deciding(), the journal's, this object's own.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._directory = os.path.join(repository.database_dir, "reposize")
        self._turn = threading.RLock()  # one thread decides
        self._held: Lock | None = None  # on the file `lock`, by the thread that has its turn
        self._spell = self._released = 0.0  # when decisions in a row began, and the last ended
        self._lock = threading.Lock()  # for what follows
        self._db: RepoSizeDb | None = None
        self._retry_at = 0.0
        self._damaged = False
        self._seen = -1  # the database's version when _others was read
        self._others: frozenset[LiveChange] = frozenset()
        self._written: set[LiveChange] = set()  # by this process, and not removed again
        self._unwanted: set[LiveChange] = set()  # to be removed as soon as that is possible
        self._live: Lock | None = None
        self._checked = float("-inf")
        self._told = False
        self.trouble: ShoalError | None = None
        """Why the database was not used when it was needed last; None when it was."""

    # Deciding

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Let nobody else decide where keys go. Never wait for anything slow inside.

        Raises LockError when another process holds the lock for a minute.
        """
        with self._turn:
            if self._held is not None:
                yield
                return
            self._held = self._take_lock()
            try:
                yield
            finally:
                held, self._held = self._held, None
                if held is not None:
                    held.release()
                self._released = time.monotonic()

    def _take_lock(self) -> Lock | None:
        """Take the lock file; None when this user may not."""
        path = os.path.join(self._directory, "lock")
        now = time.monotonic()
        if now > self._released + _GAP:
            self._spell = now
        elif now > self._spell + _SPELL:
            time.sleep(_GAP)
            self._spell = now + _GAP
        try:
            self._repository.make_directory(self._directory)
            held = self._poll(path)
        except (OSError, LockError) as error:
            self._do_without(LockError(path, getattr(error, "strerror", None) or str(error)))
            return None
        if held is None:
            raise LockError(path, "another process keeps it locked")
        return held

    def _poll(self, path: str) -> Lock | None:
        """Try to lock a file again and again; None when others kept it all the time."""
        deadline, pause = time.monotonic() + _PATIENCE, _FIRST_POLL
        while (held := self._repository.locker.try_exclusive(path)) is None:
            if time.monotonic() > deadline:
                return None
            time.sleep(pause)
            pause = min(pause * 2, _LAST_POLL)
        return held

    # Sizes as of a commit

    def stored_sizes(self) -> tuple[dict[UUID, int], str | None]:
        """Give the sizes in the database, and the commit of the branch that they are of."""
        nothing: tuple[dict[UUID, int], str | None] = ({}, None)
        return self._use(lambda db: db.sizes(), nothing)

    def store_sizes(self, sizes: Mapping[UUID, int], commit: str) -> None:
        """Put sizes as of a commit into the database."""
        self._use(lambda db: db.store_sizes(sizes, commit), None)

    # Changes under way

    @property
    def seen(self) -> int:
        """A number that others() changes when another process has written."""
        return self._seen

    def others(self) -> frozenset[LiveChange]:
        """Give what other processes are adding to repositories now."""

        def read(db: RepoSizeDb) -> frozenset[LiveChange]:
            if (version := db.version()) != self._seen:
                self._others, self._seen = frozenset(db.additions(besides=os.getpid())), version
            if self._others and self._remove_stale(db):
                self._others = frozenset(db.additions(besides=os.getpid()))
            return self._others

        return self._use(read, frozenset())

    def begin(self, changes: Collection[LiveChange]) -> None:
        """Let others know what this process will do. Call it inside deciding()."""

        def write(db: RepoSizeDb) -> None:
            if self._register(db):
                db.add(changes)
                self._written.update(changes)

        self._use(write, None)

    def finish(self, changes: Collection[LiveChange]) -> None:
        """Let others know what has been done; the journal that says so is still locked."""
        self._end(changes, lambda db, known: db.finish(known))

    def cancel(self, changes: Collection[LiveChange]) -> None:
        """Let others know what will not be done."""
        self._end(changes, lambda db, known: db.cancel(known))

    def _end(
        self,
        changes: Collection[LiveChange],
        end: Callable[[RepoSizeDb, Collection[LiveChange]], None],
    ) -> None:
        """Remove changes from the database. It is not opened for this: others may wait."""
        with self._lock:
            known = self._written.intersection(changes)
            self._written -= known
            if not known:
                return
            try:
                if self._db is not None:
                    end(self._db, known)
                    return
            except DatabaseUnusable as error:
                self._give_up(error)
            self._unwanted |= known

    # Processes

    def _register(self, db: RepoSizeDb) -> bool:
        """See to it that others know that this process lives; tell whether they can."""
        if self._live is not None:
            return True
        if self._repository.config.get_bool("annex.pidlock", False):
            return False
        directory = os.path.join(self._directory, "live")
        path = os.path.join(directory, str(os.getpid()))
        try:
            self._repository.make_directory(directory)
            while True:
                live = self._repository.locker.try_exclusive(path)
                if live is None or live.is_sane():
                    break
                live.release()  # deleted by one who took it for a dead namesake's
        except (OSError, LockError) as error:
            self._do_without(LockError(path, str(error)))
            return False
        if live is None:
            return False  # a process of the same number, of another container
        self._live = live
        self._remove_stale(db)
        db.remove_processes([os.getpid()])  # a dead namesake's
        return True

    def _remove_stale(self, db: RepoSizeDb) -> bool:
        """Remove what dead processes left; tell whether that is anything. Rarely looks."""
        now = time.monotonic()
        if now < self._checked + _STALE_EVERY:
            return False
        self._checked = now
        if self._repository.config.get_bool("annex.pidlock", False):
            return False
        dead = self._dead_processes()
        try:
            if dead:
                db.remove_processes([process for process, _ in dead])
                for _, lock in dead:
                    with suppress(OSError):
                        os.unlink(lock.path)
        finally:
            for _, lock in dead:
                lock.release()
        return bool(dead)

    def _dead_processes(self) -> list[tuple[int, Lock]]:
        """Give processes that are gone, each with the lock on its file."""
        directory = os.path.join(self._directory, "live")
        found: list[tuple[int, Lock]] = []
        try:
            names = os.listdir(directory)
        except OSError:
            return []
        for name in names:
            if name.isdecimal() and int(name) != os.getpid():
                with suppress(LockError):  # another user's
                    lock = self._repository.locker.try_shared(os.path.join(directory, name))
                    if lock is not None:
                        found.append((int(name), lock))
        return found

    # The database

    def open(self) -> None:
        """Open the database, made if it is missing. Harmless when it is open.

        Call it before locks of other things are taken: making it waits for deciding().
        """
        with self._lock:
            if not self._must_open():
                return
            try:
                if self._open():
                    return
            except DatabaseUnusable as error:
                self._give_up(error)
                if not error.damaged:
                    return
        self._make()

    def _must_open(self) -> bool:
        if self._db is not None and self._db.is_in_place():
            return False
        self._close()
        return time.monotonic() >= self._retry_at

    def _open(self) -> bool:
        """Open the database; tell whether there is one. Raises DatabaseUnusable."""
        directory = os.path.join(self._directory, "db")
        if self._damaged or not os.path.lexists(os.path.join(directory, "db")):
            return False
        db = RepoSizeDb(directory)
        try:
            db.cancel(self._unwanted)
            db.add(self._written)  # perhaps it is a new database
        except DatabaseUnusable:
            db.close()
            raise
        self._unwanted.clear()
        self._db, self._seen, self.trouble = db, -1, None
        return True

    def _make(self) -> None:
        """Make the database, or make it anew, while nobody else does; then open it."""
        repository = self._repository
        directory = os.path.join(self._directory, "db")
        try:
            with self.deciding(), self._lock:
                if self._held is None:  # read-only
                    self._retry_at = time.monotonic() + _RETRY_AFTER
                elif not self._open():  # else another was faster
                    create(directory, repository.make_directory, repository.permissions.settle)
                    self._damaged = False
                    self._open()
        except DatabaseUnusable as error:
            self._give_up(error)
        except (OSError, LockError) as error:
            self._do_without(LockError(self._directory, str(error)))
            self._retry_at = time.monotonic() + _RETRY_AFTER

    def _use(self, use: Callable[[RepoSizeDb], T], otherwise: T) -> T:
        """Give what `use` gives, or `otherwise` when the database is not open or fails."""
        with self._lock:
            if self._db is None:
                return otherwise
            try:
                return use(self._db)
            except DatabaseUnusable as error:
                self._give_up(error)
                return otherwise

    def _give_up(self, error: DatabaseUnusable) -> None:
        """Do without the database for a while; one that is damaged is soon made anew."""
        if error.damaged and not self._damaged:
            self.trouble = error
        else:
            self._do_without(error)
        self._close()
        self._damaged = error.damaged
        if not error.damaged:
            self._retry_at = time.monotonic() + _RETRY_AFTER

    def _do_without(self, error: ShoalError) -> None:
        """Note why the database is not used, and tell that once."""
        self.trouble = error
        if not self._told:
            self._told = True
            self._repository.complain(f"{error}; {_WITHOUT}")

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = None
        self._others = frozenset()

    def close(self) -> None:
        """Leave: remove what this process wrote, and its file in live/. May be used again."""
        with self._lock:
            left = self._written | self._unwanted
            try:
                if left and (self._db is not None or self._open()) and self._db is not None:
                    self._db.cancel(left)
                    left.clear()
            except DatabaseUnusable as error:
                self.trouble = error
            self._written.clear()
            self._unwanted.clear()
            self._close()
            live, self._live = self._live, None
            if live is not None:
                if not left:  # else others find it, and clear up
                    with suppress(OSError):
                        os.unlink(live.path)
                live.release()
