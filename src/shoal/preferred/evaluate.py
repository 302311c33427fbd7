"""Evaluate an expression for one repository, one key and one file.

Terms mean what the manual page git-annex-preferred-content says, and what git-annex
10.20261026 does where that is more exact. `and` and `or` stop at the first operand that
decides, so facts that are not needed are not asked for.
"""

from __future__ import annotations

import operator
from collections.abc import Set
from dataclasses import dataclass
from typing import assert_never

from shoal.logs.trust import TrustLevel
from shoal.preferred import balanced
from shoal.preferred.expr import (
    And,
    Anywhere,
    Balanced,
    Copies,
    Exclude,
    Expanded,
    Expr,
    InAllGroup,
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
from shoal.preferred.facts import Facts
from shoal.preferred.globs import glob_matches
from shoal.values.backend import is_secure_key
from shoal.values.key import Key
from shoal.values.number import read_whole_float
from shoal.values.uuid import UUID, is_cluster_uuid

_NOBODY: frozenset[UUID] = frozenset()
_RELIABLE = (TrustLevel.SEMITRUSTED, TrustLevel.TRUSTED)
_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Question:
    """Does `repo` want it? `absent` repositories are taken not to have the key, whatever is
    known of them (to ask about a drop), and `present` ones to have it (chosen a moment ago).

    `rebalance`: balanced terms look at where content belongs, not at where it already is.
    """

    repo: UUID
    facts: Facts
    absent: Set[UUID] = _NOBODY
    present: Set[UUID] = _NOBODY
    rebalance: bool = False

    def holders(self) -> Set[UUID]:
        """Repositories and clusters that are taken to have the key."""
        return (self.facts.locations() | self.present) - self.absent

    def copies(self) -> Set[UUID]:
        """The same without clusters, which have no copies of their own."""
        return {repo for repo in self.holders() if not is_cluster_uuid(repo)}


def matches(expr: Expr, question: Question) -> bool:
    """Tell whether an expression matches. ANYWHERE matches: whoever treats that as "not
    configured" looks for it first (see policy.py).

    Raises ExpressionError when a fact is asked for that nobody here knows.
    """
    first, connectives = chain(expr)
    result = _matches_leaf(first, question)
    for node in connectives:
        if result is isinstance(node, And):
            result = matches(node.right, question)
    return result


def _matches_leaf(expr: Expr, question: Question) -> bool:
    match expr:
        case Term(test=test):
            return holds(test, question)
        case Not(operand):
            return not matches(operand, question)
        case Expanded(expr=inner):
            return matches(inner, question)
        case Anywhere():
            return True
    raise AssertionError(expr)


def holds(test: Test, question: Question) -> bool:
    """Tell whether one condition holds; see matches()."""
    file, key = question.facts.file, question.facts.key
    match test:
        case Include(glob):
            return file is not None and glob_matches(glob, file)
        case Exclude(glob):
            return file is None or not glob_matches(glob, file)
        case Word.ANYTHING:
            return True
        case Word.NOTHING:
            return False
        case Word.IN_PREFERRED_DIR:
            return file is not None and _is_in_dir(
                file, question.facts.preferred_dir(question.repo)
            )
        case Word.UNUSED:
            return file is None and key is not None and question.facts.is_unused()
        case Word.STANDARD | Word.GROUP_WANTED:
            # Only what was not expanded: the real program takes them as true in a check of
            # an expression alone.
            return True
    return key is not None and _holds_for_key(test, key, question)


_KeyTest = (
    Copies
    | LackingCopies
    | LargerThan
    | SmallerThan
    | InAllGroup
    | OnlyInGroup
    | InBackend
    | Metadata
    | Url
    | Balanced
)


def _holds_for_key(test: _KeyTest | Word, key: Key, question: Question) -> bool:
    match test:
        case Word():
            if test is Word.PRESENT:
                return is_present(question)
            return _is_secure(key, question.facts)
        case LargerThan(size):
            return key.size is not None and key.size > size
        case SmallerThan(size):
            return key.size is None or key.size < size
        case InBackend(backend):
            return key.backend == backend.encode("utf-8", "surrogateescape")
        case Metadata():
            return _has_metadata(test, question.facts)
        case Url(glob):
            return any(glob_matches(glob, url, file=False) for url in question.facts.urls())
    return _holds_for_copies(test, key, question)


def _holds_for_copies(
    test: Copies | LackingCopies | InAllGroup | OnlyInGroup | Balanced,
    key: Key,
    question: Question,
) -> bool:
    match test:
        case Copies():
            return _has_copies(test, question)
        case LackingCopies():
            return _lacks_copies(test, question)
        case InAllGroup(group):
            members = question.facts.members(group)
            return not members or (
                members.isdisjoint(question.absent) and members <= question.holders()
            )
        case OnlyInGroup(group):
            members = question.facts.members(group)
            copies = question.holders() if members else frozenset()
            return not members.isdisjoint(copies) and copies <= members
        case Balanced():
            return _is_balanced_here(test, key, question)
        case _:
            assert_never(test)


def _is_in_dir(file: str, wanted: str) -> bool:
    """Tell whether `file` lies directly in a directory of that name, at any depth.

    (The manual has "a directory with that name"; the real program compares the names of those
    further up with their slash, so `sub/` as a name would mean them.)
    """
    if "/" not in file:
        return wanted == "."
    *above, parent = file.split("/")[:-1]
    return wanted == parent or wanted in {f"{name}/" for name in above}


def is_present(question: Question) -> bool:
    """Tell whether the repository has the key.

    `present` is about what is so now: `absent` is not looked at, so that a repository with
    this term keeps what it has."""
    return question.repo in question.present or question.facts.is_present(question.repo)


def _is_secure(key: Key, facts: Facts) -> bool:
    return is_secure_key(key, facts.equivalent_keys() if key.backend == b"VURL" else ())


def _has_copies(test: Copies, question: Question) -> bool:
    copies, trust = question.copies(), question.facts.trust
    if test.group is not None:
        return len(copies & question.facts.members(test.group)) >= test.count
    if test.trust is None:
        return len(copies) >= test.count
    levels = test.levels
    return sum(trust(repo) in levels for repo in copies) >= test.count


def _trusted_copies(question: Question) -> Set[UUID]:
    trust = question.facts.trust
    return {repo for repo in question.copies() if trust(repo) in _RELIABLE}


def _lacks_copies(test: LackingCopies, question: Question) -> bool:
    facts = question.facts
    wanted = facts.global_numcopies() if test.approximate else facts.numcopies()
    copies = _trusted_copies(question)
    if test.group is not None:
        copies = copies & facts.members(test.group)
    return wanted - len(copies) >= test.count


def _has_metadata(test: Metadata, facts: Facts) -> bool:
    field = test.field.lower()
    values = {v for name, all_ in facts.metadata().items() if name.lower() == field for v in all_}
    if test.operator == "=":
        return any(glob_matches(test.value, v, ignore_case=True, file=False) for v in values)
    return any(_compares(value, test.operator, test.value) for value in values)


def _compares(value: str, sign: str, limit: str) -> bool:
    """Compare as numbers when both are some, else by bytes: dates, for example."""
    compare = _COMPARE[sign]
    try:
        return bool(compare(read_whole_float(value), read_whole_float(limit)))
    except ValueError:
        one, two = (text.encode("utf-8", "surrogateescape") for text in (value, limit))
        return bool(compare(one, two))


def _is_balanced_here(test: Balanced, key: Key, question: Question) -> bool:
    if test.enough is None or question.rebalance:
        return question.repo in choose(test, key, question).picked
    if is_present(question):
        return True
    if has_enough(test.enough, question):
        return False
    return question.repo in choose(test, key, question).picked


def has_enough(enough: Copies | LackingCopies, question: Question) -> bool:
    """Tell whether members of a balanced group may leave the key to those who have it."""
    if isinstance(enough, Copies):
        return _has_copies(enough, question)
    return not _lacks_copies(enough, question)


def choose(test: Balanced, key: Key, question: Question) -> balanced.Choice:
    """Choose the members of a balanced term's group that the key belongs in. What was chosen is
    kept with the facts, for the other members that ask."""
    facts = question.facts
    members = facts.members(test.group)
    count = test.count
    if count is None:
        outside = _trusted_copies(question) - members
        count = facts.numcopies() - len(outside)
    asked = (test.group, test.by_size, count, question.rebalance)
    found = facts.choices.get(asked)
    if found is None:
        by_size = test.by_size or (
            question.rebalance and balanced.needs_size_balance(members, count, facts)
        )
        found = facts.choices[asked] = _choice(members, key, facts, count, by_size=by_size)
    return found


def _choice(
    members: Set[UUID], key: Key, facts: Facts, count: int, *, by_size: bool
) -> balanced.Choice:
    holders = facts.raw_locations()
    if by_size:
        candidates = balanced.candidates_by_size(members, key, holders, facts, count)
    else:
        candidates = balanced.candidates_by_hash(members, key, holders, facts)
    picked = balanced.pick(members, candidates, key, count)
    return balanced.Choice(members, count, by_size, candidates, tuple(picked))
