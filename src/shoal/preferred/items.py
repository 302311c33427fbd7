"""The grammar of the real program: words, terms and parentheses into a tree.

Preferred content expressions and the matching options of commands share this; `T` is what
terms and trees are in either.

Strictly left to right: `and` and `or` have one precedence, `not` takes the next item, and
neighbours are and-ed. Nothing dangling is an error, and parentheses need not match. Verified
with git-annex 10.20261026, oddities included:

* a group at the start of another goes on from what is there, it does not begin anew;
* neighbours are joined before groups are read, at the outermost level only, so that
  `a (b or c)` is `a and (b or c)`, but `(a (b or c))` is `(a and b) or c`;
* `or a` matches everything, `and a` is `a`, `not` alone matches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

from shoal.errors import ExpressionError

T = TypeVar("T")
_MAX_DEPTH = 200  # of parentheses and of connectives in a row; no sane expression comes near
Item: TypeAlias = "str | T | list[Item[T]]"
"""`and`, `or`, `not`, a term, or a group in parentheses."""


class Making(Protocol[T]):
    """Makes trees of smaller ones."""

    @property
    def everything(self) -> T:
        """What matches always, as nothing at all does."""

    def both(self, left: T, right: T) -> T:
        """What matches when both do."""

    def either(self, left: T, right: T) -> T:
        """What matches when one does, asked in this order."""

    def inverse(self, inner: T) -> T:
        """What matches when `inner` does not."""


def read(items: Sequence[str | T], making: Making[T]) -> T:
    """Make a tree of `and`, `or`, `not`, parentheses and terms.

    Raises ExpressionError when it is nested too deep.
    """
    reader: _Reader[T] = _Reader(arrange(items), making)
    return reader.rest(making.everything)


class _Reader(Generic[T]):
    """Reads items one after the other, from the left."""

    def __init__(self, items: list[Item[T]], making: Making[T]) -> None:
        self._items: Iterator[Item[T]] = iter(items)
        self._making = making

    def rest(self, so_far: T, depth: int = 0) -> T:
        """Read all that is left. `depth` counts groups and connectives around it."""
        for item in self._items:
            so_far = self._with(so_far, item, depth + 1)
        return so_far

    def _next(self, depth: int) -> T:
        """Read what one connective applies to; at the end that is everything."""
        for item in self._items:
            return self._with(self._making.everything, item, depth + 1)
        return self._making.everything

    def _with(self, so_far: T, item: Item[T], depth: int) -> T:
        if depth > _MAX_DEPTH:
            raise ExpressionError(f"Parse failure: nested more than {_MAX_DEPTH} deep")
        making = self._making
        if isinstance(item, list):
            group: _Reader[T] = _Reader(item, making)
            return group.rest(so_far, depth)
        if item == "or":
            return making.either(so_far, self._next(depth))
        if item == "not":
            return making.both(so_far, making.inverse(self._next(depth)))
        return making.both(so_far, self._next(depth) if isinstance(item, str) else item)


def arrange(items: Sequence[str | T]) -> list[Item[T]]:
    """Make lists of groups, and put `and` between neighbours at the outermost level.

    Parentheses that are open at the end are closed there, stray closing ones are dropped.
    """
    arranged: list[Item[T]] = []
    for item in _grouped(items):
        if arranged and not isinstance(item, str) and not isinstance(arranged[-1], str):
            arranged.append("and")
        arranged.append(item)
    return arranged


def _grouped(items: Sequence[str | T]) -> list[Item[T]]:
    top: list[Item[T]] = []
    open_groups = [top]
    for item in items:
        if item == "(":
            group: list[Item[T]] = []
            open_groups[-1].append(group)
            open_groups.append(group)
        elif item != ")":
            open_groups[-1].append(item)
        elif len(open_groups) > 1:
            open_groups.pop()
    return top
