"""Noticing that other processes wrote to a journal."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.git.journal import Journal
from shoal.git.watch import Watch

_Signatures = dict[str, tuple[int, int, int]]


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

    def changed_paths(self) -> frozenset[str]:
        """Give the branch files that were journalled, changed or committed since the last
        call."""
        if not self._watch.changed():
            return frozenset()
        self._watch.look(journal.directory for journal in self._journals)
        now = [dict(journal.signatures()) for journal in self._journals]
        changed: set[str] = set()
        for before, after in zip(self._seen, now, strict=True):
            changed |= {path for path, _ in before.items() ^ after.items()}
        self._seen = now
        return frozenset(changed)
