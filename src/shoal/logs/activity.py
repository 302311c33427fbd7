"""`activity.log`: the last thing of note that was done in each repository."""

from __future__ import annotations

import re

from shoal.logs.uuidlog import UuidLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID

PATH = "activity.log"
FSCK = b"Fsck"

_FSCK = re.compile(rb"[ \t(]*Fsck(?![\w'])")


def _read(text: bytes) -> bytes:
    """The real program reads one word that it knows, and keeps any other text as it is."""
    return FSCK if _FSCK.match(text) else text


LOG: UuidLog[bytes] = UuidLog(_read, bytes)


def parse(log: bytes) -> dict[UUID, tuple[bytes, Clock | None]]:
    """Give the last activity of each repository (as a rule `Fsck`) and when it was."""
    return {uuid: (entry.value, entry.clock) for uuid, entry in LOG.parse(log).items()}


def change(log: bytes, uuid: UUID, activity: bytes, now: Clock) -> bytes:
    """Record an activity; it takes the place of the one before."""
    return LOG.change(log, uuid, activity, now)
