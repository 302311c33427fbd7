"""How many bytes of keys each repository has, by the location logs.

The first question reads all location logs; after that only those that changed. The rules are
git-annex's: each key counts once, a key of unknown size as nothing, clusters not at all; a
repository that was ever described or had a key is known, perhaps with size 0.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from shoal.git.branch import AnnexBranch
from shoal.logs import location
from shoal.logs import uuid as uuid_log
from shoal.values.uuid import UUID, is_cluster_uuid

_NOBODY: frozenset[UUID] = frozenset()


class RepoSizes:
    """The sizes of all repositories that a git-annex branch knows. Thread-safe.

    As fresh as the branch's last refresh().
    """

    def __init__(self, branch: AnnexBranch, levels: int = 2) -> None:
        """`levels` is how many hash directories logs are in (1 with annex.tune.branchhash1)."""
        self._branch = branch
        self._levels = levels
        self._lock = threading.Lock()  # for what follows
        self._sizes: dict[UUID, int] = {}
        # Who has each key, by a hash of the log's path: a path itself would take three times
        # the memory. The few different sets of repositories are kept once each.
        self._holders: dict[int, frozenset[UUID]] = {}
        self._sets: dict[frozenset[UUID], frozenset[UUID]] = {}
        self._noticing = threading.Lock()  # for what follows; taken by announcements
        self._changed: set[str] | None = None  # None: read everything
        branch.on_change(self._notice)

    def sizes(self) -> Mapping[UUID, int]:
        """Give the size of each known repository, in bytes. The mapping is the caller's."""
        with self._lock:
            self._catch_up()
            return dict(self._sizes)

    def size(self, repo: UUID) -> int | None:
        """Give the size of one repository in bytes; None when nobody ever heard of it."""
        with self._lock:
            self._catch_up()
            return self._sizes.get(repo)

    def _notice(self, paths: frozenset[str] | None) -> None:
        """Remember what to read again. Called with the branch's lock held."""
        with self._noticing:
            if paths is None:
                self._changed = None
            elif self._changed is not None:
                self._changed |= paths

    def _catch_up(self) -> None:
        with self._noticing:
            read_all = self._changed is None
        if read_all:
            self._branch.read(uuid_log.PATH)  # merges siblings, now and not while we read
        with self._noticing:
            changed, self._changed = self._changed, set()
        done = False
        try:
            if changed is None:
                self._read_all()
            else:
                for path in changed:
                    self._read_one(path, self._branch.read(path))
            done = True
        finally:
            if not done:
                self._notice(None)

    def _read_all(self) -> None:
        self._sizes, self._holders, self._sets = {}, {}, {}
        for path, content in self._branch.scan(self._matters):
            self._read_one(path, content)

    def _matters(self, path: str) -> bool:
        return path == uuid_log.PATH or path.endswith(location.SUFFIX)

    def _read_one(self, path: str, content: bytes) -> None:
        if path == uuid_log.PATH:
            for repo in uuid_log.parse(content):
                if not is_cluster_uuid(repo):
                    self._sizes.setdefault(repo, 0)
            return
        key = location.key_of(path, self._levels)
        if key is None:
            return
        now = location.present_uuids(content)
        now = self._sets.setdefault(now, now)
        name = hash(path)
        before = self._holders.get(name, _NOBODY)
        if now == before:
            return
        self._holders[name] = now
        size = key.size or 0
        for repo in now - before:
            self._sizes[repo] = self._sizes.get(repo, 0) + size
        for repo in before - now:
            self._sizes[repo] -= size
