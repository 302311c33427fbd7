"""`maxsize.log`: the most bytes of keys that each repository should hold."""

from __future__ import annotations

from shoal.logs.entries import read_uuid
from shoal.logs.maplog import MapLog
from shoal.values.clock import Clock
from shoal.values.number import read_int, write_int
from shoal.values.uuid import UUID, uuid_bytes

PATH = "maxsize.log"
LOG = MapLog(read_uuid, uuid_bytes, read_int, write_int)


def parse(log: bytes) -> dict[UUID, int]:
    """Give the maximum size of each repository that has one, in bytes. 0: no limit any more."""
    return LOG.values(log)


def change(log: bytes, uuid: UUID, size: int, now: Clock) -> bytes:
    """Set the maximum size of a repository, in bytes; 0 takes the limit away."""
    return LOG.change(log, uuid, size, now)
