"""Merging other versions of the git-annex branch into ours, and making its transitions.

A version that was fetched or pushed is a ref named git-annex. Usually its files are
union-merged, and the branch gets a merge commit or is fast-forwarded. When one side has gone
through a transition (`git annex forget`) that the other has not, the transition is made on
the merged content, and history without it is left behind.
Source: behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.git.index import BranchIndex
from shoal.git.journal import Journal
from shoal.git.refs import BRANCH, RECORDING, describe
from shoal.git.siblings import Sibling, Siblings
from shoal.git.transitioning import drop_dead_rules, make_transitions
from shoal.logs import difference, transitions
from shoal.logs.difference import Difference
from shoal.logs.transitions import Line, Plan, Transition

if TYPE_CHECKING:
    from shoal.git.repository import Repository

TUNING = {
    "annex.tune.objecthashlower": Difference.OBJECT_HASH_LOWER,
    "annex.tune.objecthash1": Difference.ONE_LEVEL_OBJECT_HASH,
    "annex.tune.branchhash1": Difference.ONE_LEVEL_BRANCH_HASH,
}


class MergeRefused(ShoalError):
    """Another version of the branch must not be merged into ours."""


class Merging:
    """One merge of siblings into the branch of a repository, while its journal is locked."""

    def __init__(self, repository: Repository, siblings: Siblings) -> None:
        self._repository = repository
        self._siblings = siblings

    def merge(self, index: BranchIndex, journal: Journal, unmerged: Sequence[Sibling]) -> None:
        """Merge `unmerged` siblings. Raises MergeRefused before anything is changed."""
        tip = index.prepare()
        names = journal.names()
        peeled = [self._siblings.peeled(sibling) for sibling in unmerged]
        siblings = [one for one in peeled if not self._siblings.is_ancestor(one.commit, tip)]
        if not siblings:  # another process was faster, or the branch was made from the one
            self._siblings.record_merged(unmerged)
            return
        commits = [sibling.commit for sibling in siblings]
        ours = journal.read(transitions.PATH) or self._read(tip, transitions.PATH)
        plan = self._plan(ours, tip, siblings)
        self._check_differences(siblings)
        if plan is None and not names and self._fast_forward(index, tip, commits):
            self._siblings.record_merged(unmerged)
            return
        self._repository.note(RECORDING)
        index.stage_journal(journal, names)
        for commit in commits:
            index.merge(commit)
        if plan is None:
            index.commit(_message(siblings), commits)
        else:
            self._make_transitions(index, plan, tip)
        journal.remove(names)
        self._siblings.record_merged(unmerged)

    def _fast_forward(self, index: BranchIndex, tip: str, commits: Sequence[str]) -> bool:
        """Move the branch to the one commit that has everything; tell whether there is one."""
        for best in commits:
            if all(self._siblings.is_ancestor(commit, best) for commit in (tip, *commits)):
                break
        else:
            return False
        exact = index.status() == tip and index.tree() == index.tree_of(tip)
        if not exact:  # the index holds what was never committed: keep that
            index.merge(best)
        if not index.move_branch(best, tip):
            return False
        if exact:
            index.read_verbatim(best)
        index.set_status(best)
        return True

    def _check_differences(self, siblings: Iterable[Sibling]) -> None:
        config = self._repository.config
        ours = frozenset(one for key, one in TUNING.items() if config.get_bool(key, False))
        for sibling in siblings:
            log = difference.parse(self._read(sibling.commit, difference.PATH))
            if difference.all_of(log) != ours:
                raise MergeRefused(
                    f"{describe(sibling.ref)} is tuned in an incompatible way; it cannot be "
                    "merged with the local repository"
                )

    # Transitions

    def _plan(self, ours: bytes, tip: str, siblings: Sequence[Sibling]) -> Plan | None:
        theirs = {
            ref: _known_transitions(self._read(commit, transitions.PATH), describe(ref))
            for ref, commit in ((BRANCH, tip), *((one.ref, one.commit) for one in siblings))
        }
        return transitions.plan(_known_transitions(ours, "local"), theirs)

    def _make_transitions(self, index: BranchIndex, plan: Plan, tip: str) -> None:
        """Make the transitions of `plan` in the index, which has all content, and commit."""
        commits = {**self._siblings.refs, BRANCH: tip}
        parents = [self._siblings.peeled(Sibling(ref, commits[ref])).commit for ref in plan.parents]
        make_transitions(
            self._repository,
            index,
            plan.transitions,
            parents=parents,
            keep_history=not plan.replaces_branch,
        )
        ignored = dict.fromkeys(self._siblings.read_lines("ignoredrefs"))
        ignored |= dict.fromkeys(commits[ref] for ref in plan.ignored)
        self._siblings.write_lines("ignoredrefs", sorted(ignored))

    # Small things

    def _read(self, commit: str, path: str) -> bytes:
        found = self._repository.cat_file.read(os.fsencode(f"{commit}:{path}"))
        return b"" if found is None else found.content


def unmerged_content(
    repository: Repository, commits: Iterable[str], path: str, content: bytes
) -> bytes:
    """Give `content` of a file with that of `commits`, which cannot be merged since the
    repository is read-only. Transitions that some of them lack are made on the fly."""

    def read(commit: str, file: str) -> bytes:
        found = repository.cat_file.read(os.fsencode(f"{commit}:{file}"))
        return b"" if found is None else found.content

    together = b"".join((content, *(read(commit, path) for commit in commits)))
    logs = {commit: transitions.parse(read(commit, transitions.PATH)) for commit in commits}
    plan = transitions.plan(transitions.parse(read(BRANCH, transitions.PATH)), logs)
    if plan is None or Transition.FORGET_DEAD_REMOTES not in plan.transitions:
        return together
    rules = drop_dead_rules(repository, lambda file: read(BRANCH, file))
    return rules(path, together)


def _message(siblings: Iterable[Sibling]) -> str:
    return f"merging {' '.join(describe(one.ref) for one in siblings)} into git-annex"


def _known_transitions(log: bytes, source: str) -> frozenset[Line]:
    lines = transitions.parse(log)
    if transitions.unknown(lines):
        raise MergeRefused(f"unknown transitions listed in {source}; upgrade git-annex!")
    return lines
