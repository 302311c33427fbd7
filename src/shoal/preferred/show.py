"""A tree as text again, with parentheses wherever its parts would be read otherwise."""

from __future__ import annotations

from shoal.preferred.expr import And, Anywhere, Expanded, Expr, Not, Or, Term, chain


def show(expr: Expr, *, meaning: bool = False) -> str:
    """Give e.g. `(include=a* or present) and copies=2`: what an expression is read as.

    What nothing was written for is shown as `anything`, which is what it means. `meaning` shows
    what `standard` and `groupwanted` stand for in their place.
    """
    first, connectives = chain(expr)
    text = _leaf(first, meaning)
    before: type[And | Or] | None = None
    for node in connectives:
        if before is not None and type(node) is not before:
            text = f"({text})"
        before = type(node)
        text += f" {'and' if isinstance(node, And) else 'or'} {_operand(node.right, meaning)}"
    return text


def _leaf(expr: Expr, meaning: bool) -> str:
    match expr:
        case Expanded(expr=inner) if meaning:
            return _operand(inner, meaning)
        case Term(word) | Expanded(word):
            return word
        case Not(operand):
            return f"not {_operand(operand, meaning)}"
        case Anywhere():
            return "anything"
    raise AssertionError(expr)


def _operand(expr: Expr, meaning: bool) -> str:
    if isinstance(expr, And | Or):
        return f"({show(expr, meaning=meaning)})"
    return _leaf(expr, meaning)
