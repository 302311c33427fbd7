"""`trust.log`: how far the location log is believed about each repository."""

from __future__ import annotations

from enum import Enum

from shoal.logs.uuidlog import UuidLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID

PATH = "trust.log"


class TrustLevel(Enum):
    """How far a repository is trusted; the value is what the log has."""

    TRUSTED = b"1"
    SEMITRUSTED = b"?"
    UNTRUSTED = b"0"
    DEAD = b"X"


def _read(text: bytes) -> TrustLevel:
    if not text:
        return TrustLevel.TRUSTED  # lines from before there were levels
    if len(text) > 1:
        raise ValueError(f"not a trust level: {text[:40]!r}")
    try:
        return TrustLevel(text)
    except ValueError:
        return TrustLevel.SEMITRUSTED


LOG = UuidLog(_read, lambda level: level.value)


def parse(log: bytes) -> dict[UUID, TrustLevel]:
    """Give the level of each repository in the log; all others are semitrusted."""
    return LOG.values(log)


def change(log: bytes, uuid: UUID, level: TrustLevel, now: Clock) -> bytes:
    """Set the level of a repository."""
    return LOG.change(log, uuid, level, now)
