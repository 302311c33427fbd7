"""Lint: expressions that are allowed, but hardly do what was meant.

The real program takes every expression that parses. What is found here is said to people; it
changes neither what is recorded nor what is wanted. Only what is certain is said.

    for finding in lint_network(network):
        print(finding.source, finding.repo, finding.text)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shoal.errors import ExpressionError
from shoal.preferred.certain import Verdict, atoms, judge
from shoal.preferred.expr import Expr, Not, chain
from shoal.preferred.finding import Finding, NetworkFacts
from shoal.preferred.lint_balanced import balanced_groups, lint_balanced, lint_balanced_group
from shoal.preferred.lint_groups import lint_groups, lint_standard, terms
from shoal.preferred.lint_words import lint_words
from shoal.preferred.parse import parse
from shoal.preferred.policy import expand
from shoal.preferred.show import show
from shoal.preferred.stability import unstable_terms
from shoal.values.uuid import UUID


def lint_network(network: NetworkFacts) -> list[Finding]:
    """Give all that is found in the expressions and groups of a network."""
    found: list[Finding] = []
    for repo in sorted(network.repositories()):
        for source, text in (
            ("wanted", network.wanted(repo)),
            ("required", network.required(repo)),
        ):
            found += _named(_lint(text, repo, network), source, repo=repo)
    for group, text in sorted(network.group_wanted().items()):
        found += _named(_lint_of_group(text, group, network), "groupwanted", group=group)
    for group in balanced_groups(network):
        found += lint_balanced_group(group, network)
    return list(dict.fromkeys(found))


def lint_wanted(source: str, repo: UUID, network: NetworkFacts) -> list[Finding]:
    """Give what is found in the `source` ("wanted" or "required") expression of a repository,
    and in the balanced groups that it takes part in."""
    text = network.wanted(repo) if source == "wanted" else network.required(repo)
    found = _named(_lint(text, repo, network), source, repo=repo)
    for group in balanced_groups(network, [repo]):
        found += lint_balanced_group(group, network)
    return list(dict.fromkeys(found))


def lint_group_wanted(group: str, network: NetworkFacts) -> list[Finding]:
    """Give what is found in the `groupwanted` expression of a group."""
    text = network.group_wanted().get(group, "")
    found = _named(_lint_of_group(text, group, network), "groupwanted", group=group)
    for balanced in balanced_groups(network, network.members(group)):
        found += lint_balanced_group(balanced, network)
    return list(dict.fromkeys(found))


def lint_text(text: str) -> list[Finding]:
    """Give what is found in an expression without knowing where it is used.

    Raises ExpressionError when it does not parse.
    """
    expr = parse(text)
    found = list(lint_words(text))
    unstable = unstable_terms(expr)
    if unstable:
        found.append(_unstable(unstable))
    elif not any(finding.kind == "dangling" for finding in found):
        found += _certain(expr)
    return found


def _named(
    found: Iterator[Finding], source: str, *, repo: UUID | None = None, group: str | None = None
) -> list[Finding]:
    return [replace(one, source=source, repo=repo, group=group) for one in found]


def _lint(text: str, repo: UUID, network: NetworkFacts) -> Iterator[Finding]:
    try:
        expr = parse(text)
    except ExpressionError as error:
        yield _broken(error)
        return
    yield from lint_text(text)
    try:
        expanded = expand(expr, repo, network)
    except ExpressionError as error:
        yield _broken(error, "the expression of its group ")
        return
    if not unstable_terms(expr) and (unstable := unstable_terms(expanded)):
        yield _unstable(unstable)
    yield from lint_groups(expr, network)
    yield from lint_standard(expr, repo, network)
    yield from lint_balanced(expanded, repo, network)


def _lint_of_group(text: str, group: str, network: NetworkFacts) -> Iterator[Finding]:
    try:
        expr = parse(text)
    except ExpressionError as error:
        yield _broken(error)
        return
    yield from lint_text(text)
    if not network.members(group):
        yield Finding(
            "group",
            f"no repository is in group `{group}`, so this is used nowhere: correct the name, "
            f"or run shoal group REPOSITORY {group}",
        )
    yield from lint_groups(expr, network)
    if any(term.word == "groupwanted" for term in terms(expr)):
        text = "`groupwanted` inside the expression of a group means `present`: write out what"
        yield Finding("groupwanted", f"{text} is meant")


def _broken(error: ExpressionError, what: str = "") -> Finding:
    return Finding(
        "broken",
        f"{what}does not parse here ({error}), so that nothing is fetched and nothing dropped: "
        "correct it, or use a version that knows it",
    )


def _unstable(terms: tuple[str, ...]) -> Finding:
    names = ", ".join(f"`{term}`" for term in dict.fromkeys(terms))
    return Finding(
        "unstable",
        f"{names} is negated, which would want what is not there and drop what is; so the whole "
        "expression never matches: say it without that `not`",
    )


def _certain(expr: Expr) -> Iterator[Finding]:
    verdict = judge(expr)
    if not atoms(expr):
        return  # `anything`, `not anything` and so on are meant
    if verdict is Verdict.NEVER:
        text = "no key can match this expression: correct it, or write `nothing` if that is meant"
        yield Finding("never", text)
    elif verdict is Verdict.ALWAYS:
        text = "every key matches this expression: correct it, or write `anything` if that is meant"
        yield Finding("always", text)
    else:
        yield from _certain_parts(expr)


def _certain_parts(expr: Expr) -> Iterator[Finding]:
    """Look for the largest parts that make no difference."""
    first, connectives = chain(expr)
    for node in reversed(connectives):
        yield from _certain_part(node.right)
        if judge(node.left) is not Verdict.OPEN and atoms(node.left):
            yield _part(node.left)
            return
    if isinstance(first, Not):
        yield from _certain_part(first.operand)


def _certain_part(expr: Expr) -> Iterator[Finding]:
    if judge(expr) is Verdict.OPEN:
        yield from _certain_parts(expr)
    elif atoms(expr):
        yield _part(expr)


def _part(expr: Expr) -> Finding:
    verdict = judge(expr)
    kind = "never" if verdict is Verdict.NEVER else "always"
    return Finding(kind, f"the part `{show(expr)}` {verdict.value}: correct it, or leave it out")
