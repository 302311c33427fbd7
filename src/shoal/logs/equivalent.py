"""The equivalent keys log of a VURL key (`.log.ek`): hash keys of contents that its URL had."""

from __future__ import annotations

from shoal.logs import presence
from shoal.logs.presence import Status
from shoal.values.clock import Clock
from shoal.values.key import Key
from shoal.values.keypath import log_path

SUFFIX = ".log.ek"


def path(key: Key, levels: int = 2) -> str:
    """Give the path of the key's equivalent keys log."""
    return log_path(key, SUFFIX, levels)


def parse(log: bytes) -> list[Key]:
    """Give the equivalent keys. What does not parse as a key is left out."""
    keys = []
    for info in presence.present(log):
        try:
            key = Key.parse(info)
        except ValueError:
            continue
        if key not in keys:
            keys.append(key)
    return keys


def add(log: bytes, key: Key, now: Clock) -> bytes:
    """Add an equivalent key."""
    return presence.add(log, bytes(key), Status.PRESENT, now)
