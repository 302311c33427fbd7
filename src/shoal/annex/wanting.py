"""What repositories want, and why: the questions that commands ask, explained if the user likes.

The sentences of --explain are those of git-annex 10.20261026.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from shoal.preferred.facts import Facts
from shoal.preferred.policy import Policy
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.annex.matching import Candidate

Files = Callable[[], Sequence["Candidate"]]
"""Gives the files of the work tree that have the same key, the file itself among them."""

_PREFERRED, _REQUIRED = "preferred content", "required content"


class Asking(Protocol):
    """What there is to ask, and how the user wants it asked."""

    @property
    def rebalance(self) -> bool:
        """Whether balanced terms look at where content belongs, not at where it already is."""

    @property
    def explain(self) -> Callable[[str], None] | None:
        """What takes the sentences that explain decisions; None: nobody wants them."""

    def facts(self, candidate: Candidate) -> Facts:
        """Give what preferred content terms may ask about a candidate."""

    def policy(self, repository: UUID) -> Policy:
        """Give what a repository wants."""


def wants(asking: Asking, repository: UUID, candidate: Candidate) -> bool:
    """Tell whether a repository's preferred content wants the file. Without any it does not."""
    policy, facts = asking.policy(repository), asking.facts(candidate)
    if asking.explain is not None and policy.is_configured:
        return _explained(asking, policy, facts)
    return policy.wants(facts, default=False, rebalance=asking.rebalance)


def lets_go(asking: Asking, repository: UUID, candidate: Candidate, files: Files = tuple) -> bool:
    """Tell whether a repository would not keep the file, nor any of `files`. Without preferred
    content it keeps nothing."""
    policy, facts = asking.policy(repository), asking.facts(candidate)
    if not policy.is_configured:
        return True
    if asking.explain is not None:
        return not _explained_for_any(asking, policy, candidate, files, required=False)
    others = _others(asking, candidate, files)
    return policy.lets_go(facts, others, default=False, rebalance=asking.rebalance)


def requires(asking: Asking, repository: UUID, candidate: Candidate, files: Files = tuple) -> bool:
    """Tell whether a repository's required content forbids to drop the key."""
    policy = asking.policy(repository)
    if not policy.has_required:
        return False
    if asking.explain is not None:
        return _explained_for_any(asking, policy, candidate, files, required=True)
    others = _others(asking, candidate, files)
    return policy.requires(asking.facts(candidate), others, rebalance=asking.rebalance)


def _others(asking: Asking, candidate: Candidate, files: Files) -> Iterable[Facts]:
    """Give facts for the other files, looked up when the first one is asked for."""
    for other in files():
        if other.path != candidate.path:
            yield asking.facts(other)


def _explained_for_any(
    asking: Asking, policy: Policy, candidate: Candidate, files: Files, *, required: bool
) -> bool:
    """Tell whether a repository keeps the file or one of `files`, each one explained. (The
    file is among these again, and so explained again, as in the real program.)"""

    def keeps(one: Candidate) -> bool:
        facts = asking.facts(one)
        return _explained(asking, policy, facts, required=required, dropped=True)

    return keeps(candidate) or any(keeps(one) for one in files())


def _explained(
    asking: Asking,
    policy: Policy,
    facts: Facts,
    *,
    required: bool = False,
    dropped: bool = False,
) -> bool:
    from shoal.preferred.explain import explain
    from shoal.preferred.trail import sentence

    explanation = explain(
        policy,
        facts,
        default=False,
        required=required,
        absent=frozenset([policy.repo]) if dropped else frozenset(),
        rebalance=asking.rebalance,
    )
    subject = facts.file if facts.file is not None else str(facts.key)
    if asking.explain is not None:
        content = _REQUIRED if required else _PREFERRED
        asking.explain(sentence(explanation, content, subject))
    return explanation.matches
