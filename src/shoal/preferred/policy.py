"""What one repository wants: its expressions put together, and the questions asked of them.

A repository wants what its preferred content or its required content matches. The rules for
missing, broken and unstable expressions are those of git-annex 10.20261026:

* nothing configured: the caller's default;
* an expression that does not parse, say because a newer version wrote it, becomes `present`:
  nothing more is fetched and nothing is dropped;
* an unstable expression (see stability.py) never matches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Protocol

from shoal.errors import ExpressionError
from shoal.preferred.evaluate import Question, matches
from shoal.preferred.expr import (
    PRESENT,
    And,
    Anywhere,
    Expanded,
    Expr,
    Not,
    Or,
    Term,
    Word,
    chain,
    either,
)
from shoal.preferred.facts import Facts
from shoal.preferred.parse import parse
from shoal.preferred.sized import looks_at_sizes
from shoal.preferred.stability import unstable_terms
from shoal.preferred.standard_groups import standard_expression
from shoal.values.uuid import UUID


class Rules(Protocol):
    """What is configured on the git-annex branch: expression texts and groups."""

    def wanted(self, repo: UUID) -> str:
        """The preferred content expression of `repo`, or ""."""

    def required(self, repo: UUID) -> str:
        """The required content expression of `repo`, or ""."""

    def group_wanted(self) -> Mapping[str, str]:
        """The preferred content expressions of groups."""

    def groups(self, repo: UUID) -> Set[str]:
        """The groups that `repo` is in."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What one repository wants, ready to be asked.

    `wanted` is preferred or required content, `required` the latter alone; both expanded, and
    ANYWHERE when not configured.
    """

    repo: UUID
    wanted: Expr
    required: Expr
    stable: bool = True
    required_stable: bool = True
    looks_at_sizes: bool = False  # whether it depends on how full repositories are

    @classmethod
    def of(cls, repo: UUID, rules: Rules) -> Policy:
        """Prepare what the git-annex branch says about `repo`. Never fails: see above."""
        broken = False
        parts: list[Expr] = []
        for text in (rules.wanted(repo), rules.required(repo)):
            try:
                parts.append(expand(parse(text), repo, rules))
            except ExpressionError:
                broken = True
                parts.append(PRESENT)
        preferred, required = parts
        wanted = PRESENT if broken else either(preferred, required)
        return cls(
            repo,
            wanted,
            required,
            not unstable_terms(wanted),
            not unstable_terms(required),
            looks_at_sizes(wanted),
        )

    @property
    def is_configured(self) -> bool:
        """False when the repository has no say, so that callers' defaults count."""
        return not isinstance(self.wanted, Anywhere)

    @property
    def has_required(self) -> bool:
        """False when nothing is required here."""
        return not isinstance(self.required, Anywhere)

    def wants(
        self,
        facts: Facts,
        *,
        default: bool,
        absent: Set[UUID] = frozenset(),
        present: Set[UUID] = frozenset(),
        rebalance: bool = False,
    ) -> bool:
        """Tell whether the repository should get (or keep) the key.

        `default` answers when nothing is configured, and when there is neither key nor file.
        Raises ExpressionError when a fact is asked for that is not known.
        """
        question = Question(self.repo, facts, absent, present, rebalance)
        return _ask(self.wanted, question, stable=self.stable, default=default)

    def lets_go(
        self,
        facts: Facts,
        others: Iterable[Facts] = (),
        *,
        default: bool,
        absent: Set[UUID] = frozenset(),
        rebalance: bool = False,
    ) -> bool:
        """Tell whether the repository does not want the key, were it dropped from here.

        `others` are facts for the other files of the work tree with the same key: one that
        wants it is enough to keep it. `default` is what the repository wants if nothing is
        configured (True: it keeps everything).
        """
        question = Question(self.repo, facts, {*absent, self.repo}, rebalance=rebalance)
        return not any(
            _ask(self.wanted, asked, stable=self.stable, default=default)
            for asked in _for_each(question, others)
        )

    def requires(
        self, facts: Facts, others: Iterable[Facts] = (), *, rebalance: bool = False
    ) -> bool:
        """Tell whether required content alone forbids to drop the key from here."""
        question = Question(self.repo, facts, frozenset({self.repo}), rebalance=rebalance)
        return any(
            _ask(self.required, asked, stable=self.required_stable, default=False)
            for asked in _for_each(question, others)
        )


def expand(expr: Expr, repo: UUID, rules: Rules) -> Expr:
    """Replace `standard` and `groupwanted` by what they stand for in `repo`.

    What cannot be resolved, as without or with several such groups, becomes `present`. Raises
    ExpressionError when a group's expression does not parse.
    """
    return _expanded(expr, repo, rules, frozenset({Word.STANDARD, Word.GROUP_WANTED}))


def _expanded(expr: Expr, repo: UUID, rules: Rules, may: frozenset[Word]) -> Expr:
    first, connectives = chain(expr)
    result: Expr = first
    match first:
        case Not(operand):
            result = Not(_expanded(operand, repo, rules, may))
        case Term(word, Word.STANDARD):
            text = standard_expression(rules.groups(repo)) if Word.STANDARD in may else None
            inner = PRESENT if text is None else _expanded(parse(text), repo, rules, frozenset())
            result = Expanded(word, inner)
        case Term(word, Word.GROUP_WANTED):
            text = _group_expression(repo, rules) if Word.GROUP_WANTED in may else None
            inner = (
                _expanded(parse(text), repo, rules, may - {Word.GROUP_WANTED}) if text else PRESENT
            )
            result = Expanded(word, inner)
    for node in connectives:
        right = _expanded(node.right, repo, rules, may)
        result = And(result, right) if isinstance(node, And) else Or(result, right)
    return result


def _group_expression(repo: UUID, rules: Rules) -> str | None:
    configured = rules.group_wanted()
    found = [configured[group] for group in rules.groups(repo) if group in configured]
    return found[0] if len(found) == 1 else None


def _ask(expr: Expr, question: Question, *, stable: bool, default: bool) -> bool:
    facts = question.facts
    if isinstance(expr, Anywhere) or (facts.key is None and facts.file is None):
        return default
    return stable and matches(expr, question)


def _for_each(question: Question, others: Iterable[Facts]) -> Iterator[Question]:
    yield question
    for facts in others:
        yield replace(question, facts=facts)
