"""Sums of sizes over all location logs of a commit of the git-annex branch, or over those that
differ between two commits. Streamed from git to git: the memory does not grow with the keys.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import IO

from shoal.git.process import Git, GitError, scratch_file
from shoal.logs import location, presence
from shoal.values.uuid import UUID

Sums = dict[UUID, int]

_CAT_FILE = ("cat-file", "--buffer", "--batch=%(objectsize) %(rest)")
_CHUNK = 1 << 18  # bytes
_LISTED = re.compile(rb"\d+ blob ([0-9a-f]+)\t(.+)", re.DOTALL)
_CHANGED = re.compile(rb":\d+ \d+ ([0-9a-f]+) ([0-9a-f]+) [A-Z]")
# What most paths of logs look like; the others are looked at more closely.
_PLAIN = re.compile(rb"(?:[0-9a-f]{3}/){1,2}[A-Z0-9_]+(?:-s(\d+))?--[^/&%]*\.log")

_Ask = Callable[[IO[bytes], IO[bytes]], None]
"""Turns what git lists into questions for cat-file: a blob, and what its log counts for."""


def scan_sizes(git: Git, commit: str, levels: int) -> Sums:
    """Give the bytes of keys that each repository has by the logs of a commit.

    `levels` is how many hash directories logs are in. Raises GitError.
    """

    def ask(listed: IO[bytes], asked: IO[bytes]) -> None:
        for entries in _chunks(listed):
            lines = []
            for entry in entries:
                found = _LISTED.fullmatch(entry)
                if found is not None and (size := size_of(found[2], levels)):
                    lines.append(b"%s %d\n" % (found[1], size))
            asked.write(b"".join(lines))

    return _sum(git, ("ls-tree", "-r", "-z", commit), ask)


def diff_sizes(
    git: Git, old: str, new: str, levels: int, watched: Collection[bytes]
) -> tuple[Sums, set[bytes]]:
    """Give how many bytes each repository has more (or less, negative) in commit `new` than in
    `old`; and which of the `watched` paths differ. Raises GitError."""
    differ: set[bytes] = set()

    def ask(listed: IO[bytes], asked: IO[bytes]) -> None:
        shas: tuple[bytes, bytes] | None = None
        for entries in _chunks(listed):
            lines = []
            for entry in entries:
                if shas is None:
                    found = _CHANGED.fullmatch(entry)
                    shas = (found[1], found[2]) if found is not None else (b"0", b"0")
                    continue
                if entry in watched:
                    differ.add(entry)
                if size := size_of(entry, levels):
                    for sha, signed in zip(shas, (-size, size), strict=True):
                        if sha.strip(b"0"):
                            lines.append(b"%s %d\n" % (sha, signed))
                shas = None
            asked.write(b"".join(lines))

    words = ("diff-tree", "-r", "-z", "--no-renames", old, new)
    return _sum(git.without_index(), words, ask), differ


def size_of(path: bytes, levels: int) -> int | None:
    """Give the size of the key whose location log is at `path`, 0 when it has none; None when
    that is no location log."""
    plain = _PLAIN.fullmatch(path)
    if plain is not None and path.count(b"/") == levels:
        return int(plain[1] or 0)
    key = location.key_of(path, levels)
    return None if key is None else key.size or 0


def _chunks(listed: IO[bytes]) -> Iterator[list[bytes]]:
    """Give the entries of a listing, which end with NUL, many at a time."""
    rest = b""
    while chunk := listed.read(_CHUNK):
        *entries, rest = (rest + chunk).split(b"\0")
        yield entries


def _sum(git: Git, words: tuple[str, ...], ask: _Ask) -> Sums:
    """Add up what the repositories have: the number that comes with each log."""
    from concurrent.futures import ThreadPoolExecutor  # slow to import

    with (
        _running(git, words) as listing,
        _running(git, _CAT_FILE, stdin=subprocess.PIPE) as reading,
    ):
        assert listing.stdout is not None
        assert reading.stdin is not None
        assert reading.stdout is not None
        listed, asked = listing.stdout, reading.stdin

        def feed() -> None:
            with suppress(BrokenPipeError), asked:
                ask(listed, asked)

        with ThreadPoolExecutor(1, "sizes") as feeder:
            fed = feeder.submit(feed)
            try:
                sums = _add_up(reading.stdout)
            except BaseException:
                listing.kill()  # or the feeder would never end
                reading.kill()
                raise
            fed.result()
    return {
        UUID(name.decode("utf-8", "surrogateescape")): total for name, total in sums.items() if name
    }


def _add_up(answers: IO[bytes]) -> dict[bytes, int]:
    sums: dict[bytes, int] = {}
    while header := answers.readline():
        length, _, number = header[:-1].partition(b" ")
        if number == b"missing":
            raise GitError("cat-file", 1, f"a blob of the git-annex branch is missing: {header!r}")
        log = answers.read(int(length) + 1)
        size = int(number)
        for name in presence.present(log):
            sums[name] = sums.get(name, 0) + size
    return sums


@contextmanager
def _running(
    git: Git, words: tuple[str, ...], stdin: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a git command until it ends, or kill it when the `with` block fails."""
    with scratch_file() as errors:
        process = git.start(*words, stdin=stdin, stderr=errors)
        assert process.stdout is not None
        complete = False
        try:
            with process.stdout:
                yield process
            complete = True
        finally:
            if not complete:
                process.kill()
            status = process.wait()
        if status != 0:
            errors.seek(0)
            raise GitError(words[0], status, errors.read().decode("utf-8", "replace"))
