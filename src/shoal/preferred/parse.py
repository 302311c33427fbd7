"""Expression text into a tree; items.py has the grammar."""

from __future__ import annotations

from shoal.errors import ExpressionError
from shoal.preferred.expr import ANYWHERE, And, Anywhere, Expr, Not, Or, Term, chain
from shoal.preferred.items import read
from shoal.preferred.lexer import words
from shoal.preferred.terms import parse_term

_CONNECTIVES = frozenset({"and", "or", "not"})


def parse(text: str) -> Expr:
    """Give the tree of an expression. Empty text, or none but parentheses, is ANYWHERE.

    Raises ExpressionError; its message lists every word that is wrong, as the real program's
    does: `Parse failure: near "2" Parse failure: near ".dat"`.
    """
    return _simplified(read(items_of(text), _Making()))


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


class _Making:
    everything: Expr = ANYWHERE

    def both(self, left: Expr, right: Expr) -> Expr:
        return And(left, right)

    def either(self, left: Expr, right: Expr) -> Expr:
        return Or(left, right)

    def inverse(self, inner: Expr) -> Expr:
        return Not(inner)


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
