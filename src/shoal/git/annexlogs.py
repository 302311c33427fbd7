"""What the git-annex branch says, typed: where keys are, and what networklogs.py has.

Location logs are kept parsed, too, until they change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from shoal.git.clock import candidate_clock
from shoal.git.held import Held
from shoal.git.networklogs import ClustersOfNodes, NetworkLogs
from shoal.logs import location
from shoal.logs.presence import Status
from shoal.values.key import Key
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.git.repository import Repository

OnLocations = Callable[[Key, Mapping[UUID, bool | Status]], None]
"""Is told which repositories have a key now, or no longer do. It must not call the branch."""

_KEYS_KEPT = 50_000  # location logs that are kept parsed

_key_of = lru_cache(maxsize=1024)(location.key_of)
"""The repositories of a cluster are told of the same keys, one after the other."""


class AnnexLogs(NetworkLogs):
    """The logs of one repository. Thread-safe. What it gives must not be changed."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(repository)
        self._locations: dict[Key, frozenset[UUID]] = {}
        self._on_locations: list[OnLocations] = []

    def locations(self, key: Key, raw: bool = False) -> frozenset[UUID]:
        """Give the repositories that are logged to have `key`.

        Dead ones are left out, and clusters with a node among them are added; `raw` gives
        just what the log says.
        """
        present = self._locations.get(key)
        if present is None:
            present = self._read_locations(key)
        return present if raw else self.with_clusters(present)

    def with_clusters(self, repositories: frozenset[UUID]) -> frozenset[UUID]:
        """Leave out dead repositories, and add clusters that one of the others is a node of."""
        if not repositories:
            return repositories
        return _with_clusters(repositories, self.dead(), self.clusters_of_nodes())

    def locations_of(self, keys: Sequence[Key]) -> list[frozenset[UUID]]:
        """As locations() for each of `keys`, but all logs that must be read are read at once."""
        generation = self._branch.changes.generation
        found = {key: kept for key in keys if (kept := self._locations.get(key)) is not None}
        missing = [key for key in keys if key not in found]
        logs = self._branch.read_many([self._path(key) for key in missing])
        read = dict(zip(missing, map(location.present_uuids, logs), strict=True))
        self._keep_locations(read, generation)
        found |= read
        dead, clusters = self.dead(), self.clusters_of_nodes()
        return [_with_clusters(found[key], dead, clusters) for key in keys]

    def kept_locations(self, key: Key) -> frozenset[UUID] | None:
        """Give what locations() would if that is known without reading anything, else None.
        It never blocks, so an event loop may call it."""
        present = self._locations.get(key)
        kept = self._kept_clusters()
        return None if present is None or kept is None else _with_clusters(present, *kept)

    def location_log(self, key: Key) -> dict[UUID, Status]:
        """Give all that the location log says of `key`."""
        return location.parse(self._branch.read(self._path(key)))

    def scan_locations(self) -> Iterator[tuple[Key, frozenset[UUID]]]:
        """Give every key that has a location log, and where it is logged to be (raw)."""
        levels = self._repository.branch_hash_levels

        def wanted(path: str) -> bool:
            return path.endswith(location.SUFFIX) and "/" in path

        for path, log in self._branch.scan(wanted):
            if (key := location.key_of(path, levels)) is not None:
                yield key, location.present_uuids(log)

    def set_location(self, key: Key, repository: UUID, present: bool) -> bool:
        """Record that a repository has a key, or no longer does; tell whether that is news."""
        return self.set_locations(key, {repository: present}) > 0

    def set_locations(self, key: Key, changes: Mapping[UUID, bool | Status]) -> int:
        """Record for several repositories whether they have a key; tell how much is news."""
        written = 0
        public = {}
        for repository, status in changes.items():
            if repository in self._repository.private_uuids:
                written += self._change_locations(key, {repository: status}, repository)
            else:
                public[repository] = status
        return written + (self._change_locations(key, public) if public else 0)

    def ready_to_set(self, key: Key, repository: UUID) -> Held:
        """As AnnexBranch.ready_to_change(): in the block set_location() waits for nobody."""
        return self._branch.ready_to_change(self._path(key), regarding=repository)

    def _change_locations(
        self,
        key: Key,
        changes: Mapping[UUID, bool | Status],
        regarding: UUID | None = None,
    ) -> bool:
        def done() -> None:
            for listener in self._on_locations:
                listener(key, changes)

        now = candidate_clock()
        changed = self._branch.change(
            self._path(key),
            lambda log: location.change_all(log, changes, now),
            regarding=regarding,
            done=done,
        )
        if not changed:  # another process may have written it: to us it is news
            with self._lock:
                self._locations.pop(key, None)
        return changed

    def on_locations(self, listener: OnLocations) -> None:
        """Have `listener` told of what is recorded here, while the journal is still locked."""
        self._on_locations.append(listener)

    def _path(self, key: Key) -> str:
        return location.path(key, self._repository.branch_hash_levels)

    def _read_locations(self, key: Key) -> frozenset[UUID]:
        generation = self._branch.changes.generation
        present = location.present_uuids(self._branch.read(self._path(key)))
        self._keep_locations({key: present}, generation)
        return present

    def _keep_locations(self, read: Mapping[Key, frozenset[UUID]], generation: int) -> None:
        """Keep what was read of some logs, unless a log changed since `generation`."""
        with self._lock:
            if generation == self._branch.changes.generation:
                if len(self._locations) + len(read) > _KEYS_KEPT:
                    self._locations.clear()
                self._locations.update(read)

    def _forget(self, paths: frozenset[str] | None) -> None:
        super()._forget(paths)
        with self._lock:
            if paths is None:
                self._locations.clear()
                return
            levels = self._repository.branch_hash_levels
            for path in paths:
                if "/" in path and (key := _key_of(path, levels)) is not None:
                    self._locations.pop(key, None)


def _with_clusters(
    present: frozenset[UUID], dead: frozenset[UUID], clusters: ClustersOfNodes
) -> frozenset[UUID]:
    """Leave out the dead, and add clusters that have a node among the rest."""
    living = present - dead if dead else present
    if not clusters:
        return living
    return living.union(*[clusters[node] for node in living if node in clusters])
