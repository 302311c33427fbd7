"""`group-preferred-content.log`: the expression that `groupwanted` means in each group."""

from __future__ import annotations

from shoal.logs.maplog import MapLog
from shoal.values.clock import Clock

PATH = "group-preferred-content.log"
LOG: MapLog[bytes, bytes] = MapLog(bytes, bytes, bytes, bytes)


def parse(log: bytes) -> dict[bytes, bytes]:
    """Give the text of each group's expression."""
    return LOG.values(log)


def change(log: bytes, group: bytes, expression: bytes, now: Clock) -> bytes:
    """Set the expression of a group, one line. Raises ValueError when it has more."""
    if b"\n" in expression or b"\r" in expression:
        raise ValueError("an expression is a single line")
    return LOG.change(log, group, expression, now)
