"""Which changes of the git-annex branch are changes of a cluster's configuration.

Compared is what the logs mean, not their lines: a merge that only gathers lines changes nothing,
and neither does a repository that is none of the cluster's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shoal.logs import (
    cluster,
    group,
    group_preferred,
    maxsize,
    mincopies,
    numcopies,
    preferred,
    proxy,
    required,
    trust,
)
from shoal.logs.trust import TrustLevel
from shoal.values.uuid import UUID

_OF_REPOSITORIES: dict[str, tuple[str, Callable[[bytes], Mapping[UUID, object]], object]] = {
    # path: (what it is, how it is read, what is as good as no entry)
    cluster.PATH: ("the nodes", cluster.parse, frozenset()),
    proxy.PATH: ("what is proxied", proxy.parse, frozenset()),
    maxsize.PATH: ("the maximum size", maxsize.parse, 0),
    group.PATH: ("the groups", group.parse, frozenset()),
    preferred.PATH: ("what is wanted", preferred.parse, None),
    required.PATH: ("what is required", required.parse, None),
    trust.PATH: ("the trust", trust.parse, TrustLevel.SEMITRUSTED),
}
_OF_ALL: dict[str, tuple[str, Callable[[bytes], int | None]]] = {
    numcopies.PATH: ("the number of copies", numcopies.parse),
    mincopies.PATH: ("the least number of copies", mincopies.parse),
}
PATHS = (*_OF_REPOSITORIES, *_OF_ALL, group_preferred.PATH)
"""The logs that have a cluster's configuration."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose configuration is locked: a gateway's, its clusters' and their nodes', and what
    the groups of these want."""

    repositories: frozenset[UUID]
    groups: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Change:
    """One change: in which log, what it is, and of which repository or group (None: of all)."""

    path: str
    what: str
    of: UUID | bytes | None = None


def scope_of(
    gateway: UUID, clusters: frozenset[UUID], nodes: frozenset[UUID], logs: Mapping[str, bytes]
) -> Scope:
    """Work out what is locked. `nodes` are those that the gateway knows by itself; `logs` are
    its own, by path."""
    logged = cluster.parse(logs[cluster.PATH])
    all_nodes = nodes.union(*(logged.get(one, frozenset()) for one in clusters))
    repositories = frozenset({gateway}) | clusters | all_nodes
    groups = group.parse(logs[group.PATH])
    return Scope(
        repositories, frozenset().union(*(groups.get(one, frozenset()) for one in repositories))
    )


def locked_changes(
    old: Mapping[str, bytes], new: Mapping[str, bytes], scope: Scope
) -> list[Change]:
    """Give the changes between two states of the logs in PATHS that `scope` locks."""
    found = []
    for path, (what, parse, nothing) in _OF_REPOSITORIES.items():
        before, after = parse(old[path]), parse(new[path])
        found += [
            Change(path, what, uuid)
            for uuid in sorted(scope.repositories)
            if before.get(uuid, nothing) != after.get(uuid, nothing)
        ]
    for path, (what, read) in _OF_ALL.items():
        if read(old[path]) != read(new[path]):
            found.append(Change(path, what))
    path = group_preferred.PATH
    wanted, wanted_now = group_preferred.parse(old[path]), group_preferred.parse(new[path])
    found += [
        Change(path, "what is wanted in group", name)
        for name in sorted(scope.groups)
        if wanted.get(name) != wanted_now.get(name)
    ]
    return found
