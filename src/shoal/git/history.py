"""The history of the git-annex branch: which commits changed which files, and to what.

Changes stream from git, so a history may be longer than memory. What git says of a change is

    COMMIT TIME LF : MODE MODE OLD NEW STATUS NUL PATH NUL

and the commit is named only before the first of its changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from shoal.git.filewalk import Commits, Difference, shown_changes
from shoal.git.process import Git, scratch_file

_CHUNK = 1 << 18  # bytes
_FEW = 50  # paths that git looks for faster than it lists all changes
_RAW = ("-z", "--raw", "--no-abbrev", "--no-renames")


@dataclass(frozen=True, slots=True)
class FileChange:
    """A commit of `time` (seconds since 1970) replaced blob `old` of a file by blob `new`.

    A name of nothing but zeros stands for no file.
    """

    time: int
    path: bytes
    old: bytes
    new: bytes


def branch_changes(
    git: Git, ref: str, options: Sequence[str] = (), path: str | None = None
) -> Iterator[FileChange]:
    """Give the changes that `git log` shows of `ref`, in its order: of all files, or of one.

    `options` are those of git log. Raises GitError when git refuses them.
    """
    paths = () if path is None else (path,)
    with git.reading("log", *_RAW, "--pretty=format:%H %ct", *options, ref, "--", *paths) as out:
        time = 0
        about = b""  # of the change whose path comes next
        for text in _fields(out):
            if about:
                _, _, old, new, _ = about.split(b" ")
                yield FileChange(time, text, old, new)
                about = b""
            elif text:
                commit, _, about = text.rpartition(b"\n")
                if commit:
                    time = int(commit.split(b" ")[1])
                if not about.startswith(b":"):  # the commit changed nothing
                    about = b""


class FileHistories:
    """The changes of some files, from one reading of the whole history of `ref`.

    The memory that it takes grows with the number of commits, and of changes to these files.
    """

    def __init__(self, git: Git, ref: str, paths: Sequence[bytes]) -> None:
        self._commits = _commits(git, ref)
        self._touched: dict[bytes, dict[int, dict[int, Difference]]] = {path: {} for path in paths}
        for commit, parent, path, difference in _differences(git, self._commits, paths):
            if path in self._touched:
                self._touched[path].setdefault(commit, {})[parent] = difference

    def changes(self, path: bytes) -> list[FileChange]:
        """Give what branch_changes() gives for one of the files with --remove-empty."""
        times = self._commits.times
        shown = shown_changes(self._commits, self._touched[path])
        return [FileChange(times[commit], path, *blobs) for commit, blobs in shown]


def is_nothing(blob: bytes) -> bool:
    """Tell whether a blob's name says that there is no file."""
    return not blob.strip(b"0")


def _commits(git: Git, ref: str) -> Commits:
    """Read all commits of a history, children before their parents."""
    with git.reading("log", "--topo-order", "--pretty=format:%H %ct %P", ref, "--") as out:
        lines = [line.split() for line in out]
    number = {line[0]: at for at, line in enumerate(lines)}
    return Commits(
        names=[line[0] for line in lines],
        times=[int(line[1]) for line in lines],
        parents=[tuple(number[name] for name in line[2:]) for line in lines],
    )


def _differences(
    git: Git, commits: Commits, paths: Sequence[bytes]
) -> Iterator[tuple[int, int, bytes, Difference]]:
    """Give what each commit changed in comparison with each of its parents: the commit's
    number, which parent, the path, and the blobs."""
    pairs = [(c, n) for c, of in enumerate(commits.parents) for n in range(max(1, len(of)))]
    looked_for = [os.fsdecode(path) for path in paths] if len(paths) <= _FEW else []
    with scratch_file() as asked:
        asked.writelines(_question(commits, commit, parent) for commit, parent in pairs)
        asked.seek(0)
        words = (*_RAW, "-r", "--root", "--stdin", "--always", "--", *looked_for)
        with git.without_index().reading("diff-tree", *words, stdin=asked) as out:
            yield from _read_differences(out, pairs)


def _question(commits: Commits, commit: int, parent: int) -> bytes:
    """Ask diff-tree to compare a commit with one of its parents, or with nothing."""
    to = commits.parents[commit][parent : parent + 1]
    return b" ".join(commits.names[one] for one in (commit, *to)) + b"\n"


def _read_differences(
    out: IO[bytes], pairs: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int, bytes, Difference]]:
    """Read the answers of diff-tree: a commit's name for each of `pairs`, then its changes."""
    asked = iter(pairs)
    commit = parent = 0
    about = b""
    for text in _fields(out):
        if about:
            _, _, old, new, _ = about.split(b" ")
            yield commit, parent, text, (old, new)
            about = b""
        elif text.startswith(b":"):
            about = text
        elif text:
            commit, parent = next(asked)


def _fields(stream: IO[bytes]) -> Iterator[bytes]:
    """Give what is between the NULs of a stream, and what is behind the last one if anything."""
    rest = b""
    while chunk := stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    if rest:
        yield rest
