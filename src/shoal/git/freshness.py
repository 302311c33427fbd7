"""Noticing that other processes wrote to a journal."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.git.journal import Journal, Signature
from shoal.git.watch import Watch

_Signatures = dict[str, Signature]
_MANY = 10_000  # files that are not worth looking at one by one


class Freshness:
    """Remembers what journals hold, and tells which of their files changed since.

    A file that git-annex appends to in place (annex.alwayscompact=false) is noticed when the
    journal changes in some other way. Not thread-safe.
    """

    def __init__(self, journals: Sequence[Journal]) -> None:
        self._journals = journals
        self._watch = Watch()
        self._seen: list[_Signatures] = [{} for _ in journals]
        self.changed_paths()

    def changed_paths(self) -> frozenset[str] | None:
        """Give the branch files that were journalled, changed or committed since the last
        call; None: too many to tell."""
        if not self._watch.changed():
            return frozenset()
        self._watch.look(journal.directory for journal in self._journals)
        names = [journal.names() for journal in self._journals]
        if sum(map(len, names)) > _MANY:
            self._seen = [{} for _ in self._journals]
            return None
        now = [dict(j.signatures(n)) for j, n in zip(self._journals, names, strict=True)]
        changed: set[str] = set()
        for before, after in zip(self._seen, now, strict=True):
            changed |= {path for path, _ in before.items() ^ after.items()}
        self._seen = now
        return frozenset(changed)
