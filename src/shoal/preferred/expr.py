"""Preferred content expressions as a tree of values.

A tree says what was written, with `standard` and `groupwanted` as plain terms until
expand.expand() replaces them by what they stand for in one repository. Walk it with `match`;
evaluate.py, stability.py and expand.py are the examples.

Groups, globs and other words are `str`, with bytes that are not UTF-8 as surrogates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from shoal.logs.trust import TrustLevel

TRUST_ORDER = (TrustLevel.DEAD, TrustLevel.UNTRUSTED, TrustLevel.SEMITRUSTED, TrustLevel.TRUSTED)
"""From the worst to the best."""


@dataclass(frozen=True, slots=True)
class Anywhere:
    """The neutral element: no condition at all. A whole expression that is this one counts
    as "not configured"; inside another it matches."""


@dataclass(frozen=True, slots=True)
class And:
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Or:
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expr


@dataclass(frozen=True, slots=True)
class Term:
    """One condition, with the word that it was written as."""

    word: str
    test: Test


@dataclass(frozen=True, slots=True)
class Expanded:
    """What `standard` or `groupwanted` (the `word`) stands for in one repository.

    It is a term to those who look for negations around it.
    """

    word: str
    expr: Expr


Expr = Anywhere | And | Or | Not | Term | Expanded
ANYWHERE = Anywhere()


class Word(Enum):
    """The tests that have no value."""

    ANYTHING = "anything"
    NOTHING = "nothing"
    PRESENT = "present"
    SECURE_HASH = "securehash"
    IN_PREFERRED_DIR = "inpreferreddir"
    UNUSED = "unused"
    STANDARD = "standard"
    GROUP_WANTED = "groupwanted"


@dataclass(frozen=True, slots=True)
class Include:
    """The file's path from the top of the work tree matches a glob."""

    glob: str


@dataclass(frozen=True, slots=True)
class Exclude:
    """The file's path does not match a glob, or there is no file name."""

    glob: str


@dataclass(frozen=True, slots=True)
class LargerThan:
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class SmallerThan:
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Copies:
    """At least `count` copies, in repositories of one trust level (or a better one) or group."""

    count: int
    trust: TrustLevel | None = None
    or_better: bool = False
    group: str | None = None

    @property
    def levels(self) -> tuple[TrustLevel, ...]:
        """The trust levels whose repositories count."""
        if self.trust is None:
            return TRUST_ORDER
        place = TRUST_ORDER.index(self.trust)
        return TRUST_ORDER[place:] if self.or_better else (self.trust,)


@dataclass(frozen=True, slots=True)
class LackingCopies:
    """At least `count` copies fewer than numcopies, perhaps counted in one group only.

    `approximate`: only the numcopies of the whole repository is looked at.
    """

    count: int
    approximate: bool = False
    group: str | None = None


@dataclass(frozen=True, slots=True)
class InAllGroup:
    group: str


@dataclass(frozen=True, slots=True)
class OnlyInGroup:
    group: str


@dataclass(frozen=True, slots=True)
class InBackend:
    backend: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """Some value of a field matches: by a glob (`=`) or by comparison (`<` `<=` `>` `>=`)."""

    field: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Url:
    """Some recorded URL matches a glob."""

    glob: str


@dataclass(frozen=True, slots=True)
class Balanced:
    """The repository is one of the `count` members of a group that are picked for the key.

    `count` None: as many as numcopies lacks outside the group. `by_size` picks the members
    with most room. `enough` (None in the `fully…` terms) is the condition under which members
    that do not have the content leave it where it is.
    """

    group: str
    count: int | None
    by_size: bool
    enough: Copies | LackingCopies | None


Test = (
    Word
    | Include
    | Exclude
    | LargerThan
    | SmallerThan
    | Copies
    | LackingCopies
    | InAllGroup
    | OnlyInGroup
    | InBackend
    | Metadata
    | Url
    | Balanced
)

PRESENT = Term("present", Word.PRESENT)


def either(one: Expr, other: Expr) -> Expr:
    """Combine two expressions so that one match is enough; an empty one leaves the other."""
    if isinstance(one, Anywhere):
        return other
    return one if isinstance(other, Anywhere) else Or(one, other)


def chain(expr: Expr) -> tuple[Expr, list[And | Or]]:
    """Give the leftmost operand of a tree and the connectives above it, the innermost first.

    The grammar is left to right, so long expressions are deep on their left side: walking them
    with this instead of by recursion keeps the depth to that of the parentheses.
    """
    connectives: list[And | Or] = []
    while isinstance(expr, And | Or):
        connectives.append(expr)
        expr = expr.left
    connectives.reverse()
    return expr, connectives


def terms_of(expr: Expr) -> Iterator[Term]:
    """Give all terms of a tree, those of expanded groups too, from left to right."""
    first, connectives = chain(expr)
    if isinstance(first, Term):
        yield first
    elif isinstance(first, Not):
        yield from terms_of(first.operand)
    elif isinstance(first, Expanded):
        yield from terms_of(first.expr)
    for node in connectives:
        yield from terms_of(node.right)
