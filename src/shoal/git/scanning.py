"""Reading many files of a commit: streams from git to git, and single files by tree.

A whole branch goes from `ls-tree -r` through `cat-file --batch --buffer`, so that it takes
little memory and git never waits for us.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Protocol

from shoal.git.process import Git, GitError, GitObject

_CHUNK = 1 << 18  # bytes
_OFTEN = 8  # lookups in one commit after which its top tree is worth keeping
_TREE = b"40000"


def scan_tree(
    git: Git, commit: str, wanted: Callable[[str], bool] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Give path and content of every file in `commit`, or of those with a `wanted` path."""
    listing = git.start("ls-tree", "-r", "-z", commit)
    reading = git.start(
        "cat-file", "--buffer", "--batch=%(objectsize) %(rest)", stdin=subprocess.PIPE
    )
    assert listing.stdout is not None
    assert reading.stdin is not None
    assert reading.stdout is not None
    feeder = threading.Thread(
        target=_feed, args=(listing.stdout, reading.stdin, wanted), daemon=True
    )
    feeder.start()
    complete = False
    try:
        yield from _contents(reading.stdout)
        complete = True
    finally:
        if not complete:
            listing.kill()
            reading.kill()
        feeder.join()
        failures = [error for error in (_end(listing), _end(reading)) if error is not None]
    if failures:
        raise failures[0]


def _end(process: subprocess.Popen[bytes]) -> GitError | None:
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        words = process.stderr.read().decode("utf-8", "replace")
    if process.wait() == 0:
        return None
    return GitError("ls-tree or cat-file", process.returncode, words)


def _feed(listed: IO[bytes], asked: IO[bytes], wanted: Callable[[str], bool] | None) -> None:
    """Turn the lines `MODE blob SHA TAB PATH` of ls-tree into questions for cat-file."""
    rest = b""
    with suppress(BrokenPipeError), asked:
        while chunk := listed.read(_CHUNK):
            *entries, rest = (rest + chunk).split(b"\0")
            lines = []
            for entry in entries:
                info, _, path = entry.partition(b"\t")
                if wanted is None or wanted(os.fsdecode(path)):
                    lines.append(b"%s %s\n" % (info[12:], path))
            asked.write(b"".join(lines))


