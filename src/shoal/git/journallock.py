"""The lock of the journal: who changes the git-annex branch holds it.

It is a lock of all processes, and of all threads of each. A thread may hold it for several
changes, and may know already what is in the files that it will change.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shoal.git.locks import LockError

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

    @contextmanager
    def held(self) -> Iterator[tuple[int, ...]]:
        """Hold the lock; gives the files that keep it held in a child process. A thread that
        is ready holds it already."""
        if self._is_ready:
            yield ()
            return
        repository = self._repository
        path = repository.lock_path("journal")
        try:
            lock = repository.locker.exclusive(path)
        except LockError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            repository.make_directory(repository.annex_dir)
            lock = repository.locker.exclusive(path)
        with lock:
            yield lock.files

    @contextmanager
    def ready(self, contents: Contents) -> Iterator[None]:
        """In this block the thread that holds the lock knows what is in some files."""
        self._ready_thread, self._contents = threading.get_ident(), contents
        try:
            yield
        finally:
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
