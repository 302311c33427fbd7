"""The remote state log of a key (`.log.rmt`): what a special remote keeps about it.

The text is the special remote's own. The UUID is that of the remote's configuration.
"""

from __future__ import annotations

from shoal.logs.entries import read_uuid
from shoal.logs.maplog import MapLog
from shoal.values.clock import Clock
from shoal.values.key import Key
from shoal.values.keypath import log_path
from shoal.values.uuid import UUID, uuid_bytes

SUFFIX = ".log.rmt"
LOG: MapLog[UUID, bytes] = MapLog(read_uuid, uuid_bytes, bytes, bytes)


def path(key: Key, levels: int = 2) -> str:
    """Give the path of the key's remote state log."""
    return log_path(key, SUFFIX, levels)


def parse(log: bytes) -> dict[UUID, bytes]:
    """Give the state that each special remote keeps."""
    return LOG.values(log)


def change(log: bytes, remote: UUID, state: bytes, now: Clock) -> bytes:
    """Set a special remote's state, one line. Raises ValueError when it has more."""
    if b"\n" in state or b"\r" in state:
        raise ValueError("a remote's state is a single line")
    return LOG.change(log, remote, state, now)
