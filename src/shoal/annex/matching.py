"""Matching options: which files and keys a command works on.

`--in=b --and --not --copies=2 --or -( --include=*.dat -)` is read as preferred content
expressions are, strictly left to right, and most tests are the terms of that language. The
differences: globs match the path as seen from the current directory, and some tests ask about
this repository.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from shoal.annex.matchtree import Leaf, Tree, tree_of
from shoal.annex.wanting import Asking, lets_go, wants
from shoal.errors import ShoalError
from shoal.preferred.evaluate import Question
from shoal.preferred.evaluate import matches as term_matches
from shoal.preferred.globs import glob_matches
from shoal.preferred.terms import parse_term
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

CONNECTIVES = frozenset({"and", "or", "not", "(", ")"})
NEED_FILE = frozenset({"include", "exclude"})


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
    if name.startswith("want-"):
        return _test_want(name, value, around)
    return _test_term(name, value, around)


def _test_in(value: str, around: Surroundings) -> Callable[[Candidate], bool]:
    if "@{" in value:
        raise ShoalError(f"--in={value}: matching by an earlier state is not supported")
    uuid = around.uuid_of(value)
    if uuid == around.here:
        return lambda c: around.is_present(c.key)
    return lambda c: uuid in around.locations(c.key)


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
