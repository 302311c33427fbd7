"""Words, terms and parentheses arranged as the real program's grammar reads them.

Preferred content expressions and the matching options of commands share this; `T` is what a
term is in either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Item: TypeAlias = "str | T | list[Item[T]]"
"""`and`, `or`, `not`, a term, or a group in parentheses."""


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
