"""Which UUIDs a repository serves, and through which of its remotes.

A UUID is served when both agree: the git-annex branch publishes it in this gateway's line of
proxy.log, and git config allows it (a remote of the published name is to be proxied, or is a
node of a local cluster). So whoever can push to the git-annex branch opens no way to anything.
Source: git-annex's passthrough proxy design; checked against git-annex 10.20261026.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shoal.gateway.clusters import local_clusters
from shoal.gateway.topology import Topology, topology_of
from shoal.remotes.settings import RemoteSettings, by_cost, remotes_of
from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.logs.proxy import Proxied


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """A cluster that is served, the remotes that are its nodes, cheapest first, and what is
    known of its gateways."""

    name: str
    nodes: tuple[RemoteSettings, ...]
    topology: Topology = field(default_factory=Topology)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a repository serves besides itself."""

    proxied: Mapping[UUID, RemoteSettings]
    clusters: Mapping[UUID, ClusterPlan]


def plan_of(repository: Repository) -> Plan:
    """Work out what a repository serves now."""
    published = repository.logs.proxies(repository.uuid)
    if not published:
        return Plan({}, {})
    return make_plan(
        repository.uuid,
        by_cost(remotes_of(repository)),
        published,
        local_clusters(repository.config),
        repository.logs.clusters(),
        repository.logs.all_proxies(),
    )


def make_plan(
    here: UUID,
    remotes: Sequence[RemoteSettings],
    published: Collection[Proxied],
    local: Mapping[str, UUID],
    clusters: Mapping[UUID, frozenset[UUID]],
    proxies: Mapping[UUID, Collection[Proxied]] | None = None,
) -> Plan:
    """Put together what is `published` with what is configured.

    `remotes` are all, cheapest first; `local` are the clusters that git config names,
    `clusters` the living nodes that cluster.log gives for each, and `proxies` what each
    gateway publishes.
    """
    proxied: dict[UUID, RemoteSettings] = {}
    served: dict[UUID, ClusterPlan] = {}
    for one in published:
        if is_cluster_uuid(one.uuid) and one.uuid in clusters:
            nodes = tuple(_nodes(here, remotes, one.uuid, local, clusters[one.uuid]))
            topology = topology_of(one.uuid, clusters[one.uuid], proxies or {})
            served[one.uuid] = ClusterPlan(one.name, nodes, topology)
    names = {(one.uuid, one.name) for one in published}
    for remote in remotes:
        uuid = remote.uuid
        if uuid is None or uuid == here or uuid in proxied or (uuid, remote.name) not in names:
            continue
        if _may_be_proxied(remote, remotes, local):
            proxied[uuid] = remote
    return Plan({u: r for u, r in proxied.items() if u not in served}, served)


def _may_be_proxied(
    remote: RemoteSettings, remotes: Sequence[RemoteSettings], local: Mapping[str, UUID]
) -> bool:
    """Tell whether git config allows to serve a remote to others."""
    if remote.proxy or any(name in local for name in remote.cluster_nodes or ()):
        return True
    return remote.is_proxied and any(
        gateway.uuid == remote.proxied_by and gateway.cluster_gateways for gateway in remotes
    )


def _nodes(
    here: UUID,
    remotes: Sequence[RemoteSettings],
    cluster: UUID,
    local: Mapping[str, UUID],
    logged: Collection[UUID],
) -> list[RemoteSettings]:
    """Give the remotes that are nodes of a cluster: those that both git config and
    cluster.log name, and the same cluster at another gateway that git config names."""
    gateways = {gateway.uuid for gateway in remotes if cluster in gateway.cluster_gateways} - {
        here,
        None,
    }
    return [
        remote
        for remote in remotes
        if (
            any(local.get(name) == cluster for name in remote.cluster_nodes)
            and remote.uuid in logged
            if remote.cluster_nodes is not None
            else remote.uuid == cluster and remote.proxied_by in gateways
        )
    ]
