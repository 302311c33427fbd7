"""What the logs with one value for each field have in common.

Fields are UUIDs, groups, config names, and so on. Of a field's lines the newest counts, and of
several with the same clock the last one in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from shoal.values.clock import Clock, next_clock
from shoal.values.record import record
from shoal.values.text import to_text
from shoal.values.uuid import UUID

F = TypeVar("F")
V = TypeVar("V")

_LINES = re.compile(rb"[\r\n]+")


@record
class Entry(Generic[V]):
    """A value and when it was set; no clock: a line of the old format without one."""

    clock: Clock | None
    value: V


def split_lines(log: bytes) -> list[bytes]:
    """Give the non-empty lines; a run of CR and LF ends one."""
    return [line for line in _LINES.split(log) if line]


def newest(entries: Iterable[tuple[F, Entry[V]]]) -> dict[F, Entry[V]]:
    """Give the entry that counts for each field."""
    found: dict[F, Entry[V]] = {}
    for field, entry in entries:
        old = found.get(field)
        if old is None or not _is_older(entry.clock, old.clock):
            found[field] = entry
    return found


def _is_older(clock: Clock | None, other: Clock | None) -> bool:
    if clock is None or other is None:
        return clock is None and other is not None
    return clock < other


def with_change(entries: Mapping[F, Entry[V]], field: F, value: V, now: Clock) -> dict[F, Entry[V]]:
    """Set one field, at `now` or one second after the entry that it supersedes."""
    old = entries.get(field)
    return {**entries, field: Entry(next_clock(now, old.clock if old else None), value)}


def values(entries: Mapping[F, Entry[V]]) -> dict[F, V]:
    """Give the values without their clocks."""
    return {field: entry.value for field, entry in entries.items()}


def read_uuid(text: bytes) -> UUID:
    """Read a UUID field: any bytes, and even none (which is nobody's UUID)."""
    return UUID(to_text(text))
