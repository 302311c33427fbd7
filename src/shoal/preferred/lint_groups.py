"""Lint for groups that expressions name, and for `standard` and `groupwanted`."""

from __future__ import annotations

from collections.abc import Iterator

from shoal.logs.trust import TrustLevel
from shoal.preferred.expr import (
    Balanced,
    Copies,
    Expr,
    InAllGroup,
    LackingCopies,
    Not,
    OnlyInGroup,
    Term,
    Word,
    chain,
)
from shoal.preferred.finding import Finding, NetworkFacts
from shoal.preferred.standard_groups import STANDARD_GROUPS
from shoal.values.uuid import UUID

_TRUST_WORDS = frozenset(level.name.lower() for level in TrustLevel)


def terms(expr: Expr) -> Iterator[Term]:
    """Give the terms of an expression as it was written, from left to right."""
    first, connectives = chain(expr)
    if isinstance(first, Term):
        yield first
    elif isinstance(first, Not):
        yield from terms(first.operand)
    for node in connectives:
        yield from terms(node.right)


def lint_groups(expr: Expr, network: NetworkFacts) -> Iterator[Finding]:
    """Find groups that have no member, and names of groups and trust levels mixed up."""
    for term in dict.fromkeys(terms(expr)):
        if isinstance(term.test, Copies) and term.test.trust is not None:
            yield from _trust_level(term.word, term.test.trust, network)
        elif (named := _group(term)) is not None:
            yield from _named_group(term.word, *named, network)


def _trust_level(word: str, trust: TrustLevel, network: NetworkFacts) -> Iterator[Finding]:
    name = trust.name.lower()
    if network.members(name):
        text = f"`{word}` counts repositories that are {name}, not members of group `{name}`"
        yield Finding("trust", f"{text}: give the group another name")


def _group(term: Term) -> tuple[str, str] | None:
    """Give the group that a term is about, and what the term does when it has no members."""
    match term.test:
        case Copies(count, None, _, str(group)):
            return group, "always matches" if count <= 0 else "never matches"
        case LackingCopies(_, _, str(group)):
            return group, "counts no copies"
        case InAllGroup(group):
            return group, "always matches"
        case OnlyInGroup(group):
            return group, "never matches"
        case Balanced(group):
            return group, "chooses nobody"
    return None


def _named_group(word: str, group: str, effect: str, network: NetworkFacts) -> Iterator[Finding]:
    if group.removesuffix("+") in _TRUST_WORDS:
        text = f"`{group}` in `{word}` is the name of a group there, not a trust level"
        yield Finding("trust", f"{text}: give the group another name, or count with copies=")
    elif not network.members(group):
        yield Finding(
            "group",
            f"no repository is in group `{group}`, so `{word}` {effect}: correct the name, or "
            f"run shoal group REPOSITORY {group}",
        )


def lint_standard(expr: Expr, repo: UUID, network: NetworkFacts) -> Iterator[Finding]:
    """Find `standard` and `groupwanted` where it is not clear what they stand for."""
    name, groups = network.name(repo), network.groups(repo)
    used = {term.test for term in terms(expr)}
    if Word.STANDARD in used:
        found = sorted(groups & STANDARD_GROUPS.keys())
        text = f"`standard` means `present`, because {name} is in "
        if not found:
            yield Finding(
                "standard",
                f"{text}none of the standard groups ({', '.join(STANDARD_GROUPS)}): run shoal "
                f"group {name} GROUP",
            )
        elif len(found) > 1:
            yield Finding("standard", f"{text}{_several(found)}: shoal ungroup it from all but one")
    if Word.GROUP_WANTED in used:
        found = sorted(groups & network.group_wanted().keys())
        text = f"`groupwanted` means `present`, because {name} is in "
        if not found:
            text += "no group that has an expression: run shoal group, or shoal groupwanted GROUP"
            yield Finding("groupwanted", f"{text} EXPRESSION")
        elif len(found) > 1:
            text += f"{_several(found)}, which all have an expression: shoal ungroup it from all"
            yield Finding("groupwanted", f"{text} but one")


def _several(names: list[str]) -> str:
    return f"several groups ({', '.join(names)})"
