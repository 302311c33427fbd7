"""Finding annexed files: what the git index has at the paths that a user gave.

Paths are shown as a user in the current directory would write them, in the order of the words
that they come from. Bytes that are not UTF-8 are surrogates, as everywhere with `os`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.git.pointers import MAX_POINTER, pointed_key
from shoal.git.process import GitError

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.key import Key

_SYMLINK = b"120000"
_REGULAR = (b"100644", b"100755")
_BATCH = 2000  # files looked up at once


class UnknownPath(ShoalError):
    """A path that git does not know. The other paths of the command may be fine."""


class NoWorkTree(ShoalError):
    """The repository is bare."""

    def __init__(self) -> None:
        super().__init__("You cannot run this command in a bare repository.")


@dataclass(frozen=True, slots=True)
class AnnexedFile:
    """A file of the index that stands for a key's content."""

    path: str  # from the top of the work tree
    shown: str  # from the current directory
    given: str  # the word of the command line that it comes from, "" when there is none
    key: Key
    locked: bool  # a symlink in git


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A file of the index."""

    path: str
    mode: bytes
    sha: bytes


class WorkTree:
    """The work tree of a repository, seen from the current directory."""

    def __init__(self, repository: Repository, cwd: str | None = None) -> None:
        """Raises NoWorkTree when the repository is bare."""
        if repository.work_tree is None:
            raise NoWorkTree
        self._repository = repository
        self.top = repository.work_tree
        self._cwd = os.path.realpath(cwd or os.getcwd())
        self._real_top = os.path.realpath(self.top)

    def path_of(self, word: str) -> str:
        """Give the path from the top of what a user calls `word`.

        Raises UnknownPath when it is outside.
        """
        if not word:
            raise UnknownPath(
                "fatal: empty string is not a valid pathspec. "
                "please use . instead if you meant to match all paths"
            )
        full = os.path.normpath(os.path.join(self._cwd, word))
        head, tail = os.path.split(full)
        for candidate in (full, os.path.join(os.path.realpath(head), tail)):
            path = os.path.relpath(candidate, self._real_top)
            if path != os.pardir and not path.startswith(os.pardir + os.sep):
                return path
        raise UnknownPath(f"fatal: {word}: '{word}' is outside repository at '{self.top}'")

    def shown(self, path: str) -> str:
        """Give how a user here writes the path `path` from the top."""
        if self._cwd == self._real_top:
            return path
        return os.path.relpath(os.path.join(self._real_top, path), self._cwd)

    def full(self, path: str) -> str:
        """Give the absolute path of `path` from the top."""
        return os.path.join(self.top, path)

    def annexed(
        self, words: Sequence[str], complain: Callable[[str], None]
    ) -> Iterator[AnnexedFile]:
        """Give the annexed files at and below the paths `words`, by default all below the
        current directory.

        `complain` gets one message about all words that git does not know.
        """
        for word, entries in self._of_words(words, complain):
            for entry, key in self.keys_of(iter(entries)):
                locked = entry.mode == _SYMLINK
                yield AnnexedFile(entry.path, self.shown(entry.path), word, key, locked)

    def lookup(self, word: str) -> AnnexedFile | None:
        """Give the annexed file called `word`; None when git knows none there."""
        try:
            path = self.path_of(word)
        except UnknownPath:
            return None
        for entry, key in self.keys_of(iter(self.entries([path]))):
            if entry.path == path:
                return AnnexedFile(path, self.shown(path), word, key, entry.mode == _SYMLINK)
        return None

    def entries(self, paths: Sequence[str]) -> list[IndexEntry]:
        """Give the files of the index at and below `paths`, in git's order."""
        listed = self._repository.git.run("ls-files", "-s", "-z", "--", *paths)
        return [index_entry(line) for line in listed.split(b"\0") if line]

    def keys_of(self, entries: Iterator[IndexEntry]) -> Iterator[tuple[IndexEntry, Key]]:
        """Give those `entries` that are annexed, with their keys."""
        while batch := list(islice(entries, _BATCH)):
            small = self._small(batch)
            names = [entry.sha for entry in small]
            for entry, blob in zip(small, self._repository.cat_file.read_many(names), strict=True):
                key = pointed_key(blob.content) if blob is not None else None
                if key is not None:
                    yield entry, key

    def _small(self, entries: list[IndexEntry]) -> list[IndexEntry]:
        """Leave out what is no symlink and too large for a pointer file."""
        regular = [entry for entry in entries if entry.mode in _REGULAR]
        if not regular:
            return [entry for entry in entries if entry.mode == _SYMLINK]
        asked = b"".join(entry.sha + b"\n" for entry in regular)
        answers = self._repository.git.run(
            "cat-file", "--batch-check=%(objectsize)", "--buffer", data=asked
        ).split(b"\n")
        sizes = dict(zip((entry.sha for entry in regular), answers, strict=False))
        return [
            entry
            for entry in entries
            if entry.mode == _SYMLINK
            or (sizes.get(entry.sha, b"").isdigit() and int(sizes[entry.sha]) <= MAX_POINTER)
        ]

    def _of_words(
        self, words: Sequence[str], complain: Callable[[str], None]
    ) -> list[tuple[str, list[IndexEntry]]]:
        """Give for each word the files there that no earlier word gave."""
        try:
            paths = [self.path_of(word) for word in words or [os.curdir]]
            entries = self.entries(paths)
        except (UnknownPath, GitError) as error:
            complain(error.stderr.strip() if isinstance(error, GitError) else str(error))
            return []
        known: dict[str, IndexEntry] = {}
        for entry in entries:
            known.setdefault(entry.path, entry)  # what follows are other stages of a conflict
        if not words:
            return [("", list(known.values()))]
        chosen = by_place(known, paths)
        unknown = [word for word, path in zip(words, paths, strict=True) if path not in chosen]
        if unknown:
            lines = (
                f"error: pathspec '{word}' did not match any file(s) known to git\n"
                for word in unknown
            )
            complain("".join(lines) + "Did you forget to 'git add'?")
        return [
            (word, [known[file] for file in chosen.pop(path)])
            for word, path in zip(words, paths, strict=True)
            if path in chosen
        ]


def index_entry(line: bytes) -> IndexEntry:
    """Read one entry of `git ls-files -s -z`: `MODE SHA STAGE TAB PATH`."""
    about, _, path = line.partition(b"\t")
    mode, sha, _ = about.split(b" ")
    return IndexEntry(os.fsdecode(path), mode, sha)


def by_place(paths: Iterable[str], places: Sequence[str]) -> dict[str, list[str]]:
    """Give each of `paths` to the first of `places` that it is at or below.

    Both are counted from the top. A place with no file at or below it is not in the result; one
    whose files are all given to earlier places is.
    """
    order = {place: number for number, place in reversed(list(enumerate(places)))}
    chosen: dict[str, list[str]] = {}
    for path in paths:
        wanted = [above for above in _above(path) if above in order]
        for place in wanted:
            chosen.setdefault(place, [])
        if wanted:
            chosen[min(wanted, key=order.__getitem__)].append(path)
    return chosen


def _above(path: str) -> Iterator[str]:
    """Give `path`, the directories it is in, and the top."""
    yield path
    while (path := os.path.dirname(path)) != "":
        yield path
    yield os.curdir
