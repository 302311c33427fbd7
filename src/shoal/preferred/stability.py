"""Expressions that contradict themselves as soon as they are followed.

`not present` wants content until it has it, and then wants it gone. The real program lets no
expression match in which such a term stands under an odd number of `not`s, whatever the rest of
it says (verified with git-annex 10.20261026). An expanded `standard` or `groupwanted` counts as
one term: unstable when something in it is, and not looked at when it is not negated itself.
"""

from __future__ import annotations

from shoal.preferred.expr import Balanced, Expanded, Expr, Not, Term, Word, chain


def unstable_terms(expr: Expr) -> tuple[str, ...]:
    """Give the negated terms that make an expression unusable, in order; none: it is stable."""
    return tuple(_unstable(expr, negated=False))


def _unstable(expr: Expr, *, negated: bool) -> list[str]:
    first, connectives = chain(expr)
    found: list[str] = []
    match first:
        case Not(operand):
            found = _unstable(operand, negated=not negated)
        case Term(word) | Expanded(word) if negated and _depends_on_presence(first):
            found = [word]
    for node in connectives:
        found += _unstable(node.right, negated=negated)
    return found


def _depends_on_presence(expr: Expr) -> bool:
    """Tell whether something in it says of the repository itself that it has the content."""
    first, connectives = chain(expr)
    match first:
        case Term(test=test):
            here = test is Word.PRESENT or (isinstance(test, Balanced) and test.enough is not None)
        case Not(inner) | Expanded(expr=inner):
            here = _depends_on_presence(inner)
        case _:
            here = False
    return here or any(_depends_on_presence(node.right) for node in connectives)
