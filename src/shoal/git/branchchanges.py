"""Noticing which files of the git-annex branch changed, whoever changed them, and telling so."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence

from shoal.git.freshness import Freshness
from shoal.git.journal import Journal
from shoal.git.process import Git
from shoal.git.refs import Refs
from shoal.git.scanning import TreeReader

Listener = Callable[[frozenset[str] | None], None]
"""Is told which files may have changed; None: any. It must not call the branch."""

_MANY = 10_000  # changed files that are not worth naming


class BranchChanges:
    """What changed on the branch and in its journals. Thread-safe: `lock` is the branch's.

    `generation` is a number that grows whenever any content may have changed.
    """

    def __init__(
        self,
        git: Git,
        refs: Refs,
        trees: TreeReader,
        journals: Sequence[Journal],
        lock: threading.RLock,
    ) -> None:
        self._git = git
        self._refs = refs
        self._trees = trees
        self._journals = Freshness(journals)
        self._lock = lock
        self._known_tip: str | None = None
        self._listeners: list[Listener] = []
        self.generation = 0

    def on_change(self, listener: Listener) -> None:
        """Have `listener` told whenever files may have changed."""
        self._listeners.append(listener)

    def announce(self, paths: frozenset[str] | None) -> None:
        """Say that these files may have changed; None: any."""
        with self._lock:
            self.generation += 1
            for listener in self._listeners:
                listener(paths)

    def notice(self) -> None:
        """Notice what others changed, with a few stat calls. New siblings are left for
        AnnexBranch.refresh(): merging them takes its time."""
        with self._lock:
            self.moved_to(self._refs.tip())
            if (paths := self._journals.changed_paths()) is None or paths:
                self.announce(paths)

    def moved_to(self, tip: str | None) -> None:
        """Work out which files changed when the branch is somewhere else than before. While the
        lock is held."""
        known, self._known_tip = self._known_tip, tip
        if tip == known:
            return
        if tip is None or known is None:
            self.announce(None)
            return
        words = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", known, tip)
        status, out, _ = self._git.without_index().ask(*words)
        paths = [os.fsdecode(path) for path in out.split(b"\0") if path]
        if status == 0:
            self._trees.follow(known, tip, paths)
        self.announce(frozenset(paths) if status == 0 and len(paths) <= _MANY else None)

    def committed(self, tip: str, base: str | None, paths: Iterable[str]) -> None:
        """The journal, with files at `paths`, was committed. `base` is the commit that this was
        added to when nothing else was; nobody needs to hear of it then."""
        with self._lock:
            if base is not None and base == self._known_tip:
                self._known_tip = tip
                self._trees.follow(base, tip, paths)
            self.moved_to(tip)

    def seems_unchanged(self) -> bool | None:
        """Tell whether the refs are surely as they were last seen; None when another thread is
        busy with the branch.

        Waits for nobody and costs a few stat calls, so an event loop may call it. The journal
        is not looked at.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return not self._refs.may_have_changed() and self._refs.tip() == self._known_tip
        finally:
            self._lock.release()
