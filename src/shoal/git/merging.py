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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.git.index import BranchIndex
from shoal.git.journal import Journal
from shoal.git.refs import BRANCH, describe
from shoal.git.transitioning import drop_dead_rules, make_transitions
from shoal.logs import difference, transitions
from shoal.logs.difference import Difference
from shoal.logs.transitions import Line, Plan, Transition

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_NOT_A_COMMIT = 128  # exit status of `git merge-base`
TUNING = {
    "annex.tune.objecthashlower": Difference.OBJECT_HASH_LOWER,
    "annex.tune.objecthash1": Difference.ONE_LEVEL_OBJECT_HASH,
    "annex.tune.branchhash1": Difference.ONE_LEVEL_BRANCH_HASH,
}


class MergeRefused(ShoalError):
    """Another version of the branch must not be merged into ours."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """A ref named git-annex, and the commit that it is at."""

    ref: str
    commit: str


class Merging:
    """One merge of siblings into the branch of a repository."""

    def __init__(self, repository: Repository, siblings: dict[str, str]) -> None:
        self._repository = repository
        self._git = repository.git
        self._siblings = siblings

    # Before the journal is locked

    def find_unmerged(self, tip: str | None) -> list[Sibling]:
        """Give the siblings with commits that the branch lacks, one for each commit."""
        ignored = set(_lines(self._repository.annex_path("ignoredrefs")))
        merged = {line.partition("\t")[0] for line in _lines(self._merged_refs)}
        unmerged, old = [], []
        for commit, ref in {sha: ref for ref, sha in reversed(self._siblings.items())}.items():
            if commit == tip or commit in ignored or commit in merged:
                continue
            known = self._is_ancestor(commit, tip) if tip else self._is_commit(commit)
            if known is True and tip is not None:
                old.append(Sibling(ref, commit))
            elif known is not None:
                unmerged.append(Sibling(ref, commit))
        repository = self._repository
        if old and repository.is_writable and repository.is_initialised:
            repository.make_directory(repository.annex_dir)
            with repository.locker.exclusive(repository.lock_path("journal")):
                self._record_merged(old)
        return sorted(unmerged, key=lambda sibling: sibling.ref)

    # While it is locked

    def merge(self, index: BranchIndex, journal: Journal, unmerged: Sequence[Sibling]) -> None:
        """Merge `unmerged` siblings. Raises MergeRefused before anything is changed."""
        tip = index.prepare()
        names = journal.names()
        peeled = [self._peeled(sibling) for sibling in unmerged]
        siblings = [one for one in peeled if not self._is_ancestor(one.commit, tip)]
        if not siblings:  # another process was faster, or the branch was made from the one
            self._record_merged(unmerged)
            return
        commits = [sibling.commit for sibling in siblings]
        ours = journal.read(transitions.PATH) or self._read(tip, transitions.PATH)
        plan = self._plan(ours, tip, siblings)
        self._check_differences(siblings)
        if plan is None and not names and self._fast_forward(index, tip, commits):
            self._record_merged(unmerged)
            return
        index.stage_journal(journal, names)
        for commit in commits:
            index.merge(commit)
        if plan is None:
            index.commit(_message(siblings), commits)
        else:
            self._make_transitions(index, plan, tip)
        journal.remove(names)
        self._record_merged(unmerged)

    def _fast_forward(self, index: BranchIndex, tip: str, commits: Sequence[str]) -> bool:
        """Move the branch to the one commit that has everything; tell whether there is one."""
        for best in commits:
            if all(self._is_ancestor(commit, best) for commit in (tip, *commits)):
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
        commits = {**self._siblings, BRANCH: tip}
        parents = [self._peeled(Sibling(ref, commits[ref])).commit for ref in plan.parents]
        make_transitions(
            self._repository,
            index,
            plan.transitions,
            parents=parents,
            keep_history=not plan.replaces_branch,
        )
        ignored = dict.fromkeys(_lines(self._repository.annex_path("ignoredrefs")))
        ignored |= dict.fromkeys(commits[ref] for ref in plan.ignored)
        self._write_lines("ignoredrefs", sorted(ignored))

    # Small things

    @property
    def _merged_refs(self) -> str:
        return self._repository.annex_path("mergedrefs")

    def _record_merged(self, siblings: Sequence[Sibling]) -> None:
        """Note in mergedrefs what need not be looked at again."""
        newest = {sibling.ref: sibling.commit for sibling in siblings}
        for line in _lines(self._merged_refs):
            commit, tab, ref = line.partition("\t")
            if tab:
                newest.setdefault(ref, commit)
        self._write_lines("mergedrefs", [f"{commit}\t{ref}" for ref, commit in newest.items()])

    def _write_lines(self, name: str, lines: Iterable[str]) -> None:
        content = os.fsencode("".join(f"{line}\n" for line in lines))
        self._repository.othertmp.replace(self._repository.annex_path(name), content)

    def _read(self, commit: str, path: str) -> bytes:
        found = self._repository.cat_file.read(os.fsencode(f"{commit}:{path}"))
        return b"" if found is None else found.content

    def _peeled(self, sibling: Sibling) -> Sibling:
        """Follow an annotated tag to its commit."""
        words = ("rev-parse", "--verify", f"{sibling.commit}^{{commit}}")
        return Sibling(sibling.ref, self._git.line(*words))

    def _is_commit(self, commit: str) -> bool | None:
        words = ("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
        return None if self._git.ask(*words)[0] else True

    def _is_ancestor(self, commit: str, of: str) -> bool | None:
        """Tell whether `of` contains `commit`; None when it is no commit."""
        status = self._git.ask("merge-base", "--is-ancestor", commit, of)[0]
        return None if status == _NOT_A_COMMIT else status == 0


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


def _lines(path: str) -> list[str]:
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read()).splitlines()
    except FileNotFoundError:
        return []
