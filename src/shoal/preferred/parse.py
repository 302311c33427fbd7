"""Expression text into a tree, by the real program's grammar.

Strictly left to right: `and` and `or` have one precedence, `not` takes the next item, and
neighbours are and-ed. Nothing dangling is an error, and parentheses need not match. Verified
with git-annex 10.20261026, oddities included:

* a group at the start of another goes on from what is there, it does not begin anew;
* neighbours are joined before groups are read, at the outermost level only, so that
  `a (b or c)` is `a and (b or c)`, but `(a (b or c))` is `(a and b) or c`;
* `or a` matches everything, `and a` is `a`, `not` alone matches nothing.
"""

from __future__ import annotations

from shoal.errors import ExpressionError
from shoal.preferred.expr import ANYWHERE, And, Anywhere, Expr, Not, Or, Term, chain
from shoal.preferred.items import Item, arrange
from shoal.preferred.lexer import words
from shoal.preferred.terms import parse_term

_CONNECTIVES = frozenset({"and", "or", "not"})
_MAX_DEPTH = 200  # of parentheses and of connectives in a row; no sane expression comes near


def parse(text: str) -> Expr:
    """Give the tree of an expression. Empty text, or none but parentheses, is ANYWHERE.

    Raises ExpressionError; its message lists every word that is wrong, as the real program's
    does: `Parse failure: near "2" Parse failure: near ".dat"`.
    """
    return _simplified(_Reader(arrange(items_of(text))).rest(ANYWHERE))


def items_of(text: str) -> list[str | Term]:
    """Give the words of an expression in order, with terms parsed.

    `and`, `or`, `not` and parentheses are themselves. Raises ExpressionError as parse() does.
    """
    items: list[str | Term] = []
    problems: list[str] = []
    for word in words(text):
        if word in _CONNECTIVES or word in ("(", ")"):
            items.append(word)
            continue
        try:
            items.append(parse_term(word))
        except ValueError as error:
            problems.append(f"Parse failure: {error}")
    if problems:
        raise ExpressionError(" ".join(problems))
    return items


class _Reader:
    """Reads items one after the other, from the left."""

    def __init__(self, items: list[Item[Term]]) -> None:
        self._items = iter(items)

    def rest(self, so_far: Expr, depth: int = 0) -> Expr:
        """Read all that is left. `depth` counts groups and connectives around it."""
        for item in self._items:
            so_far = self._with(so_far, item, depth + 1)
        return so_far

    def _next(self, depth: int) -> Expr:
        """Read what one connective applies to; at the end that is ANYWHERE."""
        for item in self._items:
            return self._with(ANYWHERE, item, depth + 1)
        return ANYWHERE

    def _with(self, so_far: Expr, item: Item[Term], depth: int) -> Expr:
        if depth > _MAX_DEPTH:
            raise ExpressionError(f"Parse failure: nested more than {_MAX_DEPTH} deep")
        if isinstance(item, list):
            return _Reader(item).rest(so_far, depth)
        if item == "and":
            return And(so_far, self._next(depth))
        if item == "or":
            return Or(so_far, self._next(depth))
        if item == "not":
            return And(so_far, Not(self._next(depth)))
        assert isinstance(item, Term)
        return And(so_far, item)


def _simplified(expr: Expr) -> Expr:
    """Remove ANYWHERE from beside `and`. (`( and ) ( and )` keeps two of them and so is no
    empty expression, in the real program and here.)"""
    first, connectives = chain(expr)
    result = Not(_simplified(first.operand)) if isinstance(first, Not) else first
    for node in connectives:
        right = _simplified(node.right)
        if isinstance(node, Or):
            result = Or(result, right)
        elif isinstance(node.left, Anywhere):
            result = right
        elif not isinstance(node.right, Anywhere):
            result = And(result, right)
    return result
