"""What the git-annex branch says of repositories and of the network that they are: who is
trusted, what is wanted, which are clusters.

Every log is parsed once and kept until its file changes (see AnnexBranch.refresh), so that a
server can ask at each request. Setters write to the journal; to commit is up to the caller.
Text that people wrote is `str`, with `surrogateescape` for bytes that are not UTF-8.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, TypeVar, cast

from shoal.git.clock import candidate_clock
from shoal.logs import (
    activity,
    cluster,
    config,
    group,
    group_preferred,
    maxsize,
    mincopies,
    numcopies,
    preferred,
    proxy,
    remote,
    required,
    schedule,
    trust,
    uuid,
)
from shoal.logs.proxy import Proxied
from shoal.logs.remote import RemoteConfig
from shoal.logs.trust import TrustLevel
from shoal.values.clock import Clock
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.git.repository import Repository

T = TypeVar("T")

ClustersOfNodes = dict[UUID, frozenset[UUID]]

_DEAD = "dead"
_CLUSTERS_OF_NODES = "clusters of nodes"
_TRUST_WORDS = {
    "trusted": TrustLevel.TRUSTED,
    "semitrusted": TrustLevel.SEMITRUSTED,
    "untrusted": TrustLevel.UNTRUSTED,
    "dead": TrustLevel.DEAD,
}


class NetworkLogs:
    """The logs about repositories. Thread-safe. What it gives must not be changed."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._branch = repository.branch
        self._lock = threading.Lock()
        self._kept: dict[str, object] = {}  # by file, or by what follows from several
        self.changes = 0
        """How often any log about repositories may have changed."""
        self._branch.changes.on_change(self._forget)

    # Repositories

    def descriptions(self) -> dict[UUID, str]:
        """Give the description of each known repository."""
        return self._log(uuid.PATH, lambda log: _texts(uuid.parse(log)))

    def set_description(self, repository: UUID, description: str) -> None:
        """Describe a repository."""
        text = os.fsencode(description)
        self._set(uuid.PATH, repository, lambda log, now: uuid.change(log, repository, text, now))

    def trust(self, repository: UUID) -> TrustLevel:
        """Give how far a repository is trusted; git config of this repository counts more
        than the log."""
        return self.trusts().get(repository, TrustLevel.SEMITRUSTED)

    def trusts(self) -> dict[UUID, TrustLevel]:
        """Give the trust level of each repository that has one."""
        return self._derived("trusts", self._find_trusts)

    def _find_trusts(self) -> dict[UUID, TrustLevel]:
        levels = self._log(trust.PATH, trust.parse)
        configured = {}
        for name in self._repository.config.remotes():
            settings = self._repository.config.remote(name)
            level = _TRUST_WORDS.get(settings.get("annex-trustlevel") or "")
            if level is not None and (found := settings.get("annex-uuid")):
                configured[UUID(found)] = level
        return levels | configured

    def dead(self) -> frozenset[UUID]:
        """Give the repositories that are dead."""
        return self._derived(
            _DEAD,
            lambda: frozenset(u for u, level in self.trusts().items() if level is TrustLevel.DEAD),
        )

    def set_trust(self, repository: UUID, level: TrustLevel) -> None:
        """Set how far a repository is trusted."""
        self._set(
            trust.PATH, repository, lambda log, now: trust.change(log, repository, level, now)
        )

    def groups(self) -> dict[UUID, frozenset[str]]:
        """Give the groups of each repository that is in any."""
        return self._log(
            group.PATH,
            lambda log: {
                u: frozenset(map(os.fsdecode, all)) for u, all in group.parse(log).items()
            },
        )

    def set_groups(self, repository: UUID, groups: Collection[str]) -> None:
        """Set all groups of a repository. Raises ValueError for one that is no single word."""
        words = [os.fsencode(word) for word in groups]
        self._set(
            group.PATH, repository, lambda log, now: group.change(log, repository, words, now)
        )

    # What is wanted

    def wanted(self) -> dict[UUID, str]:
        """Give the preferred content expression of each repository that has one."""
        return self._log(preferred.PATH, lambda log: _texts(preferred.parse(log)))

    def set_wanted(self, repository: UUID, expression: str) -> None:
        """Set what a repository wants. Raises ValueError for more than one line."""
        text = os.fsencode(expression)
        self._set(
            preferred.PATH,
            repository,
            lambda log, now: preferred.change(log, repository, text, now),
        )

    def required(self) -> dict[UUID, str]:
        """Give the required content expression of each repository that has one."""
        return self._log(required.PATH, lambda log: _texts(required.parse(log)))

    def set_required(self, repository: UUID, expression: str) -> None:
        """Set what a repository must keep. Raises ValueError for more than one line."""
        text = os.fsencode(expression)
        self._set(
            required.PATH, repository, lambda log, now: required.change(log, repository, text, now)
        )

    def group_wanted(self) -> dict[str, str]:
        """Give the expression that `groupwanted` means, for each group that has one."""
        return self._log(
            group_preferred.PATH,
            lambda log: {
                os.fsdecode(name): os.fsdecode(text)
                for name, text in group_preferred.parse(log).items()
            },
        )

    def set_group_wanted(self, name: str, expression: str) -> None:
        """Set the expression of a group. Raises ValueError for more than one line."""
        key, text = os.fsencode(name), os.fsencode(expression)
        self._set(
            group_preferred.PATH, None, lambda log, now: group_preferred.change(log, key, text, now)
        )

    def numcopies(self) -> int | None:
        """Give the number of copies wanted of everything; None when it was not set."""
        return self._log(numcopies.PATH, numcopies.parse)

    def set_numcopies(self, number: int) -> None:
        """Set the number of copies wanted. Raises ValueError below 1."""
        self._set(numcopies.PATH, None, lambda log, now: numcopies.change(log, number, now))

    def mincopies(self) -> int | None:
        """Give the number of copies that no drop goes below; None when it was not set."""
        return self._log(mincopies.PATH, mincopies.parse)

    def set_mincopies(self, number: int) -> None:
        """Set the number of copies that no drop goes below. Raises ValueError below 1."""
        self._set(mincopies.PATH, None, lambda log, now: mincopies.change(log, number, now))

    def max_sizes(self) -> dict[UUID, int]:
        """Give the maximum size, in bytes, of each repository that has one. 0: unlimited."""
        return self._log(maxsize.PATH, maxsize.parse)

    def set_max_size(self, repository: UUID, size: int) -> None:
        """Set the maximum size of a repository in bytes; 0 takes it away."""
        self._set(
            maxsize.PATH, repository, lambda log, now: maxsize.change(log, repository, size, now)
        )

    def schedules(self) -> dict[UUID, str]:
        """Give the scheduled activities of each repository that has any, joined by `; `."""
        return self._log(
            schedule.PATH,
            lambda log: {
                uuid: "; ".join(map(os.fsdecode, texts))
                for uuid, texts in schedule.parse(log).items()
            },
        )

    def set_schedule(self, repository: UUID, activities: str) -> None:
        """Set all scheduled activities of a repository, joined by `; `."""
        texts = [os.fsencode(activities)] if activities else []
        self._set(
            schedule.PATH, repository, lambda log, now: schedule.change(log, repository, texts, now)
        )

    def config(self) -> dict[str, str]:
        """Give the configuration that all clones share; an empty value is one taken back."""
        return self._log(
            config.PATH,
            lambda log: {os.fsdecode(k): os.fsdecode(v) for k, v in config.parse(log).items()},
        )

    def set_config(self, name: str, value: str) -> None:
        """Set a shared configuration value; an empty one takes it back."""
        key, text = os.fsencode(name), os.fsencode(value)
        self._set(config.PATH, None, lambda log, now: config.change(log, key, text, now))

    def record_fsck(self, repository: UUID) -> None:
        """Record that all contents of a repository were verified now."""
        self._set(
            activity.PATH,
            repository,
            lambda log, now: activity.change(log, repository, activity.FSCK, now),
        )

    # Clusters, proxies and special remotes

    def clusters(self) -> dict[UUID, frozenset[UUID]]:
        """Give the living nodes of each cluster."""

        def make() -> dict[UUID, frozenset[UUID]]:
            dead = self.dead()
            logged = self._log(cluster.PATH, cluster.parse)
            return {name: nodes - dead for name, nodes in logged.items()}

        return self._derived("clusters", make)

    def clusters_of_nodes(self) -> ClustersOfNodes:
        """Give the living clusters of each node."""

        def make() -> ClustersOfNodes:
            found: dict[UUID, set[UUID]] = {}
            for name, nodes in self.clusters().items():
                for node in nodes if name not in self.dead() else ():
                    found.setdefault(node, set()).add(name)
            return {node: frozenset(names) for node, names in found.items()}

        return self._derived(_CLUSTERS_OF_NODES, make)

    def _kept_clusters(self) -> tuple[frozenset[UUID], ClustersOfNodes] | None:
        """Give the dead, and the clusters of nodes, if both are known without reading."""
        dead = cast("frozenset[UUID] | None", self._kept.get(_DEAD))
        clusters = cast("ClustersOfNodes | None", self._kept.get(_CLUSTERS_OF_NODES))
        return None if dead is None or clusters is None else (dead, clusters)

    def set_cluster(self, name: UUID, nodes: Collection[UUID]) -> None:
        """Set the nodes of a cluster. Raises ValueError when `name` is no cluster's UUID."""
        self._set(cluster.PATH, name, lambda log, now: cluster.change(log, name, nodes, now))

    def proxies(self, gateway: UUID) -> list[Proxied]:
        """Give UUID and name of what a gateway proxies, sorted."""
        return sorted(self.all_proxies().get(gateway, ()))

    def all_proxies(self) -> dict[UUID, frozenset[Proxied]]:
        """Give UUID and name of what each gateway proxies."""
        return self._log(proxy.PATH, proxy.parse)

    def set_proxies(self, gateway: UUID, proxied: Collection[Proxied]) -> None:
        """Set what a gateway proxies; private repositories are left out. Raises ValueError
        for a name that git does not allow."""
        public = [one for one in proxied if one.uuid not in self._repository.private_uuids]
        self._set(proxy.PATH, gateway, lambda log, now: proxy.change(log, gateway, public, now))

    def remote_configs(self) -> dict[UUID, RemoteConfig]:
        """Give the configuration of each special remote."""
        return self._log(remote.PATH, remote.parse)

    def set_remote_config(self, name: UUID, settings: Mapping[str, str]) -> None:
        """Set the whole configuration of a special remote. Raises ValueError for a setting's
        name that cannot be read back."""
        self._set(remote.PATH, name, lambda log, now: remote.change(log, name, settings, now))

    # How it is kept

    def _log(self, path: str, parse: Callable[[bytes], T]) -> T:
        return self._derived(path, lambda: parse(self._branch.read(path)))

    def _derived(self, name: str, make: Callable[[], T]) -> T:
        """Give what `make` gives, and keep it while nothing changes. `name` stands for it."""
        try:
            return cast(T, self._kept[name])
        except KeyError:
            pass
        generation = self._branch.changes.generation
        value = make()
        with self._lock:
            if generation == self._branch.changes.generation:
                self._kept[name] = value
        return value

    def _set(
        self, path: str, regarding: UUID | None, change: Callable[[bytes, Clock], bytes | None]
    ) -> None:
        now = candidate_clock()
        self._branch.change(path, lambda log: change(log, now), regarding=regarding)

    def _forget(self, paths: frozenset[str] | None) -> None:
        if paths is None or any("/" not in path for path in paths):
            with self._lock:
                self._kept.clear()
                self.changes += 1


def _texts(values: Mapping[UUID, bytes]) -> dict[UUID, str]:
    return {repository: os.fsdecode(text) for repository, text in values.items()}
