"""Adding a file's content to the annex: lock it down, make its key, move or copy it, replace it.

A file that is added locked becomes a symlink to the object, which is the file itself, moved. A
file that is added unlocked stays as it is; the object is a copy of it (with annex.thin another
name of it). Either way the content must not have changed since it was hashed.

Source: on-disk behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.git.copying import copy_file
from shoal.git.inodecache import InodeCache
from shoal.git.keymaking import make_key
from shoal.git.pointers import format_pointer, link_target
from shoal.git.staging import EXECUTABLE, FILE, SYMLINK, Staged

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.key import Key

_EXECUTE = 0o111


class CannotAdd(ShoalError):
    """A file cannot be added to the annex, and stays as it was."""


class ChangedWhileAdded(CannotAdd):
    """A file changed while it was being added."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} changed while it was being added")


@dataclass(frozen=True, slots=True)
class Ingested:
    """A file that was added: its key, and what is to be staged."""

    key: Key
    staged: Staged


class Ingester:
    """Adds files of one work tree. Paths are from its top. Thread-safe."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._objects = repository.objects

    def add(
        self,
        path: str,
        backend: bytes,
        *,
        unlocked: bool,
        old: Key | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Ingested:
        """Add the content of a file, replace the file as needed, and record that it is here.

        `old` is the key that git has for the file so far. Nothing is staged. Raises CannotAdd
        (the file is as before), ConfigError, InsecureKey.
        """
        full = os.path.join(self._repository.path, path)
        if unlocked:
            key = self._add_unlocked(path, full, backend, old, progress)
            staged = pointer_for(key, path, os.stat(full).st_mode)
        else:
            key, target = self._add_locked(path, full, backend, progress)
            staged = Staged(os.fsencode(path), SYMLINK, os.fsencode(target))
        self._record(key)
        return Ingested(key, staged)

    def _record(self, key: Key) -> None:
        """Record that the key is here, unless somebody dropped it at the same time."""
        logs, here = self._repository.logs, self._repository.uuid
        logs.set_location(key, here, True)
        if self._objects.path(key) is None:
            logs.set_location(key, here, False)

    # Locked

    def _add_locked(
        self,
        path: str,
        full: str,
        backend: bytes,
        progress: Callable[[int], None] | None,
    ) -> tuple[Key, str]:
        before = os.lstat(full)
        if not stat.S_ISREG(before.st_mode):
            raise CannotAdd(f"{path} is not a file")
        self._objects.settings.freezer.freeze_file(full)
        original = InodeCache.of_file(full)
        try:
            with self._objects.settings.othertmp.file("ingest") as content:
                _link_or_copy(full, content)
                key = self._hash(path, content, backend, progress)
                self._objects.check_allowed(key)
                if InodeCache.of_file(full) != original:
                    raise ChangedWhileAdded(path)
                self._objects.place(key, content)
        except BaseException:
            _restore_mode(full, before)
            raise
        # Always to where a new object would go, as git-annex makes its links.
        target = link_target(full, self._objects.new_path(key))
        try:
            self._replace_by_link(full, target, before)
        except BaseException:
            self._give_back(full, key, before)
            raise
        return key, target

    def _give_back(self, full: str, key: Key, before: os.stat_result) -> None:
        """Make the file its own again: it is another name of the object now, and who writes
        to it would change that."""
        with suppress(OSError):
            if os.path.samestat(os.lstat(full), before):
                with self._beside(full) as copy:
                    copy_file(self._objects.location(key), copy)
                    os.chmod(copy, stat.S_IMODE(before.st_mode))
                    os.rename(copy, full)

    def _replace_by_link(self, full: str, target: str, before: os.stat_result) -> None:
        with self._beside(full) as link:
            os.symlink(target, link)
            os.utime(link, ns=(before.st_atime_ns, before.st_mtime_ns), follow_symlinks=False)
            os.rename(link, full)

    @contextmanager
    def _beside(self, full: str) -> Iterator[str]:
        """Give a name for a file that is to replace `full` by a rename."""
        with self._objects.settings.othertmp.file("replace") as path:
            here = os.stat(os.path.dirname(path)).st_dev
            if here == os.stat(os.path.dirname(full)).st_dev:
                yield path
                return
        other = f"{full}.{os.getpid()}.annextmp"
        try:
            yield other
        finally:
            with suppress(FileNotFoundError):
                os.unlink(other)

    # Unlocked

    def _add_unlocked(
        self,
        path: str,
        full: str,
        backend: bytes,
        old: Key | None,
        progress: Callable[[int], None] | None,
    ) -> Key:
        original = InodeCache.of_file(full)
        if original is None:
            raise CannotAdd(f"{path} is not a file")
        key = self._hash(path, full, backend, progress)
        self._objects.check_allowed(key)
        if InodeCache.of_file(full) != original:
            raise ChangedWhileAdded(path)
        if old is not None and old != key:
            self._forget_edited(old, full)
        if not self._objects.present(key):
            self._make_object(path, full, key, original)
        self.remember(key, full)
        return key

    def _forget_edited(self, old: Key, full: str) -> None:
        """With annex.thin the file was the object of its `old` key, which is edited now."""
        location = self._objects.path(old)
        if location is None or not os.path.samefile(location, full):
            return
        self._objects.settings.locks.in_thawed_directory(location, lambda: os.unlink(location))
        self._objects.settings.locks.remove_empty_directories(location)
        self._repository.logs.set_location(old, self._repository.uuid, False)

    def _make_object(self, path: str, full: str, key: Key, cache: InodeCache) -> None:
        settings = self._objects.settings
        with settings.othertmp.file("ingest") as content:
            thin = settings.thin and os.stat(full).st_nlink == 1 and _link(full, content)
            if not thin:
                copy_file(full, content)
            if InodeCache.of_file(full) != cache:
                raise ChangedWhileAdded(path)
            mode = stat.S_IMODE(os.stat(full).st_mode)
            self._objects.place(key, content)
        if thin:  # one inode: freezing the object froze the file as well
            os.chmod(full, mode)

    def remember(self, key: Key, full: str) -> None:
        """Tell the real program's database that a file has the content of `key`."""
        unlocked = self._objects.unlocked
        if unlocked is not None:
            files = [os.lstat(full)]
            with suppress(OSError):
                files.append(os.stat(self._objects.location(key)))
            unlocked.remember(key, files)

    def _hash(
        self,
        path: str,
        content: str,
        backend: bytes,
        progress: Callable[[int], None] | None,
    ) -> Key:
        """Make the key of a file that must not change meanwhile."""
        with open(content, "rb", buffering=0) as file:
            before = InodeCache.of(os.fstat(file.fileno()))
            key = make_key(self._repository.config, file.fileno(), path, backend, progress)
            if InodeCache.of(os.fstat(file.fileno())) != before:
                raise ChangedWhileAdded(path)
        return key


def pointer_for(key: Key, path: str, mode: int) -> Staged:
    """Give what is staged for an unlocked file."""
    executable = bool(mode & stat.S_IXUSR)
    return Staged(os.fsencode(path), EXECUTABLE if executable else FILE, format_pointer(key))


def _link(source: str, target: str) -> bool:
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _link_or_copy(full: str, content: str) -> None:
    """Give the file a second name, which is to become the object.

    Whoever deletes or replaces the file meanwhile does not touch that. Where there are no hard
    links (or the work tree is elsewhere) the object becomes a copy.
    """
    if not _link(full, content):
        copy_file(full, content)


def _restore_mode(full: str, before: os.stat_result) -> None:
    with suppress(OSError):
        now = os.lstat(full)
        if os.path.samestat(now, before):
            os.chmod(full, stat.S_IMODE(before.st_mode))
