"""The object store of one repository: where contents are, whether they are, and who may
change that.

    ANNEX/objects/HASHDIR/K/K     a content; its existence is its presence
    ANNEX/tmp/K                   a content being received
    ANNEX/bad/K                   a content that fsck found wrong

A content becomes visible by one rename, whole and verified. It is removed only under its
content lock. Other processes, of the real git-annex too, do the same here at the same time.

Source: on-disk behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from shoal.errors import ContentLocked, ShoalError
from shoal.git.contentlock import ContentLock, Promises, SharedLock
from shoal.git.objectsettings import ObjectSettings
from shoal.git.removal import Removal
from shoal.git.transfers import TransferLog
from shoal.git.waiting import about_to_wait
from shoal.values.backend import is_secure_key
from shoal.values.key import Key
from shoal.values.keypath import hash_dir_lower, hash_dir_mixed, key_file, parse_key_file

if TYPE_CHECKING:
    from shoal.git.receive import Receiving
    from shoal.git.repository import Repository
    from shoal.git.unlocked import UnlockedFiles
    from shoal.values.uuid import UUID

_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_WAITS: Final = 50
_WAIT_SECONDS: Final = 0.1
_ATTEMPTS: Final = 10  # to place an object while others remove empty directories


class ContentAbsent(ShoalError):
    """The repository does not have the content that was to be locked."""

    def __init__(self) -> None:
        super().__init__("failed to lock content: not present")


class InsecureKey(ShoalError):
    """annex.securehashesonly keeps keys with weak hashes, or with none, out."""

    def __init__(self, key: Key) -> None:
        backend = key.backend.decode("utf-8", "replace")
        super().__init__(f"annex.securehashesonly blocked transfer of {backend} key")


class ObjectStore:
    """The objects of one repository. Thread-safe; all calls may block on the disk.

    Methods raise OSError when the disk does not answer as it should: only a missing file
    reads as an absent content.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._objects_dir = repository.annex_path("objects")
        self._promises = Promises()
        self._settings = self._new_settings()
        self._verified: dict[Key, tuple[int, ...]] = {}

    @property
    def settings(self) -> ObjectSettings:
        """What the configuration says now."""
        settings = self._settings
        repository = self._repository
        if (
            settings.generation != repository.config.generation
            or settings.locker is not repository.locker
        ):
            settings = self._settings = self._new_settings()
        return settings

    def _new_settings(self) -> ObjectSettings:
        repository = self._repository
        generation = repository.config.generation
        return ObjectSettings(repository, repository.locker, generation, self._promises)

    @property
    def transfers(self) -> TransferLog:
        """Transfers under way, and failed ones."""
        return self.settings.transfers

    @property
    def unlocked(self) -> UnlockedFiles | None:
        """The unlocked files of the work tree; None when the repository is bare."""
        return self.settings.unlocked

    # Where, and whether

    def candidates(self, key: Key) -> Iterator[str]:
        """Give the paths where the object may be, one after the other."""
        settings = self.settings
        for lower in settings.orders:
            yield f"{self._objects_dir}/{_object_file(key, lower, settings.levels)}"

    def new_path(self, key: Key) -> str:
        """Give where a new object goes: the first of candidates()."""
        return next(self.candidates(key))

    def path(self, key: Key) -> str | None:
        """Give where the object is, None when there is none.

        It exists; with annex.thin ask present() whether it still is the key's content.
        """
        return _first_there(self.candidates(key))

    def location(self, key: Key) -> str:
        """Give where the object is, or where it would be stored."""
        return self.path(key) or self.new_path(key)

    def present(self, key: Key) -> bool:
        """Tell whether the content is here and, with annex.thin, unmodified."""
        return self.content_path(key) is not None

    def content_path(self, key: Key) -> str | None:
        """Give the path of the content, None when it is not here or, with annex.thin, was
        modified."""
        path = self.path(key)
        if path is None or not self.settings.thin or self._is_unmodified(key, path):
            return path
        return None

    def _is_unmodified(self, key: Key, path: str) -> bool:
        """With annex.thin an object may be the same file as an unlocked one, and be edited."""
        from shoal.git.inodecache import InodeCache
        from shoal.git.unlocked import is_content_of

        about_to_wait()
        status = os.stat(path)
        if status.st_nlink == 1 and not status.st_mode & 0o222:
            return True
        state = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if self._verified.get(key) == state:
            return True
        unlocked = self.unlocked
        known = unlocked is not None and str(InodeCache.of(status)) in (
            unlocked.keysdb.inode_caches(key)
        )
        if known or is_content_of(key, path):
            self._verified[key] = state
            return True
        return False

    def temp_path(self, key: Key) -> str:
        """Give where the content is gathered while it is received."""
        return self._repository.annex_path("tmp", key_file(key))

    def keys(self) -> Iterator[Key]:
        """Give the keys of all objects, in no order; those that come meanwhile perhaps."""
        for directory in _directories(self._objects_dir, self.settings.levels):
            name = os.path.basename(directory)
            if os.path.exists(os.path.join(directory, name)):
                with suppress(ValueError):
                    yield parse_key_file(os.fsencode(name))

    # Receiving

    def receive(
        self,
        key: Key,
        source: UUID,
        file: str = "",
        *,
        size: int | None = None,
        briefly: bool = False,
    ) -> Receiving:
        """Begin to receive `key` from `source`, as the only one who does.

        `size` in bytes is for a key that does not say its own; `briefly`: it is all there, and
        will be stored before anybody could look how far that has come. Raises InsecureKey,
        NotEnoughSpace, TransferInProgress.
        """
        from shoal.git.diskreserve import check_reserve  # only those who receive need it
        from shoal.git.receive import Receiving

        self.check_allowed(key)
        transfer = self.transfers.begin_download(key, source, file, briefly=briefly)
        try:
            here = 0 if briefly else _size_of(self.temp_path(key))
            reserve = self.settings.reserve
            if reserve is not None:
                sized = key if key.size is not None else Key(key.backend, key.name, size)
                annex_dir = self._repository.annex_dir
                check_reserve(sized, annex_dir, reserve, self.transfers, here_already=here)
            return Receiving(self, self._repository, key, transfer, here)
        except BaseException:
            transfer.end(failed=None)
            raise

    def check_allowed(self, key: Key) -> None:
        """Raise InsecureKey when annex.securehashesonly keeps this key out."""
        if self.settings.secure_only and not is_secure_key(key, self.equivalents(key)):
            raise InsecureKey(key)

    def equivalents(self, key: Key) -> list[Key]:
        """Give the hash keys that a VURL key is known to stand for; none for other keys."""
        if key.backend != b"VURL":
            return []
        from shoal.logs import equivalent

        path = equivalent.path(key, self._repository.branch_hash_levels)
        return equivalent.parse(self._repository.branch.read(path))

    def place(self, key: Key, source: str) -> bool:
        """Make the verified file `source`, on the same file system, the object of `key`.

        When there is an object already it stays, and `source` is deleted: then this is False.
        Unlocked files of the key are filled. Raises ContentLocked when the present object is
        being removed, and that does not end soon.
        """
        self.check_allowed(key)
        path, *others = self.candidates(key)
        directory = os.path.dirname(path)
        is_new = self._make_directory(directory)  # then nothing is in it
        if self._is_kept(others if is_new else [path, *others]):
            self.settings.locks.remove_empty_directories(path)
            os.unlink(source)
            return False
        freezer = self.settings.freezer
        freezer.freeze_mode(source)
        for attempt in range(_ATTEMPTS):
            try:
                if not is_new:
                    freezer.thaw_directory(directory)
                os.rename(source, path)
                break
            except (FileNotFoundError, PermissionError):
                # Somebody removed the still empty directory, or froze it, just now.
                if attempt == _ATTEMPTS - 1 or not os.path.exists(source):
                    raise
                is_new = self._make_directory(directory)
        freezer.after_freezing(path)
        if self.unlocked is not None:
            # Content that cannot be put there is still content: `git annex fix` does it later.
            with suppress(OSError, ShoalError):
                self.unlocked.fill(key, path)
        freezer.freeze_directory(directory)
        if self.settings.sync:
            _sync_directories(directory, self.settings.levels + 1)
        return True

    def _make_directory(self, directory: str) -> bool:
        """Make a key's directory; tell whether it was missing. The one above is, most often."""
        self._repository.make_directory(os.path.dirname(directory))
        return self._repository.make_directory(directory)

    def _is_kept(self, paths: Sequence[str]) -> bool:
        """Tell whether at one of the paths is an object that nobody is removing just now."""
        for _ in range(_WAITS):
            path = _first_there(paths)
            if path is None:
                return False
            if not self.settings.locks.is_being_removed(path):
                return True
            about_to_wait()
            time.sleep(_WAIT_SECONDS)
        raise ContentLocked

    # Locking and removing

    def lock_shared(self, key: Key, retention: float | None = None) -> SharedLock:
        """Promise that the content stays; `retention` as in ContentLocks.shared().

        Raises ContentAbsent, or ContentLocked when it is being removed.
        """
        try:
            lock = self.settings.locks.shared(self.location(key), retention)
        except OSError as error:
            if error.errno in _ABSENT:
                raise ContentAbsent from error
            raise
        try:
            present = self.present(key)
        except BaseException:
            lock.release()
            raise
        if not present:
            lock.release()
            raise ContentAbsent
        return lock

    def lock_removal(self, key: Key) -> Removal:
        """Take the right to remove the content: use it as a `with` block.

        Raises ContentLocked when somebody promised to keep it; ContentAbsent when there is
        nothing to remove.
        """
        path = self.path(key)
        if path is None:
            raise ContentAbsent
        try:
            lock: ContentLock = self.settings.locks.for_removal(path)
        except OSError as error:
            if error.errno in _ABSENT:
                raise ContentAbsent from error
            raise
        return Removal(self, self._repository, key, lock)

    def is_being_removed(self, key: Key) -> bool:
        """Tell whether somebody holds the right to remove the content."""
        return self.settings.locks.is_being_removed(self.location(key))

    def move_bad(self, key: Key) -> str:
        """Take a content that is not the key's out of view, to ANNEX/bad; give its new path.

        Raises ContentAbsent. The caller records that the key is no longer here.
        """
        path = self.path(key)
        if path is None:
            raise ContentAbsent
        target = self._repository.annex_path("bad", os.path.basename(path))
        self._repository.make_directory(os.path.dirname(target))
        locks = self.settings.locks
        if self.settings.freezer.thawing_does_more:
            self.settings.freezer.thaw_file(path)
        locks.in_thawed_directory(path, lambda: os.rename(path, target))
        locks.remove_empty_directories(path)
        return target


@lru_cache(maxsize=1024)  # each request asks several times for the same key
def _object_file(key: Key, lower: bool, levels: int) -> str:
    """Give the path of an object below the directory of all objects."""
    name = key_file(key)
    hash_dir = hash_dir_lower(key, levels) if lower else hash_dir_mixed(key, levels)
    return f"{hash_dir}{name}/{name}"


def _first_there(paths: Iterable[str]) -> str | None:
    """Give the first of the paths where something is, None when all are known to be free."""
    for path in paths:
        try:
            os.stat(path)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
        else:
            return path
    return None


def _size_of(path: str) -> int:
    """Give the size of a partial file; 0 when there is none."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _directories(top: str, depth: int) -> Iterator[str]:
    """Give the directories `depth` + 1 levels below `top`."""
    try:
        with os.scandir(top) as found:
            below = [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return
    for directory in below:
        if depth == 0:
            yield directory
        else:
            yield from _directories(directory, depth - 1)


def _sync_directories(directory: str, count: int) -> None:
    """Let the disk have the names in a directory and in those above it."""
    for _ in range(count):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        directory = os.path.dirname(directory)
