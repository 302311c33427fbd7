"""Does an expression match what the user says of a file? For `matchexpression`.

Terms ask only for what decides, as everywhere; a term that asks for something that was not
given ends it with MissingData. Rules and messages are those of git-annex 10.20261026.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from shoal.annex.matchtree import Leaf, Tree, tree_of
from shoal.errors import ExpressionError, ShoalError
from shoal.preferred.evaluate import Question, matches
from shoal.preferred.expr import (
    Exclude,
    InAllGroup,
    Include,
    LargerThan,
    OnlyInGroup,
    SmallerThan,
    Term,
    Word,
)
from shoal.preferred.globs import glob_matches
from shoal.preferred.lexer import quoted, words
from shoal.preferred.terms import parse_term

if TYPE_CHECKING:
    from shoal.preferred.facts import Facts
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

T = TypeVar("T")
_SYNTAX = frozenset({"and", "or", "not", "(", ")"})
_MOST_WORDS = 400
_NEEDS_NOTHING = (Word.ANYTHING, Word.NOTHING, Word.STANDARD, Word.GROUP_WANTED)
_LARGEFILES = (Include, Exclude, LargerThan, SmallerThan)


class MissingData(ShoalError):
    """An expression asks for what was not given."""

    def __init__(self, what: str) -> None:
        super().__init__(f"cannot match this expression without {what} data")


@dataclass(frozen=True, slots=True)
class Given:
    """What is known of the file; None: it was not given. `facts` and `repo` are for the terms
    of preferred content."""

    repo: UUID
    facts: Facts
    file: str | None = None
    key: Key | None = None
    size: int | None = None
    mime_type: str | None = None
    mime_encoding: str | None = None
    rebalance: bool = False


def compile_expression(text: str, *, largefiles: bool = False) -> Tree[Given]:
    """Read a preferred content expression, or one as in annex.largefiles.

    Raises ExpressionError. The tree's methods raise MissingData.
    """
    read = _largefiles_test if largefiles else _preferred_test
    found = words(text)
    if len(found) > _MOST_WORDS:
        raise ExpressionError(f"Parse failure: more than {_MOST_WORDS} words")
    items: list[str | Tree[Given]] = []
    problems = []
    for word in found:
        if word in _SYNTAX:
            items.append(word)
            continue
        try:
            items.append(Leaf(word, read(word)))
        except ValueError as error:
            problems.append(f"Parse failure: {error}")
    if problems:
        raise ExpressionError(" ".join(problems))
    return tree_of(items)


def _preferred_test(word: str) -> Callable[[Given], bool]:
    term = parse_term(word)
    return lambda given: _holds(term, given)


def _largefiles_test(word: str) -> Callable[[Given], bool]:
    name, _, glob = word.partition("=")
    if name == "mimetype":
        return lambda given: glob_matches(glob, _known(given.mime_type, name), file=False)
    if name == "mimeencoding":
        return lambda given: glob_matches(glob, _known(given.mime_encoding, name), file=False)
    term = parse_term(word)
    if not isinstance(term.test, _LARGEFILES) and term.test not in _NEEDS_NOTHING[:2]:
        raise ValueError(f"near {quoted(word)}")
    return lambda given: _holds(term, given)


def _holds(term: Term, given: Given) -> bool:
    match term.test:
        case LargerThan(limit):
            return _size(given) > limit
        case SmallerThan(limit):
            return _size(given) < limit
        case Include() | Exclude() | Word.IN_PREFERRED_DIR:
            _known(given.file, "file")
        case InAllGroup(group) | OnlyInGroup(group):
            if given.facts.members(group):
                _known(given.key, "key")
            elif given.key is None:
                return isinstance(term.test, InAllGroup)
        case test if test not in _NEEDS_NOTHING:
            _known(given.key, "key")
    return matches(term, Question(given.repo, given.facts, rebalance=given.rebalance))


def _size(given: Given) -> int:
    if given.key is not None and given.key.size is not None:
        return given.key.size
    return _known(given.size, "size")


def _known(value: T | None, what: str) -> T:
    if value is None:
        raise MissingData(what)
    return value
