"""`group.log`: the groups that each repository is in."""

from __future__ import annotations

from collections.abc import Iterable

from shoal.logs.uuidlog import UuidLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID

PATH = "group.log"


def _read(text: bytes) -> frozenset[bytes]:
    return frozenset(group for group in text.split(b" ") if group)


LOG = UuidLog(_read, lambda groups: b" ".join(sorted(groups)))


def parse(log: bytes) -> dict[UUID, frozenset[bytes]]:
    """Give the groups of each repository in the log."""
    return LOG.values(log)


def change(log: bytes, uuid: UUID, groups: Iterable[bytes], now: Clock) -> bytes:
    """Set all groups of a repository. Raises ValueError for one with a space or newline."""
    groups = frozenset(groups)
    if any(not group or set(group) & set(b" \r\n") for group in groups):
        raise ValueError("the name of a group is a word")
    return LOG.change(log, uuid, groups, now)
