"""The git index, read and touched directly where asking git would cost too much.

Two things are done here: finding the entries of a blob, and telling the index that a file in
the work tree, which git-annex just filled or emptied, is what the index says it is. git itself
would run the clean filter for that, which reads the whole file.

Source: git's gitformat-index(5), versions 2 to 4.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from shoal.git.permissions import Permissions
from shoal.git.pointers import blob_id

_HEADER: Final = struct.Struct(">4sII")
_STAT: Final = struct.Struct(">10I")  # ctime, ns, mtime, ns, device, inode, mode, uid, gid, size
_EXTENDED: Final = 0x4000
_STAGE: Final = 0x3000
_FILE_TYPE: Final = 0o170000
_REGULAR: Final = 0o100000
_LOOKED_AT: Final = 1 << 20  # bytes; the content of a larger file is not compared
_WORD: Final = 0xFFFFFFFF

Buffer = bytes | mmap.mmap


class IndexUnreadable(ValueError):
    """The index has a form that is not read here: ask git."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One file in the index. `position` is where its stat data are in the index file."""

    path: bytes  # from the work tree's top
    blob: bytes  # binary id
    mode: int
    stage: int  # 0 unless there is a merge conflict
    position: int
    status: tuple[int, ...]  # as in _STAT

    @property
    def is_regular(self) -> bool:
        """Whether it is a plain file, not a symlink or a submodule."""
        return self.mode & _FILE_TYPE == _REGULAR

    def matches(self, status: os.stat_result, index_mtime: int) -> bool:
        """Tell whether a file's state shows that it is unchanged since git looked at it.

        A file that changed in the same second as the index (`index_mtime`, in seconds) may
        have changed once more since then, so nothing is known of it.
        """
        seen = self.status
        return seen == _packed(status, seen[6]) and seen[2] < index_mtime


def _packed(status: os.stat_result, mode: int) -> tuple[int, ...]:
    ctime, ctime_ns = divmod(status.st_ctime_ns, 1_000_000_000)
    mtime, mtime_ns = divmod(status.st_mtime_ns, 1_000_000_000)
    place = (status.st_dev, status.st_ino, mode, status.st_uid, status.st_gid, status.st_size)
    return tuple(word & _WORD for word in (ctime, ctime_ns, mtime, mtime_ns, *place))


