"""Matching options: which files and keys a command works on.

`--in=b --and --not --copies=2 --or -( --include=*.dat -)` is read as preferred content
expressions are, strictly left to right, and most tests are the terms of that language. The
differences: globs match the path as seen from the current directory, and some tests ask about
this repository.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from shoal.annex.matchtree import Leaf, Tree, tree_of
from shoal.annex.wanting import Asking, lets_go, wants
from shoal.errors import ShoalError
from shoal.logs.presence import Line, Status
from shoal.preferred.evaluate import Question
from shoal.preferred.evaluate import matches as term_matches
from shoal.preferred.globs import glob_matches
from shoal.preferred.terms import parse_term
from shoal.values.clock import SECOND, clock_from_nanoseconds
from shoal.values.duration import parse_duration
from shoal.values.key import Key
from shoal.values.uuid import UUID

TERMS = frozenset(
    {
        "copies", "lackingcopies", "approxlackingcopies", "inbackend", "inallgroup",
        "onlyingroup", "metadata", "url", "largerthan", "smallerthan", "securehash",
        "anything", "nothing",
    }
)  # fmt: skip
"""Options that are terms of preferred content expressions."""

_SINCE = frozenset({"presentsince", "lackingsince", "changedsince"})
CONNECTIVES = frozenset({"and", "or", "not", "(", ")"})
NEED_FILE = frozenset({"include", "exclude", "includesamecontent", "excludesamecontent"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key, and the file that it was found by, if any."""

    key: Key
    path: str | None = None  # from the top of the work tree
    shown: str | None = None  # from the current directory
    locked: bool | None = None


class Surroundings(Asking, Protocol):
    """What the tests may ask of the repository."""

    @property
    def here(self) -> UUID:
        """This repository."""

    def uuid_of(self, name: str) -> UUID:
        """Give the repository called `name`. Raises NoSuchRemote."""

    def is_present(self, key: Key) -> bool:
        """Tell whether this repository has the content."""

    def locations(self, key: Key) -> Set[UUID]:
        """Give the repositories and clusters that the location log knows to have the key."""

    def locations_at(self, key: Key, date: str) -> Set[UUID]:
        """Give the repositories that were logged to have the key at a `{DATE}`."""

    def location_lines(self, key: Key) -> Mapping[UUID, Line]:
        """Give what the location log says of each repository, and since when."""

    def accessed(self, key: Key) -> float | None:
        """Give when the content here was last read, in seconds since 1970; None: not here."""

    def files_of(self, key: Key) -> list[str]:
        """Give all files with this key, as seen from the current directory."""


Matcher = Tree[Candidate]


def compile_options(options: Sequence[tuple[str, str]], around: Surroundings) -> Matcher:
    """Give the test that matching `options` (names without dashes, and values) make.

    Without options everything matches. Raises ShoalError for a value that cannot be used.
    """
    items: list[str | Matcher] = [
        name if name in CONNECTIVES else _leaf(name, value, around) for name, value in options
    ]
    return tree_of(items)


def asks_for_file_names(options: Sequence[tuple[str, str]]) -> bool:
    """Tell whether an option matches on file names, so that there must be files."""
    return any(name in NEED_FILE for name, _ in options)


def _leaf(name: str, value: str, around: Surroundings) -> Matcher:
    return Leaf(f"{name}={value}" if value else name, _test(name, value, around))


def _test(name: str, value: str, around: Surroundings) -> Callable[[Candidate], bool]:
    if name == "in":
        return _test_in(value, around)
    if name == "include":
        return lambda c: c.shown is not None and glob_matches(value, c.shown)
    if name == "exclude":
        return lambda c: c.shown is None or not glob_matches(value, c.shown)
    if name == "locked":
        return lambda c: c.locked is True
    if name == "unlocked":
        return lambda c: c.locked is False
    if name == "expected-present":
        return lambda c: around.here in around.locations(c.key)
    if name == "accessedwithin":
        return _test_accessed(value, around)
    if name == "includesamecontent":
        return lambda c: _has_other_file(value, c, around)
    if name == "excludesamecontent":
        return lambda c: not _has_other_file(value, c, around)
    if name in _SINCE:
        return _test_since(name, value, around)
    if name.startswith("want-"):
        return _test_want(name, value, around)
    return _test_term(name, value, around)


def _test_in(value: str, around: Surroundings) -> Callable[[Candidate], bool]:
    name, _, date = value.partition("@")
    uuid = around.uuid_of(name)
    if date:
        return lambda c: uuid in around.locations_at(c.key, date)
    if uuid == around.here:
        return lambda c: around.is_present(c.key)
    return lambda c: uuid in around.locations(c.key)


def _test_accessed(value: str, around: Surroundings) -> Callable[[Candidate], bool]:
    begin = time.time() - _seconds(value)

    def test(candidate: Candidate) -> bool:
        accessed = around.accessed(candidate.key)
        return accessed is not None and accessed >= begin

    return test


def _test_since(name: str, value: str, around: Surroundings) -> Callable[[Candidate], bool]:
    """Read REPOSITORY:INTERVAL. A repository that the log does not mention never matches."""
    repository, _, interval = value.partition(":")
    uuid = around.uuid_of(repository)
    begin = clock_from_nanoseconds(time.time_ns()) - _seconds(interval) * SECOND

    def test(candidate: Candidate) -> bool:
        line = around.location_lines(candidate.key).get(uuid)
        if line is None:
            return False
        if name == "changedsince":
            return line.clock > begin
        is_right = (line.status is Status.PRESENT) == (name == "presentsince")
        return line.clock <= begin and is_right

    return test


def _seconds(interval: str) -> int:
    try:
        return parse_duration(interval)
    except ValueError as error:
        raise ShoalError(str(error)) from None


def _has_other_file(glob: str, candidate: Candidate, around: Surroundings) -> bool:
    return any(
        path != candidate.shown and glob_matches(glob, path)
        for path in around.files_of(candidate.key)
    )


def _test_want(name: str, value: str, around: Surroundings) -> Callable[[Candidate], bool]:
    uuid = around.uuid_of(value) if name.endswith("-by") else around.here
    if name.startswith("want-get"):
        return lambda c: wants(around, uuid, c)
    return lambda c: lets_go(around, uuid, c)


def _test_term(name: str, value: str, around: Surroundings) -> Callable[[Candidate], bool]:
    if name not in TERMS:
        raise ShoalError(f"unknown matching option --{name}")
    word = f"{name}={value}" if value else name
    try:
        term = parse_term(word)
    except ValueError as error:
        raise ShoalError(str(error)) from None
    return lambda c: term_matches(term, Question(around.here, around.facts(c)))
