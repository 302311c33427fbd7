"""Other versions of the git-annex branch: which of them the branch lacks.

Every command asks that, and almost always the answer is: none. Merging them is in merging.py.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shoal.values.record import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shoal.git.repository import Repository

_NOT_A_COMMIT = 128  # exit status of `git merge-base`


@record
class Sibling:
    """A ref named git-annex, and the commit that it is at."""

    ref: str
    commit: str


class Siblings:
    """The other versions that a repository has, by the names of their refs."""

    def __init__(self, repository: Repository, refs: Mapping[str, str]) -> None:
        self.refs = refs
        self._repository = repository
        self._git = repository.git

    def find_unmerged(self, tip: str | None) -> list[Sibling]:
        """Give those with commits that the branch lacks, one for each commit. Before the journal
        is locked."""
        ignored = set(self.read_lines("ignoredrefs"))
        merged = {line.partition("\t")[0] for line in self.read_lines("mergedrefs")}
        unmerged, old = [], []
        by_commit = {sha: ref for ref, sha in reversed([*self.refs.items()])}
        for commit, ref in by_commit.items():
            if commit == tip or commit in ignored or commit in merged:
                continue
            known = self.is_ancestor(commit, tip) if tip else self._is_commit(commit)
            if known is True and tip is not None:
                old.append(Sibling(ref, commit))
            elif known is not None:
                unmerged.append(Sibling(ref, commit))
        repository = self._repository
        if old and repository.is_writable and repository.is_initialised:
            repository.make_directory(repository.annex_dir)
            with repository.locker.exclusive(repository.lock_path("journal")):
                self.record_merged(old)
        return sorted(unmerged, key=lambda sibling: sibling.ref)

    def record_merged(self, siblings: Sequence[Sibling]) -> None:
        """Note in mergedrefs what need not be looked at again. While the journal is locked."""
        newest = {sibling.ref: sibling.commit for sibling in siblings}
        for line in self.read_lines("mergedrefs"):
            commit, tab, ref = line.partition("\t")
            if tab:
                newest.setdefault(ref, commit)
        self.write_lines("mergedrefs", [f"{commit}\t{ref}" for ref, commit in newest.items()])

    def read_lines(self, name: str) -> list[str]:
        """Read a list of commits in the annex directory."""
        try:
            with open(self._repository.annex_path(name), "rb") as file:
                return os.fsdecode(file.read()).splitlines()
        except FileNotFoundError:
            return []

    def write_lines(self, name: str, lines: Iterable[str]) -> None:
        """Write such a list."""
        content = os.fsencode("".join(f"{line}\n" for line in lines))
        self._repository.othertmp.replace(self._repository.annex_path(name), content)

    def peeled(self, sibling: Sibling) -> Sibling:
        """Follow an annotated tag to its commit."""
        words = ("rev-parse", "--verify", f"{sibling.commit}^{{commit}}")
        return Sibling(sibling.ref, self._git.line(*words))

    def is_ancestor(self, commit: str, of: str) -> bool | None:
        """Tell whether `of` contains `commit`; None when it is no commit."""
        status = self._git.ask("merge-base", "--is-ancestor", commit, of)[0]
        return None if status == _NOT_A_COMMIT else status == 0

    def _is_commit(self, commit: str) -> bool | None:
        words = ("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
        return None if self._git.ask(*words)[0] else True
