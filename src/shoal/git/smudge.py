"""What git's filters do with annexed files: clean, smudge, and filling files afterwards.

clean gets what is in the work tree and gives what git is to store: a pointer, if the content
belongs into the annex. smudge gets what git stored; it gives a pointer as it is and notes the
file in ANNEX/smudge.log, since git would hold a large content in memory: update(), which
hooks run after a checkout or merge, fills such files.

Source: git-annex's pages on smudge and annex.largefiles; behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from shoal.git.filerules import FileRules
from shoal.git.indexlookup import IndexLookup
from shoal.git.ingest import Ingester
from shoal.git.inodecache import InodeCache
from shoal.git.keymaking import can_make_keys
from shoal.git.othertmp import write_all
from shoal.git.pointers import MAX_POINTER, AppendedPointer, format_pointer, parse_pointer
from shoal.git.unlocked import same_content
from shoal.values.key import Key

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_PIECE: Final = 1 << 20
ENOUGH: Final = MAX_POINTER + 1
"""How many bytes of a content show whether it is a pointer."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What git is to store: `pointer`, or (None) the content as it is. `warning` is for the
    user."""

    pointer: bytes | None = None
    warning: str = ""


class Smudger:
    """Filters for the files of one work tree. close() it at the end."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._objects = repository.objects
        self._rules = FileRules(repository)
        self._index = IndexLookup(repository)

    def close(self) -> None:
        """End the processes that were asked."""
        self._rules.close()
        self._index.close()

    # Clean

    def clean(self, file: str, start: bytes) -> Cleaned:
        """Decide about a file: `file` as git names it, `start` its first ENOUGH bytes as git
        read them. What is annexed is ingested, from the work tree."""
        path = self._from_top(file)
        if path is None:
            return Cleaned()  # `git diff` filters other files too
        try:
            key = parse_pointer(start)
        except AppendedPointer:
            warning = (
                f"The file {file} looks like git-annex pointer file that has had other content "
                "appended to it"
            )
            return Cleaned(self._clean_content(path), warning)
        if key is None:
            return Cleaned(self._clean_content(path))
        self._catch_up(key, path)
        return Cleaned()

    def _from_top(self, file: str) -> str | None:
        top = os.path.realpath(self._repository.path)
        full = os.path.normpath(os.path.join(top, file))
        directory, name = os.path.split(full)
        path = os.path.relpath(os.path.join(os.path.realpath(directory), name), top)
        outside = path == os.pardir or path.startswith(os.pardir + os.sep)
        return None if outside else path

    def _catch_up(self, key: Key, path: str) -> None:
        """Fill a pointer file whose content is here: a copy of one, or one that was moved
        while the content came."""
        location = self._objects.content_path(key)
        unlocked = self._objects.unlocked
        if location is not None and unlocked is not None:
            with suppress(OSError):
                unlocked.fill_files(key, location, [os.fsencode(path)])

    def _clean_content(self, path: str) -> bytes | None:
        full = os.path.join(self._repository.path, path)
        try:
            status = os.lstat(full)
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        indexed = self._index.find(path)
        old = None if indexed is None else indexed.key
        cache = InodeCache(status.st_ino, status.st_size, status.st_mtime_ns)
        if old is not None and self._is_known(old, full, cache):
            return format_pointer(old)
        if not self._wants(path, full, cache, old, None if indexed is None else indexed.blob):
            return None
        backend = old.backend if old is not None and can_make_keys(old.backend) else None
        chosen = backend or self._rules.backend_for(path)
        ingested = Ingester(self._repository).add(path, chosen, unlocked=True, old=old)
        return ingested.staged.content

    def _is_known(self, key: Key, full: str, cache: InodeCache) -> bool:
        """Tell whether a file has the unmodified content of the key that it had before."""
        unlocked = self._objects.unlocked
        if unlocked is None:
            return False
        if str(cache) in unlocked.keysdb.inode_caches(key):
            return True
        location = self._objects.path(key)
        if location is None or os.stat(location).st_size != cache.size:
            return False
        with open(location, "rb", buffering=0) as content:
            if os.path.samestat(os.fstat(content.fileno()), os.lstat(full)):
                return self._objects.present(key)
            same = same_content(full, content.fileno())
        if same:
            unlocked.remember(key, [os.lstat(full)])
        return same

    def _wants(
        self, path: str, full: str, cache: InodeCache, old: Key | None, blob: bytes | None
    ) -> bool:
        """Tell whether a content that git does not know for this file is to be annexed.

        What is in git stays there while it is unchanged, and what is annexed stays annexed
        unless annex.largefiles says otherwise.
        """
        unlocked = self._objects.unlocked
        if unlocked is not None and unlocked.keysdb.is_known(str(cache)):
            return True
        if old is None and blob is not None and self._index.is_blob(full, cache.size, blob):
            return False
        config = self._repository.config
        if config.get_bool("annex.gitaddtoannex", True) and not self._rules.counts_as_dotfile(path):
            large = self._rules.is_large(path, cache.size)
            if large is not None:
                return large
        return old is not None

    # Smudge

    def smudge(self, file: str, content: bytes) -> None:
        """Note a file that git checks out, when `content` is a pointer."""
        path = self._from_top(file)
        try:
            key = parse_pointer(content[:ENOUGH])
        except AppendedPointer:
            return
        if key is None or path is None or "\n" in path:
            return
        log = SmudgeLog(self._repository)
        log.add(key, os.fsencode(path))