def iter_entries(data: Buffer, hash_size: int = 20) -> Iterator[IndexEntry]:
    """Give the entries of an index file. Raises IndexUnreadable."""
    if len(data) < _HEADER.size + hash_size:
        raise IndexUnreadable("the git index is too short")
    signature, version, count = _HEADER.unpack_from(data)
    if signature != b"DIRC" or version not in {2, 3, 4}:
        raise IndexUnreadable(f"a git index of version {version}")
    position = _HEADER.size
    path = b""
    try:
        for _ in range(count):
            status = _STAT.unpack_from(data, position)
            blob_at = position + _STAT.size
            (flags,) = struct.unpack_from(">H", data, blob_at + hash_size)
            name_at = blob_at + hash_size + (4 if flags & _EXTENDED else 2)
            if version == 4:
                strip, name_at = _varint(data, name_at)
                end = _find_nul(data, name_at)
                path = path[: len(path) - strip] + data[name_at:end]
                following = end + 1
            else:
                end = _find_nul(data, name_at)
                path = data[name_at:end]
                following = position + ((end - position) // 8 + 1) * 8
            blob = data[blob_at : blob_at + hash_size]
            stage = (flags & _STAGE) >> 12
            yield IndexEntry(path, blob, status[6], stage, position, status)
            position = following
    except (struct.error, IndexError) as error:
        raise IndexUnreadable("the git index is cut off") from error


def _find_nul(data: Buffer, start: int) -> int:
    end = data.find(b"\0", start)
    if end < 0:
        raise IndexUnreadable("the git index is cut off")
    return end


def _varint(data: Buffer, position: int) -> tuple[int, int]:
    byte = data[position]
    value = byte & 0x7F
    while byte & 0x80:
        position += 1
        byte = data[position]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, position + 1


class GitIndex:
    """The index of one work tree, read anew at each question."""

    def __init__(
        self, git_dir: str, work_tree: str, permissions: Permissions, algorithm: str = "sha1"
    ) -> None:
        self._git_dir = git_dir
        self._work_tree = work_tree
        self._path = os.path.join(git_dir, "index")
        self._permissions = permissions
        self.algorithm = algorithm
        self._hash_size = hashlib.new(algorithm, usedforsecurity=False).digest_size

    def mtime(self) -> int:
        """Give when the index was last written, in whole seconds; 0 when there is none."""
        try:
            return int(os.stat(self._path).st_mtime)
        except FileNotFoundError:
            return 0

    def entries_of(self, blob: bytes) -> list[IndexEntry]:
        """Give the regular files that have the blob `blob`, those in conflict left out.

        Raises IndexUnreadable; a repository with no index has no files.
        """
        if self._is_split():
            raise IndexUnreadable("a split git index")
        try:
            with open(self._path, "rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (FileNotFoundError, ValueError):  # none, or nothing in it
            return []
        with data:
            if data.find(blob) < 0:  # nearly always: nothing needs to be parsed
                return []
            return [
                entry
                for entry in iter_entries(data, self._hash_size)
                if entry.blob == blob and entry.is_regular and entry.stage == 0
            ]

    def restamp(self, files: Mapping[bytes, tuple[bytes, os.stat_result]]) -> set[bytes]:
        """Record that files are what the index says they are, as of a given state.

        `files` gives, by path from the top, the blob that the file stands for and its state.
        An entry with another blob is left alone. Gives the paths that are done; none when
        somebody else is changing the index, or when it is of a form that is not written here.
        """
        lock = f"{self._path}.lock"
        try:
            fd = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError:
            return set()
        placed = False
        try:
            with open(fd, "wb") as new:
                done, content = self._restamped(files)
                if done:
                    self._permissions.settle_open(fd)
                    new.write(content)
            if done:
                os.rename(lock, self._path)
                placed = True
            return done
        except (IndexUnreadable, FileNotFoundError):
            return set()
        finally:
            if not placed:
                with suppress(FileNotFoundError):
                    os.unlink(lock)

    def _restamped(
        self, files: Mapping[bytes, tuple[bytes, os.stat_result]]
    ) -> tuple[set[bytes], bytes]:
        if self._is_split():
            raise IndexUnreadable("a split git index")
        with open(self._path, "rb") as file:
            old = file.read()
            written = int(os.fstat(file.fileno()).st_mtime)
        body, trailer = old[: -self._hash_size], old[-self._hash_size :]
        unhashed = not any(trailer)  # index.skipHash
        if not unhashed and self._hash(body) != trailer:
            raise IndexUnreadable("the git index is damaged")
        new = bytearray(body)
        done = set()
        for entry in iter_entries(old, self._hash_size):
            wanted = files.get(entry.path)
            if wanted is not None and entry.stage == 0 and entry.blob == wanted[0]:
                _STAT.pack_into(new, entry.position, *_packed(wanted[1], entry.mode))
                done.add(entry.path)
            elif entry.status[2] >= written and not self._is_surely_clean(entry):
                # It may have changed after git looked, within the same second. A newer index
                # would hide that; without a size git looks again (as git itself does it).
                struct.pack_into(">I", new, entry.position + _STAT.size - 4, 0)
        return done, bytes(new) + (trailer if unhashed else self._hash(new))

    def _is_surely_clean(self, entry: IndexEntry) -> bool:
        """Tell whether a file shows its blob as it is (or shows by itself that it changed)."""
        path = os.path.join(self._work_tree, os.fsdecode(entry.path))
        try:
            status = os.lstat(path)
            changed = (int(status.st_mtime) & _WORD, status.st_size & _WORD)
            if changed != (entry.status[2], entry.status[9]) or stat.S_ISDIR(status.st_mode):
                return True  # whatever git is configured to compare, it sees that
            if stat.S_ISLNK(status.st_mode):
                content = os.fsencode(os.readlink(path))
            elif status.st_size > _LOOKED_AT:
                return False
            else:
                with open(path, "rb") as file:
                    content = file.read()
        except OSError:
            return True
        return blob_id(content, self.algorithm) == entry.blob

    def _hash(self, data: bytes | bytearray) -> bytes:
        return hashlib.new(self.algorithm, data, usedforsecurity=False).digest()

    def _is_split(self) -> bool:
        with os.scandir(self._git_dir) as found:
            return any(entry.name.startswith("sharedindex.") for entry in found)
