"""The lock of the journal: who changes the git-annex branch holds it.

It is a lock of all processes, and of all threads of each. A thread may hold it for several
changes, and may know already what is in the files that it will change.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from shoal.git.held import Held
from shoal.git.locks import Lock, LockError

if TYPE_CHECKING:
    from shoal.git.repository import Repository

Contents = dict[tuple[str, bool], bytes]
"""What is in files: by path, and whether they are changed in private."""


class JournalLock:
    """The lock of one repository's journal, as its threads take it."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._ready_thread = 0
        self._contents: Contents = {}

    def held(self) -> Lock:
        """Take the lock for a `with` block. A thread that is ready holds it already, until it
        is not ready any more."""
        return Lock("", -1) if self._is_ready else self.take()

    def take(self) -> Lock:
        """Take the lock, which this thread does not hold yet."""
        repository = self._repository
        path = repository.lock_path("journal")
        try:
            return repository.locker.exclusive(path)
        except LockError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            repository.make_directory(repository.annex_dir)
            return repository.locker.exclusive(path)

    def get_ready(self, contents: Contents) -> None:
        """The thread that took the lock knows what is in some files, until not_ready()."""
        self._ready_thread, self._contents = threading.get_ident(), contents

    def not_ready(self) -> None:
        """From now on it knows nothing."""
        self._ready_thread, self._contents = 0, {}

    def known(self, path: str, *, private: bool) -> bytes | None:
        """Give what this thread knows to be in a file; None when it does not."""
        return self._contents.get((path, private)) if self._is_ready else None

    def forget(self) -> None:
        """The thread that holds the lock changed something."""
        self._contents.clear()

    @property
    def _is_ready(self) -> bool:
        return self._ready_thread == threading.get_ident()


class Ready(Held):
    """What a thread holds that changes a file without waiting: the journal's lock, and
    `busy`, which others need for that."""

    def __init__(self, writing: JournalLock, lock: Lock, busy: threading.RLock) -> None:
        self._writing = writing
        self._lock = lock
        self._busy = busy
        self._over = False

    def release(self) -> None:
        if not self._over:
            self._over = True
            self._writing.not_ready()
            self._busy.release()
            self._lock.release()
