"""`multicast.log`: the fingerprint of each repository's uftp key."""

from __future__ import annotations

from shoal.logs.uuidlog import UuidLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID

PATH = "multicast.log"
LOG: UuidLog[bytes] = UuidLog(bytes, bytes)


def parse(log: bytes) -> dict[UUID, bytes]:
    """Give each repository's entry as it is written: `Fingerprint "…"`."""
    return LOG.values(log)


def change(log: bytes, uuid: UUID, fingerprint: bytes, now: Clock) -> bytes:
    """Record a fingerprint: hexadecimal digits and colons. Raises ValueError otherwise."""
    if not fingerprint or set(fingerprint) - set(b"0123456789abcdefABCDEF:"):
        raise ValueError(f"not a fingerprint: {fingerprint[:80]!r}")
    return LOG.change(log, uuid, b'Fingerprint "%s"' % fingerprint, now)
