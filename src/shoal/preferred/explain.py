"""Why a repository wants a key, or does not: an expression with what each part came to.

    explanation = explain(policy, facts, default=False, everything=True)
    explanation.matches               # what policy.wants() says
    explanation.root                  # the tree: Steps with their values
    explanation.root.parts[0].placement.members   # a balanced term's members, ranked

trail.py shows an explanation in one line, as the real program's --explain does.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from shoal.preferred import balanced
from shoal.preferred.evaluate import Question, choose, has_enough, holds, is_present
from shoal.preferred.expr import (
    And,
    Anywhere,
    Balanced,
    Expanded,
    Expr,
    Not,
    Or,
    Term,
    chain,
)
from shoal.preferred.facts import Facts
from shoal.preferred.policy import Policy
from shoal.preferred.stability import unstable_terms
from shoal.values.key import Key
from shoal.values.uuid import UUID, uuid_bytes


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a balanced term's group, as it looked for one key.

    `limit` is its maximum size and `used` what it has, in bytes, or None when not known;
    `free` the part of the limit that is free, were the key not there, None without a limit.
    `rank` counts from 1, the first choice; None: it is no candidate, having no room for the key
    (or, when choosing by size, no maximum size, or less room than others).
    """

    repo: UUID
    limit: int | None
    used: int | None
    free: float | None
    has_it: bool
    rank: int | None
    picked: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """How the members of a balanced term's group were chosen for one key.

    `count` is how many were to be picked. Candidates are sorted by UUID, and `rank` modulo their
    number is the place of the first one that is picked; the next ones follow it, in a circle.
    `rank` is the HMAC of the key that all who know the group compute alike. `by_size`: the
    candidates are only the `count` members with the largest part of their limit free.
    `members` are sorted by their rank, those that are no candidates last.

    `keeps`: the repository has the key, and the term lets it keep that. `enough`: others have
    enough copies, so that the term wants no more. (Both False for the `fully…` terms.)
    """

    group: str
    count: int
    by_size: bool
    rank: int
    members: tuple[Member, ...]
    keeps: bool
    enough: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One part of an expression, and what it came to.

    `kind` is "term", "and", "or", "not", "group" (`standard` or `groupwanted`, its meaning as
    the only part) or "empty". `text` is the word of a term or group, else the same as `kind`.
    `value` None: not looked at, because what is left of it had decided.
    """

    kind: str
    text: str
    value: bool | None
    parts: tuple[Step, ...] = ()
    placement: Placement | None = None

    def terms(self) -> Iterator[Step]:
        """Give all terms below, from left to right."""
        if self.kind == "term":
            yield self
        for part in self.parts:
            yield from part.terms()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why `repo` wants a key or not.

    `unstable` names the terms that make the expression unusable: then nothing matches, whatever
    `root` says. `configured` False: there is no expression, and the caller's default counts.
    """

    repo: UUID
    matches: bool
    root: Step
    configured: bool = True
    unstable: tuple[str, ...] = field(default=())


def explain(
    policy: Policy,
    facts: Facts,
    *,
    default: bool,
    required: bool = False,
    absent: Set[UUID] = frozenset(),
    present: Set[UUID] = frozenset(),
    rebalance: bool = False,
    everything: bool = False,
) -> Explanation:
    """Explain what `policy` wants. Arguments as in Policy.wants().

    To explain a drop, `absent` has the repository itself. `required`: explain the required
    content alone. `everything` looks at all terms, also at those that could not change the
    answer any more. Raises ExpressionError when a fact is asked for that is not known.
    """
    expr = policy.required if required else policy.wanted
    question = Question(policy.repo, facts, absent, present, rebalance)
    if isinstance(expr, Anywhere) or (facts.key is None and facts.file is None):
        configured = not isinstance(expr, Anywhere)
        return Explanation(policy.repo, default, Step("empty", "", None), configured)
    root = step_through(expr, question, everything=everything)
    unstable = unstable_terms(expr)
    return Explanation(policy.repo, bool(root.value) and not unstable, root, unstable=unstable)


def step_through(expr: Expr, question: Question, *, everything: bool = False) -> Step:
    """Give an expression with the value of each part; the root's is what matches() says."""
    first, connectives = chain(expr)
    so_far = _leaf(first, question, everything)
    for node in connectives:
        is_and = isinstance(node, And)
        open_ = so_far.value is is_and
        if open_ or everything:
            right = step_through(node.right, question, everything=everything)
        else:
            right = _unseen(node.right)
        kind = "and" if is_and else "or"
        so_far = Step(kind, kind, right.value if open_ else so_far.value, (so_far, right))
    return so_far


def _leaf(expr: Expr, question: Question, everything: bool) -> Step:
    match expr:
        case Term(word, test):
            value = holds(test, question)
            key = question.facts.key
            if isinstance(test, Balanced) and key is not None:
                return Step("term", word, value, placement=_placement(test, key, question))
            return Step("term", word, value)
        case Not(operand):
            inner = step_through(operand, question, everything=everything)
            return Step("not", "not", not inner.value, (inner,))
        case Expanded(word, meaning):
            inner = step_through(meaning, question, everything=everything)
            return Step("group", word, inner.value, (inner,))
    return Step("empty", "", True)


def _unseen(expr: Expr) -> Step:
    match expr:
        case Term(word):
            return Step("term", word, None)
        case Not(operand):
            return Step("not", "not", None, (_unseen(operand),))
        case Expanded(word, meaning):
            return Step("group", word, None, (_unseen(meaning),))
        case Anywhere():
            return Step("empty", "", None)
    first, connectives = chain(expr)
    so_far = _unseen(first)
    for node in connectives:
        kind = "or" if isinstance(node, Or) else "and"
        so_far = Step(kind, kind, None, (so_far, _unseen(node.right)))
    return so_far


def _placement(test: Balanced, key: Key, question: Question) -> Placement:
    choice = choose(test, key, question)
    waits = test.enough is not None and not question.rebalance
    return Placement(
        test.group,
        choice.count,
        choice.by_size,
        balanced.rank(choice.members, key),
        _members(choice, key, question.facts),
        keeps=waits and is_present(question),
        enough=waits and test.enough is not None and has_enough(test.enough, question),
    )


def _members(choice: balanced.Choice, key: Key, facts: Facts) -> tuple[Member, ...]:
    holders = facts.raw_locations()
    in_order = balanced.pick(choice.members, choice.candidates, key, len(choice.candidates))
    ranks = {repo: number for number, repo in enumerate(in_order, 1)}
    others = sorted(choice.members - choice.candidates, key=uuid_bytes)
    found = []
    for repo in (*in_order, *others):
        limit = facts.max_size(repo)
        free = balanced.free_part(repo, key, holders, facts) if limit else None
        found.append(
            Member(
                repo,
                limit,
                facts.live_size(repo),
                free,
                has_it=repo in holders,
                rank=ranks.get(repo),
                picked=repo in choice.picked,
            )
        )
    return tuple(found)
