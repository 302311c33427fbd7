"""Adding files: to the annex when they are large, to git when they are not."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from shoal.annex.files import UnknownPath, by_place
from shoal.git.filerules import FileRules
from shoal.git.ingest import Ingester
from shoal.git.inodecache import InodeCache
from shoal.git.pointers import read_pointer
from shoal.git.process import GitError
from shoal.git.staging import Stager
from shoal.git.unlocked import is_content_of

if TYPE_CHECKING:
    from shoal.annex.session import Session
    from shoal.values.key import Key

_MANY = 1000  # files given to one git command
_NO_FILTER = tuple(
    word for name in ("clean", "smudge", "process") for word in ("-c", f"filter.annex.{name}=")
)
"""Keeps git from running the filter on files, which it may annex."""


class Size(Enum):
    """What a user says instead of annex.largefiles."""

    LARGE = "large"
    SMALL = "small"


class Way(Enum):
    """What is done with a file; the value is what a user is told."""

    ANNEX = ""
    LINK = "a symlink goes into git as it is"
    SMALL = "non-large file; adding content to git repository"
    FORCED = "adding content to git repository"
    DOTFILE = "dotfile; adding content to git repository"


@dataclass(frozen=True, slots=True)
class FileToAdd:
    """A file that git does not have as it is now. `given` is the word that it comes from."""

    path: str  # from the top of the work tree
    shown: str  # from the current directory
    given: str


class Adding:
    """Adds files of one work tree. Use it with `with`: at the end all is staged in git.

    `backend` is the one to make keys with, whatever is configured. `size` overrides
    annex.largefiles; `force` does so, too, but not for dotfiles.
    """

    def __init__(
        self,
        session: Session,
        *,
        backend: str | None = None,
        size: Size | None = None,
        force: bool = False,
    ) -> None:
        self._session = session
        self._repository = session.repository
        self._size = size
        self._force = force
        self._rules = FileRules(session.repository, backend=backend)
        self._ingester = Ingester(session.repository)
        self._stager = Stager(session.repository)
        self._lock = threading.Lock()  # of the stager
        self._for_git: list[str] = []

    # Which files

    def find(
        self,
        words: Sequence[str],
        complain: Callable[[str], None],
        not_found: Callable[[str], None],
        *,
        only_tracked: bool = False,
        ignored_too: bool = False,
    ) -> Iterator[FileToAdd]:
        """Give the new and then the changed files at and below the paths `words`, both in the
        order of these.

        `not_found` gets each word that names nothing, `complain` what else is wrong.
        """
        tree = self._session.work_tree
        words = list(words)
        for word in [word for word in words if not os.path.lexists(word)]:
            not_found(word)
            words.remove(word)
            if not words:
                return
        try:
            given = {tree.path_of(word): word for word in words or [os.curdir]}
            changed = self._changed(list(given), only_tracked, ignored_too)
        except (UnknownPath, GitError) as error:
            complain(error.stderr.strip() if isinstance(error, GitError) else str(error))
            return
        for place, path in changed:
            shown = tree.shown(path)
            yield FileToAdd(path, shown, given[place] if words else shown)

    def _changed(
        self, places: list[str], only_tracked: bool, ignored_too: bool
    ) -> Iterator[tuple[str, str]]:
        """Give files, each with the first of `places` that it is at or below."""
        rules = [] if ignored_too else ["--exclude-standard"]
        new = [] if only_tracked else self._list("--others", *rules, paths=places)
        modified = self._list("--modified", paths=places)
        unchanged = self._unchanged(modified)
        changed = (path for path in modified if path not in unchanged)
        for listed in (new, dict.fromkeys(changed)):
            chosen = by_place(listed, places)
            for place in places:
                paths = filter(self._can_be_added, chosen.get(place, []))
                yield from ((place, path) for path in paths)

    def _can_be_added(self, path: str) -> bool:
        full = self._session.work_tree.full(path)
        return os.path.lexists(full) and (os.path.islink(full) or not os.path.isdir(full))

    def _list(self, *options: str, paths: list[str]) -> list[str]:
        words = (*_NO_FILTER, "ls-files", "-z", *options, "--", *paths)
        found = self._repository.git.run(*words)
        return [os.fsdecode(path) for path in found.split(b"\0") if path]

    def _unchanged(self, modified: list[str]) -> set[str]:
        """Give those of `modified` that are unlocked files with their key's own content, which
        git takes for modified because it was not let run the filter."""
        tree, found = self._session.work_tree, set()
        for start in range(0, len(modified), _MANY):
            entries = tree.entries(modified[start : start + _MANY])
            for entry, key in tree.keys_of(iter(entries)):
                if self._has_content_of(tree.full(entry.path), key):
                    found.add(entry.path)
        return found

    def _has_content_of(self, full: str, key: Key) -> bool:
        """Tell whether a file has the content of `key`, or is a pointer to it."""
        if os.path.islink(full) or not os.path.isfile(full):
            return False
        if read_pointer(full) == key:
            return True
        if key.size is not None and os.lstat(full).st_size != key.size:
            return False
        unlocked = self._repository.objects.unlocked
        state = str(InodeCache.of_file(full))
        if unlocked is not None and state in unlocked.keysdb.inode_caches(key):
            return True
        return is_content_of(key, full)

    # What to do with one

    def way_of(self, file: FileToAdd) -> Way | None:
        """Tell what is to be done with a file; None: nothing. Raises ConfigError."""
        status = os.lstat(self._session.work_tree.full(file.path))
        if stat.S_ISLNK(status.st_mode):
            return Way.LINK
        if not stat.S_ISREG(status.st_mode):
            return None
        way = self._way_of_content(file.path, status.st_size)
        config = self._repository.config
        if way is Way.SMALL and not config.get_bool("annex.addsmallfiles", True):
            return None
        return way

    def _way_of_content(self, path: str, size: int) -> Way:
        if self._size is not None:
            return Way.ANNEX if self._size is Size.LARGE else Way.FORCED
        if self._rules.counts_as_dotfile(path):
            return Way.DOTFILE
        if self._force:
            return Way.ANNEX
        return Way.SMALL if self._rules.is_large(path, size) is False else Way.ANNEX

    def annex(self, file: FileToAdd, progress: Callable[[int], None] | None = None) -> Key:
        """Add a file to the annex; give its key. May be called from several threads.

        Raises CannotAdd, ConfigError, InsecureKey: then the file is as it was.
        """
        full = self._session.work_tree.full(file.path)
        unlocked = self._rules.is_added_unlocked(file.path, os.lstat(full).st_size)
        backend = self._rules.backend_for(file.path)
        done = self._ingester.add(file.path, backend, unlocked=unlocked, progress=progress)
        with self._lock:
            self._stager.add(done.staged)
        return done.key

    def add_to_git(self, file: FileToAdd) -> None:
        """Add a file to git as it is, at the end or when many have come together."""
        unlocked = self._repository.objects.unlocked
        full = self._session.work_tree.full(file.path)
        if unlocked is not None and os.path.isfile(full):  # it may have been annexed before
            unlocked.keysdb.forget_inode_cache(str(InodeCache.of_file(full)))
        self._for_git.append(file.path)
        if len(self._for_git) >= _MANY:
            self._flush_git()

    def _flush_git(self) -> None:
        paths, self._for_git = self._for_git, []
        if paths:
            self._repository.git.run(*_NO_FILTER, "add", "-f", "--", *paths)

    # The end

    def flush(self) -> None:
        """Stage what was added so far. Raises GitError."""
        self._stager.flush()
        self._flush_git()

    def __enter__(self) -> Adding:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            self.flush()
        finally:
            self._rules.close()
