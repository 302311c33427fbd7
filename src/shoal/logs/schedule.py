"""`schedule.log`: what each repository's assistant should do, and when."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.logs.uuidlog import UuidLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID

PATH = "schedule.log"
LOG: UuidLog[bytes] = UuidLog(bytes, bytes)


def parse(log: bytes) -> dict[UUID, list[bytes]]:
    """Give the texts of each repository's scheduled activities."""
    return {
        uuid: [text for text in value.split(b"; ") if text]
        for uuid, value in LOG.values(log).items()
    }


def change(log: bytes, uuid: UUID, activities: Sequence[bytes], now: Clock) -> bytes:
    """Set all scheduled activities of a repository."""
    if any(b"\n" in text or b"\r" in text for text in activities):
        raise ValueError("a scheduled activity is a single line")
    return LOG.change(log, uuid, b"; ".join(activities), now)
