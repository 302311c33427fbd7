"""Setting up a gateway: `initcluster`, `extendcluster`, `updatecluster` and `updateproxy`.

Git config says which remotes are nodes of which clusters, and which are proxied; these
commands publish that in cluster.log and proxy.log. Logs, messages and their order are those
of git-annex 10.20261026, except that

* `initcluster NAME` finds a cluster whatever the case of NAME, as git does; the real program
  replaces the UUID of `annex.cluster.mycluster` when it is told `MyCluster` once more;
* a node that several other gateways reach is published under one name, that of the shortest
  way there; of three gateways of the real program each publishes more names, and longer ones,
  every time that one is set up again;
* a remote that cannot be published (private, or with a name that no reader accepts) is said
  so, and not announced again each time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shoal.errors import ConfigError, NoSuchRemote
from shoal.gateway.clusters import CONFIG, local_clusters
from shoal.gateway.topology import topology_of
from shoal.git.uuids import new_uuid
from shoal.logs.proxy import Proxied, is_legal_name
from shoal.remotes.discovery import learn_uuids
from shoal.remotes.settings import RemoteSettings, remotes_of
from shoal.values.uuid import UUID, cluster_uuid_from, is_cluster_uuid, uuid_bytes

if TYPE_CHECKING:
    from shoal.git.repository import Repository


@dataclass
class Report:
    """What a command has to say: `lines` on standard output, `warnings` on standard error."""

    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def init_cluster(
    repository: Repository,
    name: str,
    description: str | None = None,
    *,
    random_uuid: Callable[[], str] = new_uuid,
) -> UUID:
    """Make this repository the gateway of a new cluster; give the cluster's UUID.

    Nothing happens when it is one already. Raises ConfigError for a name that a remote cannot
    have, or that git does not take.
    """
    if not is_legal_name(name):
        raise ConfigError("That cluster name is not a valid git remote name.")
    known = local_clusters(repository.config)
    found = known.get(name) or known.get(name.lower())
    if found is not None:
        return found
    cluster = cluster_uuid_from(random_uuid())
    repository.config.set(CONFIG + name, cluster)
    repository.logs.set_description(cluster, description or f"cluster {name}")
    return cluster


def extend_cluster(repository: Repository, gateway: str, name: str) -> None:
    """Make this repository one more gateway of the cluster that the remote `gateway` serves
    as `name`. What it then serves is published by update_cluster().

    Raises NoSuchRemote when either of them is not a remote here.
    """
    learn_uuids(repository, again=True)
    remotes = {remote.name: remote for remote in remotes_of(repository)}
    cluster = remotes.get(f"{gateway}-{name}")
    if cluster is None or cluster.uuid is None or not is_cluster_uuid(cluster.uuid):
        raise NoSuchRemote(f"{gateway}-{name}")
    if gateway not in remotes:
        raise NoSuchRemote(gateway)
    if name not in local_clusters(repository.config):
        repository.config.set(CONFIG + name, cluster.uuid)
    repository.config.set(f"remote.{gateway}.annex-cluster-gateway", cluster.uuid)


def update_cluster(repository: Repository) -> Report:
    """Publish which remotes are nodes of this repository's clusters, and proxy for them."""
    report = Report(warnings=learn_uuids(repository, again=True))
    remotes = remotes_of(repository)
    recorded = repository.logs.clusters()
    usable = [
        remote
        for remote in remotes
        if remote.cluster_nodes
        and _may_proxy(repository, remote, "Cannot use this remote as a cluster node.", report)
    ]
    for name, cluster in local_clusters(repository.config).items():
        own = {r.uuid: r for r in usable if r.uuid and name in (r.cluster_nodes or ())}
        old = recorded.get(cluster, frozenset())
        elsewhere = {r.uuid for r in remotes if r.is_proxied and r.uuid in old}
        new = frozenset(uuid for uuid in {*own, *elsewhere} if uuid is not None)
        if new == old:
            report.lines.append(f"No cluster node changes for cluster: {name}")
            continue
        for node in _by_bytes(own.keys() - old):
            report.lines.append(f"Added node {own[node].name} to cluster: {name}")
        for node in _by_bytes(old - new):
            shown = _describe(repository, remotes, node)
            report.lines.append(f"Removed node {shown} from cluster: {name}")
        repository.logs.set_cluster(cluster, new)
    proxies = update_proxy(repository)
    return Report(report.lines + proxies.lines, report.warnings + proxies.warnings)