def clean_stream(
    smudger: Smudger,
    file: str,
    source: IO[bytes],
    target: IO[bytes],
    warn: Callable[[str], None],
) -> None:
    """Be git's clean filter for one file: its content comes from `source`, and `target` gets
    what git is to store. The rest of an annexed content is not read."""
    start = source.read(ENOUGH)
    cleaned = smudger.clean(file, start)
    if cleaned.warning:
        warn(cleaned.warning)
    if cleaned.pointer is not None:
        target.write(cleaned.pointer)
        return
    target.write(start)
    while piece := source.read(_PIECE):
        target.write(piece)


def smudge_stream(smudger: Smudger, file: str, source: IO[bytes], target: IO[bytes]) -> None:
    """Be git's smudge filter for one file: its content goes through unchanged."""
    start = source.read(ENOUGH)
    smudger.smudge(file, start)
    target.write(start)
    while piece := source.read(_PIECE):
        target.write(piece)


class SmudgeLog:
    """ANNEX/smudge.log: files that were checked out as pointers, one line `KEY FILE` each."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._path = repository.annex_path("smudge.log")

    def add(self, key: Key, path: bytes) -> None:
        """Note a file, by its path from the work tree's top."""
        repository = self._repository
        with repository.locker.exclusive(repository.lock_path("smudge")):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            fd = os.open(self._path, flags, 0o666)
            try:
                repository.permissions.settle_open(fd)
                write_all(fd, b"%s %s\n" % (bytes(key), path))
            finally:
                os.close(fd)

    def fill(self) -> None:
        """Fill all noted files whose content is here, and forget them.

        What is noted meanwhile stays noted; after a failure all of it does.
        """
        objects = self._repository.objects
        noted = self._read()
        files: dict[Key, list[bytes]] = {}
        for line in noted.split(b"\n"):
            text, _, path = line.partition(b" ")
            with suppress(ValueError):
                files.setdefault(Key.parse(text), []).append(path)
        for key, paths in files.items():
            location = objects.content_path(key)
            if location is not None and objects.unlocked is not None:
                objects.unlocked.fill_files(key, location, paths)
        self._forget(noted)

    def _read(self) -> bytes:
        try:
            with open(self._path, "rb") as log:
                return log.read()
        except FileNotFoundError:
            return b""

    def _forget(self, done: bytes) -> None:
        if not done:
            return
        repository = self._repository
        with repository.locker.exclusive(repository.lock_path("smudge")):
            now = self._read()
            if now.startswith(done):
                repository.othertmp.replace(self._path, now[len(done) :])


def update(repository: Repository) -> None:
    """After a checkout or merge: fill the files that were checked out as pointers."""
    SmudgeLog(repository).fill()
    unlocked = repository.objects.unlocked
    if unlocked is not None:
        unlocked.restage.flush(repository.git)
