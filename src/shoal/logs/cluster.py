"""`cluster.log`: the nodes of each cluster."""

from __future__ import annotations

from collections.abc import Iterable

from shoal.logs.entries import read_uuid
from shoal.logs.maplog import MapLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID, is_cluster_uuid, uuid_bytes

PATH = "cluster.log"


def _read_cluster(text: bytes) -> UUID:
    uuid = read_uuid(text)
    if not is_cluster_uuid(uuid):
        raise ValueError(f"not a cluster's UUID: {uuid}")
    return uuid


def _read(text: bytes) -> frozenset[UUID]:
    return frozenset(map(read_uuid, text.split()))


LOG = MapLog(
    _read_cluster, uuid_bytes, _read, lambda nodes: b" ".join(sorted(map(uuid_bytes, nodes)))
)


def parse(log: bytes) -> dict[UUID, frozenset[UUID]]:
    """Give the nodes of each cluster, dead ones too. Other UUIDs than clusters' are ignored."""
    return LOG.values(log)


def change(log: bytes, cluster: UUID, nodes: Iterable[UUID], now: Clock) -> bytes:
    """Set the nodes of a cluster. Raises ValueError when `cluster` is no cluster's UUID."""
    return LOG.change(log, _read_cluster(uuid_bytes(cluster)), frozenset(nodes), now)
