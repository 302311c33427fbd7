"""Lint for balanced groups: who is chosen, has room, and would take what it was chosen for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from shoal.errors import ExpressionError
from shoal.logs.trust import TrustLevel
from shoal.preferred.expr import Balanced, Expanded, Expr, Not, Term, chain
from shoal.preferred.finding import Finding, NetworkFacts
from shoal.preferred.parse import parse
from shoal.preferred.policy import expand
from shoal.preferred.show import show
from shoal.values.uuid import UUID


def lint_balanced(expr: Expr, repo: UUID, network: NetworkFacts) -> Iterator[Finding]:
    """Find balanced terms of an expanded expression that cannot choose `repo`, or choose
    nobody, or all."""
    for term, test in dict.fromkeys(_balanced_terms(expr)):
        members, group = network.members(test.group), test.group
        if not members:
            continue
        if repo not in members:
            name = network.name(repo)
            yield Finding(
                "outside",
                f"{name} is not in group `{group}`, so `{term.word}` never chooses it: run shoal "
                f"group {name} {group}",
            )
        if test.count is None:
            continue
        if test.count <= 0:
            yield Finding("count", f"`{term.word}` chooses nobody: write a number of 1 or more")
        elif test.count > len(members):
            yield Finding(
                "count",
                f"`{term.word}` wants {test.count} members, but group `{group}` has "
                f"{len(members)}, so all are chosen: add members, or write a smaller number",
            )


def balanced_groups(
    network: NetworkFacts, repos: Iterable[UUID] | None = None
) -> dict[str, list[UUID]]:
    """Give the groups that the expressions of `repos` (by default all) balance, sorted, with
    those repositories."""
    found: dict[str, list[UUID]] = {}
    for repo in sorted(network.repositories() if repos is None else repos):
        for group in sorted({test.group for _, test in _balanced_terms(_wanted(repo, network))}):
            found.setdefault(group, []).append(repo)
    return dict(sorted(found.items()))


def lint_balanced_group(group: str, network: NetworkFacts) -> Iterator[Finding]:
    """Find members that cannot be chosen, or would not take what they are chosen for."""
    members = sorted(network.members(group))
    wanted = {repo: _wanted(repo, network) for repo in members}
    taking = {
        repo: [term.word for term, test in _balanced_terms(expr) if test.group == group]
        for repo, expr in wanted.items()
    }
    by_size = any(
        test.by_size
        for expr in wanted.values()
        for _, test in _balanced_terms(expr)
        if test.group == group
    )
    for kind, text in (
        ("dead", _dead(group, members, network)),
        ("maxsize", _sizeless(group, members, network) if by_size else ""),
        ("maxsize", _closed(group, members, network)),
        ("share", _idle(group, taking, network)),
        ("differ", _different(group, {r: wanted[r] for r in members if taking[r]}, network)),
    ):
        if text:
            yield Finding(kind, text, group=group)


def _dead(group: str, members: list[UUID], network: NetworkFacts) -> str:
    dead = [repo for repo in members if network.trust(repo) is TrustLevel.DEAD]
    if not dead:
        return ""
    return (
        f"{_names(dead, network)} is dead but still a member of group `{group}`, and keys are "
        f"chosen for it that nobody stores: shoal ungroup it from {group}"
    )


def _sizeless(group: str, members: list[UUID], network: NetworkFacts) -> str:
    without = [repo for repo in members if network.max_size(repo) is None]
    if not without:
        return ""
    return (
        f"no maximum size is set for {_names(without, network)} of group `{group}`, which is "
        "balanced by size and so never chooses it: run shoal maxsize REPOSITORY SIZE"
    )


def _closed(group: str, members: list[UUID], network: NetworkFacts) -> str:
    closed = [repo for repo in members if network.max_size(repo) == 0]
    if not closed:
        return ""
    return (
        f"the maximum size of {_names(closed, network)} is 0, so the balanced group `{group}` "
        "never chooses it: run shoal maxsize REPOSITORY SIZE"
    )


def _idle(group: str, taking: dict[UUID, list[str]], network: NetworkFacts) -> str:
    idle = [repo for repo, words in taking.items() if not words]
    if not idle:
        return ""
    word = next((words[0] for words in taking.values() if words), f"balanced={group}")
    return (
        f"{_names(idle, network)} is a member of the balanced group `{group}` but does not take "
        f"what is chosen for it: put `{word}` into its wanted expression, or ungroup it"
    )


def _different(group: str, wanted: dict[UUID, Expr], network: NetworkFacts) -> str:
    texts: dict[str, UUID] = {}
    for repo, expr in wanted.items():
        texts.setdefault(show(expr, meaning=True), repo)
    if len(texts) < 2:
        return ""
    shown = "; ".join(f"{network.name(repo)}: `{text}`" for text, repo in texts.items())
    return (
        f"members of the balanced group `{group}` want different things ({shown}), so a key may "
        "get fewer or more copies than meant: give all the same expression"
    )


def _names(repos: Collection[UUID], network: NetworkFacts) -> str:
    return ", ".join(network.name(repo) for repo in repos)


def _wanted(repo: UUID, network: NetworkFacts) -> Expr:
    """Give the expanded expression of a repository; of a broken one, that it has none."""
    try:
        return expand(parse(network.wanted(repo)), repo, network)
    except ExpressionError:
        return parse("")


def _balanced_terms(expr: Expr) -> Iterator[tuple[Term, Balanced]]:
    first, connectives = chain(expr)
    match first:
        case Term(test=Balanced() as test):
            yield first, test
        case Not(inner) | Expanded(expr=inner):
            yield from _balanced_terms(inner)
    for node in connectives:
        yield from _balanced_terms(node.right)
