"""Unlocked files: filling them when their key's content comes, emptying them when it goes.

git knows an unlocked file as a pointer file. In the work tree it is that pointer, or the
content; when content comes or goes, shoal changes one into the other, as git-annex does, and
tells the git index, so that `git status` stays clean.

The files of a key are found in the git index by the id of its pointer's blob, so no database
is needed. (A pointer with additional lines has another blob and is not found; `git annex
fsck` and `git annex get` mend such files.)
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.git.copying import copy_file
from shoal.git.diskreserve import free_bytes
from shoal.git.freezing import Freezer
from shoal.git.gitindex import GitIndex, IndexEntry, IndexUnreadable
from shoal.git.inodecache import InodeCache
from shoal.git.othertmp import OtherTmp, write_file
from shoal.git.permissions import Permissions
from shoal.git.pointers import blob_id, format_pointer, read_pointer
from shoal.git.restage import RestageLog
from shoal.values.backend import checksum_in, verifier
from shoal.values.key import Key

if TYPE_CHECKING:
    from shoal.db.keysdb import KeysDb
    from shoal.git.process import Git

_EXECUTE = 0o111


@dataclass(frozen=True, slots=True)
class UnlockedFiles:
    """The unlocked files of one work tree. Thread-safe.

    `thin`: fill files by hard links where possible (annex.thin). `reserve` is what must stay
    free on disk, in bytes; None: nobody looks.
    """

    work_tree: str
    git: Git
    index: GitIndex
    restage: RestageLog
    keysdb: KeysDb
    othertmp: OtherTmp
    freezer: Freezer
    permissions: Permissions
    reserve: int | None
    thin: bool = False

    def entries(self, key: Key) -> list[IndexEntry]:
        """Give the index's unlocked files of `key`."""
        blob = blob_id(format_pointer(key), self.index.algorithm)
        try:
            return self.index.entries_of(blob)
        except IndexUnreadable:
            return self._entries_by_git(blob)

    def _entries_by_git(self, blob: bytes) -> list[IndexEntry]:
        wanted = blob.hex().encode()
        listed = self.git.run("ls-files", "--stage", "-z").split(b"\0")
        entries = []
        for line in listed:
            meta, _, path = line.partition(b"\t")
            words = meta.split()
            if len(words) == 3 and words[1] == wanted and words[2] == b"0":
                entry = IndexEntry(path, blob, int(words[0], 8), 0, -1, (0,) * 10)
                entries += [entry] if entry.is_regular else []
        return entries

    def fill(self, key: Key, object_path: str) -> None:
        """Put the content of `key` into every unlocked file of it that is a pointer."""
        self.fill_files(key, object_path, [entry.path for entry in self.entries(key)])

    def remember(self, key: Key, files: Iterable[os.stat_result]) -> None:
        """Tell the real program's database that files have the content of `key`."""
        self.keysdb.add_inode_caches(key, [_row(status) for status in files])

    def fill_files(self, key: Key, object_path: str, files: Iterable[bytes]) -> None:
        """As fill(), for given files (from the top), whatever git knows of them."""
        filled: dict[bytes, os.stat_result] = {}
        for file in files:
            path = self._safe_path(file)
            if path is not None and read_pointer(path) == key:
                status = self._fill(object_path, path)
                if status is not None:
                    filled[file] = status
        if filled:
            self.remember(key, [*filled.values(), os.stat(object_path)])
            self._tell_git(key, filled)

    def find_unmodified(self, key: Key, content: int) -> dict[IndexEntry, InodeCache]:
        """Give the unlocked files that have the content of `key`, and their state now.

        `content` is the object, open for reading. Ask while the object is still whole.
        """
        found: dict[IndexEntry, InodeCache] = {}
        for entry in self.entries(key):
            path = self._safe_path(entry.path)
            cache = None if path is None else self._unmodified(key, entry, path, content)
            if cache is not None:
                found[entry] = cache
            elif self.thin and path is not None:
                with suppress(OSError):  # it may share the object's frozen inode
                    if stat.S_ISREG(os.lstat(path).st_mode):
                        self.freezer.thaw_file(path)
        return found

    def empty(
        self, key: Key, files: Mapping[IndexEntry, InodeCache], erase: Callable[[str], None]
    ) -> None:
        """Put the pointer into `files`, which find_unmodified() gave, once the object is gone.

        One that changed since is left alone, as git-annex leaves modified files. `erase` is
        called with each before its content goes.
        """
        emptied: dict[bytes, os.stat_result] = {}
        for entry, cache in files.items():
            path = os.path.join(self.work_tree, os.fsdecode(entry.path))
            if InodeCache.of_file(path) == cache:
                with suppress(OSError):  # a work tree that cannot be written is not our loss
                    emptied[entry.path] = self._empty(key, path, erase)
        self.keysdb.forget_inode_caches(key)
        if emptied:
            self._tell_git(key, emptied)

    def _tell_git(self, key: Key, files: dict[bytes, os.stat_result]) -> None:
        blob = blob_id(format_pointer(key), self.index.algorithm)
        done = self.index.restamp({path: (blob, status) for path, status in files.items()})
        left = {path: status for path, status in files.items() if path not in done}
        if left:
            self.restage.add(left)

    def _safe_path(self, file: bytes) -> str | None:
        """Give the absolute path, None when a symlink leads out of the work tree."""
        path = os.path.join(self.work_tree, os.fsdecode(file))
        directory = os.path.dirname(path)
        expected = os.path.join(
            os.path.realpath(self.work_tree), os.path.dirname(os.fsdecode(file))
        )
        return path if os.path.realpath(directory) == expected.rstrip("/") else None

    def _fill(self, object_path: str, path: str) -> os.stat_result | None:
        """Replace a pointer by the content; None when there is no room for a copy."""
        mode = stat.S_IMODE(os.stat(path).st_mode)
        with self.othertmp.file("unlocked") as temporary:
            if not (self.thin and self._link(object_path, temporary)):
                size = os.stat(object_path).st_size
                reserve = self.reserve
                if reserve is not None and free_bytes(self.work_tree) - size < reserve:
                    return None
                copy_file(object_path, temporary)
            now = stat.S_IMODE(os.stat(temporary).st_mode)
            executable = now | (now & 0o444) >> 2 if mode & _EXECUTE else now & ~_EXECUTE
            if now != executable | stat.S_IWUSR:
                os.chmod(temporary, executable | stat.S_IWUSR)
            return self._replace(temporary, path)

    def _link(self, object_path: str, temporary: str) -> bool:
        """Make a hard link, unless the object has one already that could change it."""
        try:
            if os.stat(object_path).st_nlink > 1:
                return False
            os.link(object_path, temporary)
        except OSError:
            return False
        self.freezer.thaw_file(temporary)
        return True

    def _empty(self, key: Key, path: str, erase: Callable[[str], None]) -> os.stat_result:
        status = os.lstat(path)
        erase(path)
        with self.othertmp.file("unlocked") as temporary:
            write_file(self.permissions, temporary, format_pointer(key))
            os.chmod(temporary, stat.S_IMODE(status.st_mode) | stat.S_IWUSR)
            # An unchanged time keeps git (and build tools) from looking at it once more.
            os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
            return self._replace(temporary, path)

    def _replace(self, temporary: str, path: str) -> os.stat_result:
        try:
            os.rename(temporary, path)
        except OSError:
            if os.stat(temporary).st_dev == os.stat(os.path.dirname(path)).st_dev:
                raise
            self._replace_across(temporary, path)
        return os.lstat(path)

    def _replace_across(self, temporary: str, path: str) -> None:
        """As a rename, when the work tree is on another file system than the annex."""
        beside = f"{path}.{os.getpid()}.annextmp"
        try:
            copy_file(temporary, beside)
            os.chmod(beside, stat.S_IMODE(os.stat(temporary).st_mode))
            os.rename(beside, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(beside)

    # Is a file the content, as it was?

    def _unmodified(
        self, key: Key, entry: IndexEntry, path: str, content: int
    ) -> InodeCache | None:
        """Give the state of a file that has the content, None of one that has not."""
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        cache = InodeCache.of(status)
        if cache is None or cache.size != os.fstat(content).st_size:
            return None
        if entry.position >= 0 and entry.matches(status, self.index.mtime()):
            return cache if read_pointer(path) != key else None
        if str(cache) in self.keysdb.inode_caches(key):
            return cache
        if os.path.samestat(status, os.fstat(content)):  # thin: it is the object itself
            return cache if is_content_of(key, path) else None
        return cache if same_content(path, content) else None


def is_content_of(key: Key, path: str) -> bool:
    """Tell whether a file has the content of `key`, by its hash: never true without one."""
    verifying = verifier(key)
    if verifying is None or checksum_in(key) is None:
        return False
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(1 << 20):
            verifying.update(chunk)
    return verifying.matches()


def same_content(path: str, content: int) -> bool:
    """Compare a file with an open one of the same size."""
    with open(path, "rb", buffering=0) as file:
        position = 0
        while True:
            here = os.pread(content, 1 << 20, position)
            if file.read(len(here) or 1) != here:
                return False
            if not here:
                return True
            position += len(here)


def _row(status: os.stat_result) -> tuple[str, int, int]:
    cache = InodeCache(status.st_ino, status.st_size, status.st_mtime_ns)
    return str(cache), status.st_size, int(status.st_mtime)
