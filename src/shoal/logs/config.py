"""`config.log`: a few git config values that all repositories of the user should share."""

from __future__ import annotations

from shoal.logs.maplog import MapLog
from shoal.values.clock import Clock

PATH = "config.log"
HONOURED = frozenset(
    {
        "annex.largefiles", "annex.dotfiles", "annex.addunlocked", "annex.autocommit",
        "annex.resolvemerge", "annex.synccontent", "annex.synconlyannex",
        "annex.securehashesonly",
    }
)  # fmt: skip
"""The names that git-annex takes from this log. Others can be set, without effect."""

LOG: MapLog[bytes, bytes] = MapLog(bytes, bytes, bytes, bytes)


def parse(log: bytes) -> dict[bytes, bytes]:
    """Give the value of each name; empty: unset."""
    return LOG.values(log)


def change(log: bytes, name: bytes, value: bytes, now: Clock) -> bytes:
    """Set a value; an empty one unsets it."""
    return LOG.change(log, name, value, now)
