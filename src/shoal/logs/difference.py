"""`difference.log`: how a repository's own layout differs from the usual one.

Repositories whose differences are not the same must not be merged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum

from shoal.logs.uuidlog import UuidLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID

PATH = "difference.log"


class Difference(Enum):
    """A difference, in the order in which they are written."""

    OBJECT_HASH_LOWER = b"ObjectHashLower"
    ONE_LEVEL_OBJECT_HASH = b"OneLevelObjectHash"
    ONE_LEVEL_BRANCH_HASH = b"OneLevelBranchHash"
    SIMULATION = b"Simulation"


Differences = frozenset[Difference]

_LIST = re.compile(rb"\s*fromList\s*\[\s*(.*?)\s*\]\s*")
_COMMA = re.compile(rb"\s*,\s*")

LOG: UuidLog[bytes] = UuidLog(bytes, bytes)


def read_differences(text: bytes) -> Differences | None:
    """Give the differences; None when they are not understood, which equals nothing."""
    found = _LIST.fullmatch(text)
    if found is None:
        return None
    try:
        return frozenset(Difference(name) for name in _COMMA.split(found[1]) if name)
    except ValueError:
        return None


def parse(log: bytes) -> dict[UUID, Differences | None]:
    """Give the differences of each repository that has any; None: not understood."""
    return {uuid: read_differences(text) for uuid, text in LOG.values(log).items()}


def all_of(log: Mapping[UUID, Differences | None]) -> Differences | None:
    """Give all differences that any repository recorded; None when one is not understood."""
    found: set[Difference] = set()
    for differences in log.values():
        if differences is None:
            return None
        found |= differences
    return frozenset(found)


def change(log: bytes, uuid: UUID, differences: Iterable[Difference], now: Clock) -> bytes:
    """Record the differences of a repository."""
    wanted = set(differences)
    names = b",".join(difference.value for difference in Difference if difference in wanted)
    return LOG.change(log, uuid, b"fromList [%s]" % names, now)
