"""Which cluster a command is about, and what is known of its nodes from here.

At a gateway the nodes are reached as the gateway reaches them. In any other clone that knows
the cluster they are reached by that clone's own remotes, if there are any.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.errors import NoSuchRemote, ShoalError
from shoal.gateway.clusters import local_clusters
from shoal.gateway.publishing import plan_of
from shoal.remotes.settings import by_cost
from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.annex.session import Session
    from shoal.logs.proxy import Proxied
    from shoal.remotes.settings import RemoteSettings

_MAKE_ONE = "To make a cluster here: shoal initcluster NAME"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as it is known here.

    `nodes` are its living nodes in the order in which they decide: the cheapest first, those
    that cannot be reached from here last. `remotes` say how the others are reached.
    """

    uuid: UUID
    name: str
    nodes: tuple[UUID, ...]
    names: dict[UUID, str]
    """What people here call each node."""
    remotes: tuple[RemoteSettings, ...]
    is_here: bool
    """This repository is a gateway of it."""


def choose_cluster(session: Session, word: str | None = None) -> Cluster:
    """Give the cluster that a user calls `word` (a name, a UUID, a remote, a description); by
    default the only one of this gateway, or else the only one that is known.

    Raises ShoalError when there is none, or several and no word.
    """
    local = local_clusters(session.repository.config)
    known = session.logs.clusters()
    if word is not None:
        return _named(session, word)
    found = sorted({*local.values()} or {*known})
    if not found:
        raise ShoalError("no cluster is known in this repository", hint=_MAKE_ONE)
    if len(found) > 1:
        names = ", ".join(sorted(_name(session, uuid) for uuid in found))
        raise ShoalError(f"there are several clusters, say which one: {names}")
    return _cluster(session, found[0])


def _named(session: Session, word: str) -> Cluster:
    local = local_clusters(session.repository.config)
    if word in local:
        return _cluster(session, local[word])
    if word in session.logs.clusters():
        return _cluster(session, UUID(word))
    published = {name: uuid for uuid, name in _published(session) if is_cluster_uuid(uuid)}
    if word in published:
        return _cluster(session, published[word])
    try:
        uuid = session.uuid_of(word)
    except NoSuchRemote as error:
        raise ShoalError(f'no cluster called "{word}" is known here', hint=_MAKE_ONE) from error
    if not is_cluster_uuid(uuid):
        raise ShoalError(f'"{word}" is not a cluster')
    return _cluster(session, uuid)


def _cluster(session: Session, uuid: UUID) -> Cluster:
    members = session.logs.clusters().get(uuid, frozenset())
    plan = plan_of(session.repository).clusters.get(uuid)
    ways: dict[UUID, RemoteSettings] = {}
    for remote in (*(plan.nodes if plan else ()), *by_cost(session.settings)):
        if remote.uuid in members and not remote.ignore:
            ways.setdefault(remote.uuid, remote)
    nodes = (*ways, *sorted(members - ways.keys()))
    return Cluster(
        uuid,
        _name(session, uuid),
        nodes,
        _names(session, nodes, ways.values()),
        tuple(ways.values()),
        uuid in local_clusters(session.repository.config).values(),
    )


def _name(session: Session, uuid: UUID) -> str:
    """Give what people call a cluster."""
    for name, local in local_clusters(session.repository.config).items():
        if local == uuid:
            return name
    return _names(session, [uuid], ())[uuid]


def _names(
    session: Session, uuids: Sequence[UUID], remotes: Iterable[RemoteSettings]
) -> dict[UUID, str]:
    """Give names: the remote's, the one that a gateway publishes, the description, the UUID."""
    published = {one.uuid: one.name for one in _published(session)}
    names = {remote.uuid: remote.name for remote in remotes}
    return {
        uuid: names.get(uuid)
        or published.get(uuid)
        or session.names.remote_name(uuid)
        or session.names.description(uuid)
        or uuid
        for uuid in uuids
    }


def _published(session: Session) -> list[Proxied]:
    """Give what gateways call what they serve, in a fixed order."""
    return sorted(one for served in session.logs.all_proxies().values() for one in served)
