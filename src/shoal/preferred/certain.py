"""Expressions that match nothing, or everything, whatever the key, the file and the network.

Only what is certain is said: terms are taken as independent of each other, but for the few
pairs of which it is known here that one follows from the other, or that both cannot be. All
values that terms can have together are tried, until one makes the expression match and another
one does not. Expressions with very many different terms are not judged.
"""

from __future__ import annotations

from enum import Enum

from shoal.preferred.expr import (
    And,
    Anywhere,
    Balanced,
    Copies,
    Exclude,
    Expanded,
    Expr,
    InBackend,
    Include,
    LackingCopies,
    LargerThan,
    Metadata,
    Not,
    OnlyInGroup,
    SmallerThan,
    Term,
    Test,
    Url,
    Word,
    chain,
)
from shoal.preferred.globs import is_valid_glob

_MOST_ATOMS = 24
_MOST_TRIES = 4000
_Values = dict[Test, bool]


class Verdict(Enum):
    """What can be said of all keys and files. (Of keys: without one, no term about a key
    matches.)"""

    NEVER = "never matches"
    ALWAYS = "always matches"
    OPEN = "depends"


def judge(expr: Expr) -> Verdict:
    """Tell whether an expression never or always matches. `standard` and `groupwanted` can be
    either when they are not expanded."""
    if len(atoms(expr)) > _MOST_ATOMS:
        return Verdict.OPEN
    if not _Search(expr, wanted=True).succeeds({}):
        return Verdict.NEVER
    return Verdict.OPEN if _Search(expr, wanted=False).succeeds({}) else Verdict.ALWAYS


def atoms(expr: Expr) -> list[Test]:
    """Give the tests that decide an expression, each once, without those that are constant."""
    return list(dict.fromkeys(_atoms(expr)))


def _atoms(expr: Expr) -> list[Test]:
    first, connectives = chain(expr)
    found: list[Test] = []
    match first:
        case Term(test=test):
            atom, _ = _literal(test)
            found = [] if isinstance(atom, bool) else [atom]
        case Not(inner) | Expanded(expr=inner):
            found = _atoms(inner)
    for node in connectives:
        found += _atoms(node.right)
    return found


class _Search:
    """Looks for values of all atoms that make an expression come to `wanted`."""

    def __init__(self, expr: Expr, *, wanted: bool) -> None:
        self._expr = expr
        self._wanted = wanted
        self._atoms = atoms(expr)
        self._tries = 0

    def succeeds(self, values: _Values) -> bool:
        """Tell whether there may be such values that go on from `values`."""
        self._tries += 1
        if self._tries > _MOST_TRIES:
            return True
        result = _value(self._expr, values)
        if result is not None:
            return result is self._wanted
        atom = next(atom for atom in self._atoms if atom not in values)
        return any(
            self.succeeds({**values, atom: value})
            for value in (True, False)
            if all(_is_possible(atom, value, *other) for other in values.items())
        )


def _value(expr: Expr, values: _Values) -> bool | None:
    """Give what an expression comes to; None when that depends on atoms without a value."""
    first, connectives = chain(expr)
    result = _leaf_value(first, values)
    for node in connectives:
        decides = not isinstance(node, And)  # what decides `or` is True, and False decides `and`
        if result is decides:
            continue
        right = _value(node.right, values)
        if right is decides or result is not None:
            result = right
    return result


def _leaf_value(expr: Expr, values: _Values) -> bool | None:
    match expr:
        case Term(test=test):
            atom, positive = _literal(test)
            value = atom if isinstance(atom, bool) else values.get(atom)
            return value if value is None or positive else not value
        case Not(operand):
            value = _value(operand, values)
            return None if value is None else not value
        case Expanded(expr=inner):
            return _value(inner, values)
        case Anywhere():
            return True
    raise AssertionError(expr)


def _literal(test: Test) -> tuple[Test | bool, bool]:
    """Give the test, or its constant value, that `test` or its negation (False) is."""
    match test:
        case Word.ANYTHING | Word.NOTHING:
            return test is Word.ANYTHING, True
        case Include(glob) | Exclude(glob):
            known: Test | bool = Include(glob) if is_valid_glob(glob) else False
            return known, isinstance(test, Include)
        case Url(glob) if not is_valid_glob(glob, file=False):
            return False, True
        case Metadata(_, "=", glob) if not is_valid_glob(glob, file=False):
            return False, True
        case Copies(count) if count <= 0:
            return True, True
        case Balanced(_, count, _, enough=None) if count is not None and count <= 0:
            return False, True
    return test, True


def _is_possible(one: Test, its: bool, other: Test, others: bool) -> bool:
    """Tell whether two tests can have these values for the same key."""
    if its and others:
        return not (_exclude(one, other) or _exclude(other, one))
    if its:
        return not _implies(one, other)
    if others:
        return not _implies(other, one)
    return not (_one_holds(one, other) or _one_holds(other, one))


def _implies(one: Test, other: Test) -> bool:
    """Tell whether `other` holds whenever `one` does."""
    match one, other:
        case LargerThan(size), LargerThan(limit):
            return size >= limit
        case SmallerThan(size), SmallerThan(limit):
            return size <= limit
        case Copies(), Copies():
            return one.count >= other.count and _counts_no_more(one, other)
        case LackingCopies(), LackingCopies():
            same = one.approximate == other.approximate and one.group in (None, other.group)
            return same and one.count >= other.count
        case OnlyInGroup(group), Copies(count, None, _, counted):
            return count <= 1 and counted in (None, group)
        case ((Include() | Word.IN_PREFERRED_DIR), Include(glob)):
            return _is_any(glob)
        case Url(), Url(glob):
            return _is_any(glob)
        case Metadata(), Metadata(field, "=", glob):
            return one.field.lower() == field.lower() and _is_any(glob)
    return False


def _exclude(one: Test, other: Test) -> bool:
    """Tell whether both cannot hold."""
    match one, other:
        case LargerThan(least), SmallerThan(most):
            return most <= least + 1
        case InBackend(name), InBackend(another):
            return name != another
        case Word.UNUSED, (Include() | Word.IN_PREFERRED_DIR):
            return True  # `unused` is for keys without a file
    return False


def _one_holds(one: Test, other: Test) -> bool:
    """Tell whether one of both holds always. (A key without a size is smaller than any.)"""
    match one, other:
        case LargerThan(least), SmallerThan(most):
            return most > least
    return False


def _counts_no_more(one: Copies, other: Copies) -> bool:
    """Tell whether all copies that count for `one` count for `other`."""
    if other.group is not None or one.group is not None:
        return one.group == other.group or (other.group is None and other.trust is None)
    return set(one.levels) <= set(other.levels)


def _is_any(glob: str) -> bool:
    return bool(glob) and not glob.strip("*")
