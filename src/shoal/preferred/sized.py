"""Which expressions look at how full repositories are."""

from __future__ import annotations

from shoal.preferred.expr import Balanced, Expanded, Expr, Not, Term, chain


def looks_at_sizes(expr: Expr) -> bool:
    """Tell whether a term of the balanced family stands anywhere in an expanded expression."""
    first, connectives = chain(expr)
    match first:
        case Term(test=Balanced()):
            return True
        case Not(inner) | Expanded(expr=inner):
            if looks_at_sizes(inner):
                return True
    return any(looks_at_sizes(node.right) for node in connectives)
