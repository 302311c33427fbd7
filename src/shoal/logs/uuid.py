"""`uuid.log`: the repositories that are known, each with a description."""

from __future__ import annotations

from shoal.logs.uuidlog import UuidLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID

PATH = "uuid.log"
LOG: UuidLog[bytes] = UuidLog(bytes, lambda value: value.replace(b"\n", b"\\n"))


def parse(log: bytes) -> dict[UUID, bytes]:
    """Give the description of each repository."""
    return LOG.values(log)


def change(log: bytes, uuid: UUID, description: bytes, now: Clock) -> bytes:
    """Describe a repository. A newline is written as backslash and n, and stays that."""
    return LOG.change(log, uuid, description, now)
