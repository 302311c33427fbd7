"""`cluster.log`: the nodes of each cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable

from shoal.logs.entries import read_uuid
from shoal.logs.maplog import MapLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID, is_cluster_uuid, uuid_bytes

PATH = "cluster.log"


# Strictly one space between two UUIDs; one at the end is forgiven. Else the line is dropped.
_NODES = re.compile(rb"(?:[^ ]+(?: [^ ]+)* ?)?")


def _read(text: bytes) -> frozenset[UUID]:
    if _NODES.fullmatch(text) is None:
        raise ValueError(f"not a list of UUIDs: {text[:80]!r}")
    return frozenset(read_uuid(word) for word in text.split(b" ") if word)


LOG = MapLog(read_uuid, uuid_bytes, _read, lambda nodes: b" ".join(sorted(map(uuid_bytes, nodes))))


def parse(log: bytes) -> dict[UUID, frozenset[UUID]]:
    """Give the nodes of each cluster, dead ones too. Other UUIDs than clusters' are ignored."""
    return {uuid: nodes for uuid, nodes in LOG.values(log).items() if is_cluster_uuid(uuid)}


def change(log: bytes, cluster: UUID, nodes: Iterable[UUID], now: Clock) -> bytes:
    """Set the nodes of a cluster. Raises ValueError when `cluster` is no cluster's UUID."""
    if not is_cluster_uuid(cluster):
        raise ValueError(f"not a cluster's UUID: {cluster}")
    return LOG.change(log, cluster, frozenset(nodes), now)
