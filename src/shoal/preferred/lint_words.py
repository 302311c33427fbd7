"""Lint for the words of an expression: what is read otherwise than it looks.

The grammar forgives nearly everything, so that a slip of the pen still means something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from shoal.preferred.expr import (
    Anywhere,
    Balanced,
    Copies,
    Exclude,
    Expr,
    Include,
    LackingCopies,
    LargerThan,
    Metadata,
    SmallerThan,
    Term,
    Url,
    terms_of,
)
from shoal.preferred.finding import Finding
from shoal.preferred.globs import is_valid_glob
from shoal.preferred.items import Item, arrange
from shoal.preferred.parse import items_of, parse
from shoal.preferred.show import show

_JOINING = ("and", "or")
_PLAIN_COUNT = re.compile(r"-?[0-9]+")
_PLAIN_SIZE = re.compile(r"[0-9]+(\.[0-9]+)?[A-Za-z]*")


def lint_words(text: str) -> Iterator[Finding]:
    """Give what looks wrong in the text itself. Raises ExpressionError as parse() does."""
    items = items_of(text)
    yield from _parentheses(items)
    arranged = arrange(items)
    for dangling in dict.fromkeys(_dangling(arranged)):
        yield Finding("dangling", f"{dangling}; {_reading(text)}: add what is missing")
    yield from _precedence(text, arranged)
    for term in dict.fromkeys(item for item in items if isinstance(item, Term)):
        yield from _term(term)


def _reading(text: str) -> str:
    expr = parse(text)
    if isinstance(expr, Anywhere):
        return "this counts as no expression at all"
    return f"this is read as `{show(expr)}`"


def _parentheses(items: Sequence[str | Term]) -> Iterator[Finding]:
    depth = stray = 0
    for item in items:
        depth += (item == "(") - (item == ")")
        if depth < 0:
            depth, stray = 0, stray + 1
    if depth:
        text = "a parenthesis is not closed, so it is taken to end with the expression: add `)`"
        yield Finding("parentheses", text)
    if stray:
        text = "there is a `)` without its `(`, which is ignored: remove it, or add the `(`"
        yield Finding("parentheses", text)


def _dangling(items: Sequence[Item[Term]]) -> Iterator[str]:
    """Find connectives that have nothing on one of their sides."""
    for place, item in enumerate(items):
        after = items[place + 1] if place + 1 < len(items) else None
        if isinstance(item, list):
            if not item:
                yield "there is nothing inside `()`"
            yield from _dangling(item)
        elif item in _JOINING and place == 0:
            yield f"`{item}` has nothing before it"
        if isinstance(item, str) and (after is None or after in ("and", "or")):
            yield f"`{item}` has nothing behind it"


def _precedence(text: str, items: Sequence[Item[Term]]) -> Iterator[Finding]:
    if _mixes(items):
        yield Finding(
            "precedence",
            "`and` does not bind stronger than `or`: from left to right "
            f"{_reading(text)}: put parentheses where you mean them",
        )
    if any(_joins_group(item) for item in items if isinstance(item, list)):
        yield Finding(
            "precedence",
            "inside parentheses, a group that follows a term goes on from that term: "
            f"{_reading(text)}: write `and` before the group",
        )


def _mixes(items: Sequence[Item[Term]]) -> bool:
    """Tell whether something is and-ed to an `or` before it, in one pair of parentheses."""
    after_or = False
    joined_by = ""
    for item in items:
        if isinstance(item, str) and item in _JOINING:
            joined_by = item
        elif item == "not":
            continue
        else:
            if after_or and joined_by != "or":
                return True
            after_or = after_or or joined_by == "or"
            joined_by = ""
        if isinstance(item, list) and _mixes(item):
            return True
    return False


def _joins_group(items: Sequence[Item[Term]]) -> bool:
    for place, item in enumerate(items):
        if isinstance(item, list):
            if place > 0 and not isinstance(items[place - 1], str):
                return True
            if _joins_group(item):
                return True
    return False


def _term(term: Term) -> Iterator[Finding]:
    word, test = term.word, term.test
    match test:
        case Include(glob) | Exclude(glob):
            yield from _glob(word, glob, file=True)
        case Url(glob) | Metadata(_, "=", glob):
            yield from _glob(word, glob, file=False)
        case LargerThan(size) | SmallerThan(size):
            if not _PLAIN_SIZE.fullmatch(word.partition("=")[2]):
                yield Finding("number", f"`{word}` is read as {size} bytes: write a plain size")
        case Copies(count) | LackingCopies(count) | Balanced(_, int(count)):
            number = word.partition("=")[2].rpartition(":")[2]
            if not _PLAIN_COUNT.fullmatch(number) and number[:1].isdigit():
                yield Finding("number", f"`{word}` is read with the number {count}: write that")


def invalid_patterns(expr: Expr) -> list[Finding]:
    """Say of which terms the pattern cannot be used at all."""
    found: list[Finding] = []
    for term in terms_of(expr):
        match term.test:
            case Include(glob) | Exclude(glob) if not is_valid_glob(glob):
                found += _glob(term.word, glob, file=True)
            case Url(glob) | Metadata(_, "=", glob) if not is_valid_glob(glob, file=False):
                found += _glob(term.word, glob, file=False)
    return found


def _glob(word: str, glob: str, *, file: bool) -> Iterator[Finding]:
    if not is_valid_glob(glob, file=file):
        never = "always matches" if word.startswith("exclude") else "never matches"
        yield Finding(
            "glob",
            f"the pattern in `{word}` is not valid, so it {never} here, and git-annex fails or "
            "hangs on it: close the class with `]` and write ranges from low to high",
        )
    elif '"' in glob or "'" in glob:
        yield Finding(
            "quotes",
            f"quotes are part of the pattern in `{word}`, they cannot protect anything: leave "
            "them out, and write `?` for a space",
        )
    elif file and "\\" in glob:
        text = f"a backslash in `{word}` stands for itself, it does not escape what follows"
        yield Finding("glob", f"{text}: write `?` or `[*]` instead")