def _contents(answers: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    while header := answers.readline():
        size, _, path = header[:-1].partition(b" ")
        if not size.isdigit():
            raise GitError("cat-file", 1, f"a blob of the git-annex branch is missing: {header!r}")
        content = answers.read(int(size) + 1)
        yield os.fsdecode(path), content[:-1]


class Objects(Protocol):
    """Who reads git objects by name: usually a CatFile."""

    def read(self, name: bytes) -> GitObject | None: ...

    def read_many(self, names: Sequence[bytes]) -> list[GitObject | None]: ...


class TreeReader:
    """Reads single files of a commit. After some questions about one commit its top tree is
    kept, since git would unpack it for each; and the names of directories, since most new
    files are in one that is not there yet. Thread-safe."""

    def __init__(self, cat_file: Objects) -> None:
        self._cat_file = cat_file
        self._commit = ""
        self._asked = 0
        self._top: dict[bytes, bytes] | None = None  # directories at the top, and their trees
        self._names = _DirectoryNames()
        self._last = ("", "", b"")  # commit, path and content: whoever writes asks twice

    def read(self, commit: str, path: str) -> bytes:
        """Give the content of a file, b"" when it is not there."""
        last = self._last
        if last[0] == commit and last[1] == path:
            return last[2]
        name = self._name(commit, os.fsencode(path))
        found = None if name is None else self._cat_file.read(name)
        content = b"" if found is None else found.content
        self._last = (commit, path, content)
        return content

    def read_many(self, commit: str, paths: list[str]) -> list[bytes]:
        """Give the contents of files, b"" for those that are not there."""
        names = [self._name(commit, os.fsencode(path)) for path in paths]
        found = iter(self._cat_file.read_many([name for name in names if name is not None]))
        answers = (None if name is None else next(found) for name in names)
        return [b"" if one is None else one.content for one in answers]

    def follow(self, commit: str, newer: str, paths: Iterable[str]) -> None:
        """Take note that `newer` differs from `commit` in the files at `paths` only."""
        self._names.follow(commit, newer, map(os.fsencode, paths))

    def _name(self, commit: str, path: bytes) -> bytes | None:
        """Give what git calls a file of the commit; None when it is surely not there."""
        if self._names.lack(commit, path):
            return None
        directory, slash, rest = path.partition(b"/")
        top = self._top_of(commit) if slash else None
        if top is None:
            return b"%s:%s" % (commit.encode(), path)
        tree = top.get(directory)
        if tree is None:
            return None
        if b"/" in rest and not self._names.know(commit, directory):
            found = self._cat_file.read(tree)
            below = {} if found is None else _directories(found.content, len(commit) // 2)
            self._names.note(commit, directory, below)
            if rest.partition(b"/")[0] not in below:
                return None
        return b"%s:%s" % (tree, rest)

    def _top_of(self, commit: str) -> dict[bytes, bytes] | None:
        if commit != self._commit:
            self._commit, self._asked, self._top = commit, 0, None
        self._asked += 1
        if self._top is None and self._asked >= _OFTEN:
            tree = self._cat_file.read(f"{commit}^{{tree}}".encode())
            top = {} if tree is None else _directories(tree.content, len(commit) // 2)
            if commit == self._commit:
                self._top = top
            self._names.start(commit, top)
            return top
        return self._top


class _DirectoryNames:
    """The names of the directories that a commit may have, two levels deep; four bytes for
    each of the branch's. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commit = ""
        self._top: set[bytes] = set()
        self._below: dict[bytes, bytes] = {}  # names, each between two slashes

    def lack(self, commit: str, path: bytes) -> bool:
        """Tell whether the file at `path` is surely not there."""
        first, *others = path.split(b"/")
        with self._lock:
            if commit != self._commit or not others:
                return False
            if first not in self._top:
                return True
            below = self._below.get(first)
            return len(others) > 1 and below is not None and b"/%s/" % others[0] not in below

    def know(self, commit: str, directory: bytes) -> bool:
        """Tell whether the names in a directory at the top are known."""
        with self._lock:
            return commit == self._commit and directory in self._below

    def start(self, commit: str, top: Iterable[bytes]) -> None:
        """Take the names at the top of a commit; forget another one."""
        with self._lock:
            if commit != self._commit:
                self._commit, self._top, self._below = commit, {*top}, {}

    def note(self, commit: str, directory: bytes, names: Iterable[bytes]) -> None:
        """Take the names in a directory at the top."""
        with self._lock:
            if commit == self._commit:
                self._below[directory] = b"/%s/" % b"/".join(names)

    def follow(self, commit: str, newer: str, paths: Iterable[bytes]) -> None:
        """Go on with a newer commit, where the files at `paths` may have come."""
        with self._lock:
            if commit != self._commit:
                return
            self._commit = newer
            for path in paths:
                first, *others = path.split(b"/")
                if not others:
                    continue
                if first not in self._top:
                    self._top.add(first)
                    self._below[first] = b"/"
                below = self._below.get(first)
                if len(others) > 1 and below is not None and b"/%s/" % others[0] not in below:
                    self._below[first] = b"%s%s/" % (below, others[0])


def _directories(tree: bytes, hash_size: int) -> dict[bytes, bytes]:
    """Give name and tree of each directory in a tree object."""
    found = {}
    at = 0
    while at < len(tree):
        end = tree.index(b"\0", at)
        mode, name = tree[at:end].split(b" ", 1)
        at = end + 1 + hash_size
        if mode == _TREE:
            found[name] = tree[end + 1 : at].hex().encode()
    return found
