"""How many bytes of keys each repository has by the git-annex branch and the journal.

The sums of one commit of the branch are kept, together with what each journalled log says
otherwise. When the branch moves, git tells which logs differ; so a change costs as much as it
is large, and the memory depends on the journal's length, not on the number of keys.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.git.journal import Signature
from shoal.git.process import GitError
from shoal.git.sizescan import Sums, diff_sizes, scan_sizes, size_of
from shoal.logs import location
from shoal.logs.location import present_uuids
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_NOBODY: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class _Journalled:
    """Who has a key by the commit that is counted, and who has it now."""

    before: frozenset[UUID]
    now: frozenset[UUID]


class SizeCount:
    """Counts for one repository. Not thread-safe, but for what it hears of changes.

    As fresh as the branch's last refresh().
    """

    def __init__(
        self,
        repository: Repository,
        stored: Callable[[], tuple[Sums, str | None]],
        store: Callable[[Sums, str], None],
    ) -> None:
        """`stored` gives sums that somebody found before, and the commit that they are of
        (None: there are none); `store` keeps them for later."""
        self._repository = repository
        self._branch = repository.branch
        self._stored = stored
        self._store = store
        self._commit: str | None = None
        self._committed: Sums = {}  # of that commit
        self._journalled: dict[bytes, _Journalled] = {}  # by path; those that say otherwise
        self._extra: Sums = {}  # the sum of what they say
        self._seen: dict[str, Signature] = {}  # the journal when it was last listed
        self._everything: tuple[int, Sums] | None = None
        self._noticing = threading.Lock()  # for what follows; taken by announcements
        self._changed: set[str] | None = None  # None: any log of the journal
        self._branch.changes.on_change(self._notice)

    def sizes(self) -> Sums:
        """Give the bytes that each known repository has. The mapping is the caller's."""
        if self._branch.has_unmerged:
            return self._listed(self._count_everything())
        self._catch_up()
        return self._listed(_added(self._committed, self._extra))

    def _notice(self, paths: frozenset[str] | None) -> None:
        """Remember what to read again. Called with the branch's lock held."""
        with self._noticing:
            if paths is None:
                self._changed = None
            elif self._changed is not None:
                self._changed |= paths

    def _catch_up(self) -> None:
        """Count what is new.

        What is journalled is listed before the branch's commit is looked up: a log that is
        committed in between is in that commit. And each is compared with that very commit.
        """
        with self._noticing:
            changed, self._changed = self._changed, set()
        done = False
        try:
            again = self._to_read(changed)
            again |= self._move_to(self._branch.tip)
            for path in again:
                self._recount(path)
            done = True
        finally:
            if not done:
                self._seen = {}
                self._notice(None)

    def _to_read(self, changed: set[str] | None) -> set[bytes]:
        if changed is None:
            before, self._seen = self._seen, self._branch.journalled()
            changed = {path for path, _ in before.items() ^ self._seen.items()}
        return set(self._logs(changed))

    def _logs(self, paths: Iterable[str]) -> Iterable[bytes]:
        return (os.fsencode(path) for path in paths if path.endswith(location.SUFFIX))

    # The branch

    def _move_to(self, tip: str | None) -> set[bytes]:
        """Count as of another commit of the branch; give the journalled logs to look at again."""
        if tip == self._commit:
            return set()
        old, sums, differ = self._counted_at(tip)
        for path in differ:  # they are no longer compared with the old commit
            self._add(self._journalled.pop(path), -(size_of(path, self._levels) or 0))
        self._commit, self._committed = tip, sums
        if tip is not None and old != tip:
            self._store(self._listed(sums), tip)
        return differ

    def _counted_at(self, tip: str | None) -> tuple[str | None, Sums, set[bytes]]:
        """Give what _move_to needs: the commit whose sums were known, those of `tip`, and the
        journalled logs that differ."""
        if tip is None:
            return None, {}, set(self._journalled)
        git, watched = self._repository.git, set(self._journalled)
        old, sums = self._commit, self._committed
        if old is None:
            sums, old = self._stored()
        else:
            watched = set()
        if old == tip:
            return old, sums, watched
        if old is not None:
            # The old commit may be gone: history can be forgotten.
            with suppress(GitError):
                more, differ = diff_sizes(git, old, tip, self._levels, self._journalled.keys())
                return old, _added(sums, more), differ | watched
        return None, scan_sizes(git, tip, self._levels), set(self._journalled)

    @property
    def _levels(self) -> int:
        return self._repository.branch_hash_levels

    def _listed(self, sums: Sums) -> Sums:
        """Give `sums` with all repositories and clusters that were ever described."""
        return dict.fromkeys(self._repository.logs.descriptions(), 0) | sums

    # The journal

    def _recount(self, path: bytes) -> None:
        """Find what a log says now that it does not say in the commit."""
        size = size_of(path, self._levels)
        if not size:
            return
        now = present_uuids(self._branch.read(os.fsdecode(path)))
        known = self._journalled.pop(path, None)
        if known is not None:
            self._add(known, -size)
        before = self._committed_in(path) if known is None else known.before
        if now != before:
            self._journalled[path] = _Journalled(before, now)
            self._add(self._journalled[path], size)

    def _add(self, journalled: _Journalled, size: int) -> None:
        for repo in journalled.now - journalled.before:
            self._extra[repo] = self._extra.get(repo, 0) + size
        for repo in journalled.before - journalled.now:
            self._extra[repo] = self._extra.get(repo, 0) - size

    def _committed_in(self, path: bytes) -> frozenset[UUID]:
        if self._commit is None:
            return _NOBODY
        return present_uuids(self._branch.read_committed(self._commit, os.fsdecode(path)))

    def _count_everything(self) -> Sums:
        """Count by reading all: there are versions of the branch that cannot be merged."""
        generation = self._branch.changes.generation
        if self._everything is not None and self._everything[0] == generation:
            return self._everything[1]
        sums: Sums = {}
        for key, repos in self._repository.logs.scan_locations():
            for repo in repos:
                sums[repo] = sums.get(repo, 0) + (key.size or 0)
        self._everything = (generation, sums)
        return sums


def _added(sums: Sums, more: Sums) -> Sums:
    return {repo: sums.get(repo, 0) + more.get(repo, 0) for repo in {*sums, *more}}
