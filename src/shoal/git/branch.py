"""The git-annex branch: what every repository knows, read and written as git-annex does.

Reading: a file of the journal counts instead of the one on the branch; what the private
journal has is added. Writing: to the journal, under its lock. commit() puts the journal on the
branch, update() merges what was fetched or pushed into other refs. Any number of processes,
shoal's or the real git-annex's, may do all of that at the same time and be killed at any
point: nothing that was written is lost.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.git.branchchanges import BranchChanges
from shoal.git.journal import Journal, Signature, branch_path
from shoal.git.journallock import JournalLock, Ready
from shoal.git.refs import NAME, Refs, describe, read_status
from shoal.git.scanning import TreeReader, scan_tree
from shoal.git.waiting import WouldWait, about_to_wait, must_not_wait, without_waiting
from shoal.logs.merge import union_merge
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.git.index import BranchIndex
    from shoal.git.repository import Repository
    from shoal.git.siblings import Sibling, Siblings

# What only merging and committing need is imported there: most commands just read.

Update = Callable[[bytes], bytes | None]
"""Gives the new content of a file for its present one (b"": there is none); None: no change."""


class AnnexBranch:
    """The git-annex branch of one repository. Thread-safe.

    What read() gives is never older than the last refresh(). `changes` tells what changed.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._lock = threading.RLock()
        self._refs = Refs(repository.common_dir, repository.git)
        self._trees = TreeReader(repository.cat_file)
        self.journal = self._journal("journal")
        self.private_journal = self._journal("journal-private")
        self.changes = BranchChanges(
            repository.git,
            self._refs,
            self._trees,
            (self.journal, self.private_journal),
            self._lock,
        )
        self._merged: dict[str, str] | None = None  # siblings that update() has dealt with
        self._refused: set[tuple[str, str]] = set()  # siblings that were warned of
        self._unmerged: tuple[str, ...] = ()  # those that cannot be merged: read-only
        self._writing = JournalLock(repository)
        self.trouble: ShoalError | None = None
        """Why the last refresh() could not merge the siblings; None when it could."""

    # Reading

    def read(self, path: str) -> bytes:
        """Give the content of a file, b"" when there is none.

        The first read merges the siblings, as every git-annex command does; it raises
        ShoalError when they must not be merged.
        """
        if self._merged is None:
            about_to_wait()
            self.update()
        content = self._current(path, private=True)
        if self._unmerged:
            from shoal.git.merging import unmerged_content

            content = unmerged_content(self._repository, self._unmerged, path, content)
        return content

    def read_many(self, paths: Sequence[str]) -> list[bytes]:
        """As read() for each of `paths`, but git is asked once for all of them."""
        if self._merged is None:
            self.update()
        if self._unmerged or self._repository.private_uuids:
            return [self.read(path) for path in paths]
        journalled = [self.journal.read(path) for path in paths]
        tip = self.tip  # after the journal was read: what vanished from it is in here
        if tip is not None and tip != (self._index_status() or tip):
            return [self.read(path) for path in paths]
        others = [p for p, content in zip(paths, journalled, strict=True) if content is None]
        found = iter([] if tip is None else self._trees.read_many(tip, others))
        return [next(found, b"") if content is None else content for content in journalled]

    def scan(self, wanted: Callable[[str], bool] | None = None) -> Iterator[tuple[str, bytes]]:
        """Give every file with its content, each once, or only those with a `wanted` path.

        Runs in bounded memory, as fast as git can read. The order is the branch's, followed
        by files that are only in the journal.
        """
        if self._merged is None:
            self.update()
        journalled = self.journal.paths()
        if self._repository.private_uuids:
            journalled |= self.private_journal.paths()
        tip = self.tip  # after the journal was listed: what vanished from it is in here
        if self._unmerged:
            return self._scan_unmerged(tip, journalled, wanted)
        return self._scan_merged(tip, journalled, wanted)

    def _scan_merged(
        self, tip: str | None, journalled: set[str], wanted: Callable[[str], bool] | None
    ) -> Iterator[tuple[str, bytes]]:
        if tip is not None:
            for path, content in scan_tree(self._repository.git, tip, wanted):
                if path in journalled:
                    journalled.discard(path)
                    content = self.read(path)
                yield path, content
        for path in sorted(journalled):
            if (wanted is None or wanted(path)) and (content := self.read(path)):
                yield path, content

    def _scan_unmerged(
        self, tip: str | None, journalled: set[str], wanted: Callable[[str], bool] | None
    ) -> Iterator[tuple[str, bytes]]:
        """Scan when there are siblings that cannot be merged: paths of all, read one by one."""
        paths = set(journalled)
        for commit in (tip, *self._unmerged):
            paths.update(self.paths(commit) if commit else ())
        for path in sorted(paths):
            if wanted is None or wanted(path):
                yield path, self.read(path)

    def paths(self, commit: str | None = None) -> list[str]:
        """Give the paths of all committed files on the branch, or in another commit of it."""
        commit = commit or self.tip
        if commit is None:
            return []
        listed = self._repository.git.run("ls-tree", "-r", "-z", "--name-only", commit)
        return [os.fsdecode(path) for path in listed.split(b"\0") if path]

    def read_committed(self, commit: str, path: str) -> bytes:
        """Give the content of a file in one commit of the branch, b"" when there is none."""
        return self._trees.read(commit, path)

    def journalled(self) -> dict[str, Signature]:
        """Give the files that are in a journal, each with what changes when it is written."""
        found = dict(self.journal.signatures(self.journal.names()))
        if self._repository.private_uuids:
            for path, seen in self.private_journal.signatures(self.private_journal.names()):
                found[path] = seen if path not in found else (*found[path][:2], seen[0])
        return found

    @property
    def has_unmerged(self) -> bool:
        """Whether there are siblings that cannot be merged, so that reading looks at them too."""
        if self._merged is None:
            self.update()
        return bool(self._unmerged)

    @property
    def tip(self) -> str | None:
        """The commit that the branch is at now; None when there is no branch."""
        self._take_lock()
        try:
            return self._refs.tip()
        finally:
            self._lock.release()

    @property
    def siblings(self) -> dict[str, str]:
        """The other refs named git-annex, and their commits."""
        with self._lock:
            return dict(self._refs.siblings())

    # Writing

    def change(
        self,
        path: str,
        update: Update,
        *,
        regarding: UUID | None = None,
        done: Callable[[], None] | None = None,
    ) -> bool:
        """Change a file: read, `update` and write under the journal's lock.

        `regarding` is the repository that the change is about; when that is a private one,
        it is recorded in private. `done` is called after something was written, before the
        lock is released. Tells whether anything was written.
        """
        private = self._is_private(regarding)
        journal = self.private_journal if private else self.journal
        with self._writing.held():
            old = self._current(path, private=private)
            new = update(old)
            if new is None or new == old:
                return False
            journal.write(path, new)
            self._writing.forget()
            self.changes.announce(frozenset((path,)))
            if done is not None:
                done()
        return True

    def ready_to_change(self, path: str, *, regarding: UUID | None = None) -> Ready:
        """Hold the journal's lock and know what is in a file, so that this thread can change
        that in the `with` block without waiting for anybody. `regarding` as in change().

        Raises WouldWait, wherever this is called, when somebody else has the lock or git must
        be asked.
        """
        private = self._is_private(regarding)
        with without_waiting():
            lock = self._writing.take()
            try:
                self._take_lock()  # or others could keep it from now on
            except BaseException:
                lock.release()
                raise
            ready = Ready(self._writing, lock, self._lock)
            try:
                content = self._current(path, private=private)
            except BaseException:
                ready.release()
                raise
        self._writing.get_ready({(path, private): content})
        return ready

    def commit(self, message: str | None = None) -> bool:
        """Commit what is in the journal to the branch; tell whether there was anything.

        `message` is by default what the user configured, or "update".
        """
        if self.journal.is_empty():
            return False
        if message is None:
            message = self._repository.hooks.commit_message("update")
        with self.locked_index() as index:
            if not (names := self.journal.names()):
                return False
            index.mending(lambda: self._commit_journal(index, names, message))
        self._repository.hooks.branch_updated()
        return True

    def _commit_journal(self, index: BranchIndex, names: list[str], message: str) -> None:
        base = index.prepare()
        index.stage_journal(self.journal, names)
        status = index.status()
        tip = index.commit(message)
        self.journal.remove(names)
        only_this = index.parent == base == status
        self.changes.committed(tip, base if only_this else None, map(branch_path, names))

    def ensure_exists(self) -> str:
        """Make the branch if there is none, as origin's or empty; give its commit."""
        tip = self.tip
        if tip is None:
            with self.locked_index() as index:
                tip = index.prepare()
        return tip

    # Freshness

    def update(self) -> bool:
        """Merge the siblings into the branch; tell whether there was anything to merge.

        Raises ShoalError when one must not be merged: it is tuned in another way, or it went
        through a transition that is not known here.
        """
        with self._lock:
            siblings = dict(self._refs.siblings())
            tip = self._refs.tip()
        enabled = self._repository.config.get_bool("annex.merge-annex-branches", True)
        if enabled and siblings and siblings != self._merged:
            from shoal.git.siblings import Siblings

            others = Siblings(self._repository, siblings)
            if unmerged := others.find_unmerged(tip):
                return self._merge(others, unmerged)
        self._settle(siblings, ())
        return False

    def _merge(self, others: Siblings, unmerged: Sequence[Sibling]) -> bool:
        """Merge those that may be; tell whether there was anything to merge."""
        from shoal.git.lockdown import is_locked, without_refused
        from shoal.git.merging import Merging

        repository = self._repository
        if is_locked(repository):
            refs = {one.ref: one.commit for one in unmerged}
            allowed = without_refused(repository, refs, self._refused)
            unmerged = [one for one in unmerged if one.ref in allowed]
        if unmerged and not (repository.is_writable and repository.is_initialised):
            self._settle(dict(others.refs), tuple(one.commit for one in unmerged))
            return True
        if unmerged:
            names = " ".join(describe(one.ref) for one in unmerged)
            repository.note(f"merging {names} into {NAME}...")
            merging = Merging(repository, others)
            with self.locked_index() as index:
                index.mending(lambda: merging.merge(index, self.journal, unmerged))
            repository.hooks.branch_updated()
        self._settle(dict(others.refs), ())
        return bool(unmerged)

    def refresh(self) -> bool:
        """Notice what others changed, with a few stat calls; tell whether anything may have.

        New siblings are merged. When that is impossible, `trouble` says why, and what is
        known without them stays in use.
        """
        before = self.changes.generation
        if self._merged is None or self.siblings != self._merged:
            try:
                self.update()
                self.trouble = None
            except ShoalError as error:
                self.trouble = error
                self._settle(self.siblings, ())
        self.changes.notice()
        return self.changes.generation != before

    def forget_known(self) -> None:
        """Take everything for changed: the configuration did."""
        with self._lock:
            self._merged = None
            self.journal = self._journal("journal")
            self.private_journal = self._journal("journal-private")
            self.changes.announce(None)

    def _settle(self, siblings: dict[str, str], unmerged: tuple[str, ...]) -> None:
        """Remember that these siblings are dealt with."""
        with self._lock:
            self._merged = siblings
            if unmerged != self._unmerged:
                self._unmerged = unmerged
                self.changes.announce(None)
            self.changes.moved_to(self._refs.tip())

    # Small things

    def _is_private(self, regarding: UUID | None) -> bool:
        return regarding is not None and regarding in self._repository.private_uuids

    def _current(self, path: str, *, private: bool) -> bytes:
        """Give the content of a file without looking at siblings."""
        known = self._writing.known(path, private=private)
        if known is not None:
            return known
        content = self.journal.read(path)
        tip = self.tip
        if content is None:
            content = b"" if tip is None else self._trees.read(tip, path)
        elif tip is not None and tip != (self._index_status() or tip):
            # Somebody pushed to the branch itself: the journal must not hide that.
            content = union_merge(content, self._trees.read(tip, path))
        if private and self._repository.private_uuids:
            content += self.private_journal.read(path) or b""
        return content

    def _index_status(self) -> str:
        return read_status(self._repository.annex_path("index.lck"))

    def _take_lock(self) -> None:
        """Others hold it while they ask git."""
        if not self._lock.acquire(blocking=not must_not_wait()):
            raise WouldWait

    @contextmanager
    def locked_index(self) -> Iterator[BranchIndex]:
        """Hold the journal's lock and use the index.

        The lock stays held until git commands in it have ended, even when this process is
        killed, so that nobody finds the index half written.
        """
        from shoal.git.index import BranchIndex

        repository = self._repository
        with self._writing.held() as lock:
            git = repository.git.with_environment(
                *lock.files, **repository.locker.child_environment()
            )
            yield BranchIndex(repository, git, self._refs)

    def _journal(self, name: str) -> Journal:
        repository = self._repository
        return Journal(
            repository.annex_path(name),
            repository.annex_dir,
            repository.othertmp,
            repository.permissions,
        )
