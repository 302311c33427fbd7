"""`required-content.log`: the expression for what each repository must keep.

Only the text is looked at here; an empty one is set, and means nothing in particular.
"""

from __future__ import annotations

from shoal.logs.uuidlog import UuidLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID

PATH = "required-content.log"
LOG: UuidLog[bytes] = UuidLog(bytes, bytes)


def parse(log: bytes) -> dict[UUID, bytes]:
    """Give the text of each repository's expression."""
    return LOG.values(log)


def change(log: bytes, uuid: UUID, expression: bytes, now: Clock) -> bytes:
    """Set the expression of a repository, one line. Raises ValueError when it has more."""
    if b"\n" in expression or b"\r" in expression:
        raise ValueError("an expression is a single line")
    return LOG.change(log, uuid, expression, now)
