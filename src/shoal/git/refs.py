"""The git-annex branch's ref and its siblings, read without starting git where possible.

A sibling is any other ref whose last path component is `git-annex`: of a remote, a synced
branch, even a tag. Loose refs and packed-refs are read directly; a repository with a
reftable, or a symbolic ref, is left to git. Whether refs may have changed is seen from the
times of the directories below refs/: git replaces a ref by renaming.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress

from shoal.git.process import Git
from shoal.git.watch import Watch

BRANCH = "refs/heads/git-annex"
NAME = "git-annex"
RECORDING = "recording state in git..."  # what users see when there is a new commit
_STALE = 300  # seconds
_SHA = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PACKED = re.compile(rb"^([0-9a-f]{40,64}) (refs/(?:.*/)?git-annex)$", re.MULTILINE)


class Refs:
    """Reads the refs of one repository. Not thread-safe."""

    def __init__(self, common_dir: str, git: Git) -> None:
        self._common_dir = common_dir
        self._git = git
        self._packed: dict[str, str] = {}
        self._packed_watch = Watch()
        self._tip_file = f"{common_dir}/{BRANCH}"
        self._tip_watch = Watch()
        self._tip: str | None = None  # what that file said
        self._watch = Watch()
        self._siblings: dict[str, str] = {}
        self._reftable = os.path.join(common_dir, "reftable", "tables.list")
        self._has_reftable = os.path.exists(self._reftable)

    def tip(self) -> str | None:
        """Give the commit that the git-annex branch is at now; None when there is none."""
        if self._has_reftable:
            return self._all_packed().get(BRANCH)
        if self._tip_watch.changed():
            self._tip_watch.look([self._tip_file])
            self._tip = self._loose(self._tip_file)
        found = self._tip
        if found == "":
            return self._git.line("rev-parse", "--verify", "--quiet", BRANCH)
        return found or self._all_packed().get(BRANCH)

    def siblings(self) -> dict[str, str]:
        """Give name and commit of each sibling, sorted by name. Cheap when nothing changed."""
        if self._watch.changed():
            self._siblings = self._find_siblings()
        return self._siblings

    def may_have_changed(self) -> bool:
        """Tell whether there may be other siblings than siblings() gave: a few stat calls."""
        return self._watch.changed()

    def remove_stale_lock(self) -> bool:
        """Delete the lock file of a git that was killed while it moved the branch; tell
        whether there was one. A living git holds it for milliseconds."""
        path = os.path.join(self._common_dir, BRANCH + ".lock")
        with suppress(FileNotFoundError):
            if os.stat(path).st_mtime < time.time() - _STALE:
                os.unlink(path)
                return True
        return False

    def _find_siblings(self) -> dict[str, str]:
        if self._has_reftable:
            self._watch.look([self._reftable])
            found = dict(self._all_packed())
        else:
            found = self._all_loose()
        found.pop(BRANCH, None)
        return dict(sorted(found.items()))

    def _all_loose(self) -> dict[str, str]:
        """Give all refs named git-annex, and remember what must change before they can."""
        top = os.path.join(self._common_dir, "refs")
        watched = [os.path.join(self._common_dir, "packed-refs"), *ref_directories(top)]
        self._watch.look(watched)
        found = dict(self._all_packed())
        for directory in watched[1:]:
            sha = self._loose(os.path.join(directory, NAME))
            name = os.path.relpath(os.path.join(directory, NAME), self._common_dir)
            if sha == "":
                sha = self._git.ask("rev-parse", "--verify", "--quiet", name)[1].decode().strip()
            if sha:
                found[name] = sha
        return found

    @staticmethod
    def _loose(path: str) -> str | None:
        """Read a loose ref: None when it is not there, "" when git must resolve it."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            text = os.read(fd, 256)
        except IsADirectoryError:
            return None
        finally:
            os.close(fd)
        found = _SHA.match(text)
        return "" if found is None else found[0].decode()

    def _all_packed(self) -> dict[str, str]:
        """Give the refs named git-annex that packed-refs, or a reftable, knows."""
        path = os.path.join(self._common_dir, "packed-refs")
        if not self._packed_watch.changed():
            return self._packed
        if self._has_reftable:
            self._packed_watch.look([self._reftable])
            shown = self._git.ask("show-ref", NAME)[1]
        else:
            self._packed_watch.look([path])
            try:
                with open(path, "rb") as file:
                    shown = file.read()
            except FileNotFoundError:
                shown = b""
        self._packed = {os.fsdecode(name): sha.decode() for sha, name in _PACKED.findall(shown)}
        return self._packed


def ref_directories(top: str) -> Iterator[str]:
    """Give `top` and every directory below it."""
    yield top
    try:
        with os.scandir(top) as entries:
            below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:  # git removes empty directories
        return
    for path in below:
        yield from ref_directories(path)


def read_status(path: str) -> str:
    """Read the file ANNEX/index.lck at `path`: the commit that is in the index, or ""."""
    try:
        with open(path, "rb") as file:
            return file.read().split(b"\n", 1)[0].decode("ascii", "replace")
    except FileNotFoundError:
        return ""


def describe(ref: str) -> str:
    """Give the short name of a ref, as in messages of merge commits: `origin/git-annex`."""
    return ref.removeprefix("refs/heads/").removeprefix("refs/remotes/")
