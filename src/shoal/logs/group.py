"""`group.log`: the groups that each repository is in."""

from __future__ import annotations

from collections.abc import Iterable

from shoal.logs.uuidlog import UuidLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID

PATH = "group.log"


def _read(text: bytes) -> frozenset[bytes]:
    return frozenset(text.split())


LOG = UuidLog(_read, lambda groups: b" ".join(sorted(groups)))


def parse(log: bytes) -> dict[UUID, frozenset[bytes]]:
    """Give the groups of each repository in the log."""
    return LOG.values(log)


def change(log: bytes, uuid: UUID, groups: Iterable[bytes], now: Clock) -> bytes:
    """Set all groups of a repository. They are words: no spaces."""
    return LOG.change(log, uuid, frozenset(groups), now)