def update_proxy(repository: Repository) -> Report:
    """Publish which remotes this repository proxies for, and its clusters."""
    report = Report(warnings=learn_uuids(repository, again=True))
    new = _to_publish(repository, remotes_of(repository), report)
    old = set(repository.logs.proxies(repository.uuid))
    if new == old:
        report.lines.append("No proxy changes to record.")
        return report
    for proxied in sorted(old | new, key=lambda one: (uuid_bytes(one.uuid), one.name)):
        if proxied not in old:
            report.lines.append(f"Started proxying for {proxied.name}")
        elif proxied not in new:
            report.lines.append(f"Stopped proxying for {proxied.name}")
    repository.logs.set_proxies(repository.uuid, new)
    return report


def _to_publish(
    repository: Repository, remotes: Iterable[RemoteSettings], report: Report
) -> set[Proxied]:
    """Give all that this repository proxies for.

    Besides what is configured these are its clusters, and nodes of its clusters that are
    reached through another gateway.
    """
    remotes = list(remotes)
    clusters = local_clusters(repository.config)
    found = {
        Proxied(remote.uuid, remote.name)
        for remote in remotes
        if (remote.proxy or remote.cluster_nodes)
        and _may_proxy(repository, remote, "Cannot proxy to this remote.", report)
        and remote.uuid is not None
    }
    found |= {Proxied(cluster, name) for name, cluster in clusters.items()}
    taken = {proxied.uuid for proxied in found}
    for cluster in clusters.values():
        found |= {one for one in _elsewhere(repository, cluster, remotes) if one.uuid not in taken}
    return _publishable(repository, found, report)


def _elsewhere(
    repository: Repository, cluster: UUID, remotes: Iterable[RemoteSettings]
) -> set[Proxied]:
    """Give the nodes of a cluster that other gateways reach, each by the shortest way."""
    nodes = repository.logs.clusters().get(cluster, frozenset())
    known = topology_of(cluster, nodes, repository.logs.all_proxies()).nodes

    def way(remote: RemoteSettings) -> tuple[bool, int, str]:
        there = known.get(remote.proxied_by, ()) if remote.proxied_by is not None else ()
        return remote.uuid not in there, len(remote.name), remote.name

    names: dict[UUID, str] = {}
    for remote in sorted(remotes, key=way):
        if remote.is_proxied and remote.uuid is not None and remote.uuid in nodes:
            names.setdefault(remote.uuid, remote.name)
    return {Proxied(uuid, name) for uuid, name in names.items()}


def _publishable(
    repository: Repository, found: Collection[Proxied], report: Report
) -> set[Proxied]:
    kept = set()
    for proxied in found:
        if not is_legal_name(proxied.name):
            report.warnings.append(
                f"{proxied.name} is not a name that clients would accept. "
                "Cannot proxy to this remote."
            )
        elif proxied.uuid not in repository.private_uuids:
            kept.add(proxied)
    return kept


def _may_proxy(
    repository: Repository, remote: RemoteSettings, consequence: str, report: Report
) -> bool:
    """Tell whether a remote can be served to others; warn when it cannot."""
    if remote.uuid is None:
        report.warnings.append(
            f"{remote.name} is a git remote without a known annex-uuid. {consequence}"
        )
        return False
    special = repository.logs.remote_configs().get(remote.config_uuid or remote.uuid, {})
    if special.get("exporttree") == "yes" and special.get("annexobjects") != "yes":
        report.warnings.append(
            f"{remote.name} is a special remote configured with exporttree=yes, but without "
            f"annexobjects=yes. {consequence} Suggest you run: git-annex enableremote "
            f"{remote.name} annexobjects=yes"
        )
        return False
    return True


def _describe(repository: Repository, remotes: Iterable[RemoteSettings], node: UUID) -> str:
    """Give a repository as it is shown to people, its UUID when nothing is known of it."""
    description = repository.logs.descriptions().get(node)
    if description is None:
        return node
    name = next((remote.name for remote in remotes if remote.uuid == node), None)
    if name is None:
        return description
    return f"[{name}]" if description in ("", name) else f"{description} [{name}]"


def _by_bytes(uuids: Iterable[UUID | None]) -> list[UUID]:
    return sorted((uuid for uuid in uuids if uuid is not None), key=uuid_bytes)
