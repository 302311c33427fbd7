"""The old family of logs with one value for each repository.

    line = UUID SP VALUE SP timestamp=CLOCK

VALUE may be empty and may itself hold ` timestamp=`: only one at the very end is the clock. A
line without it is older than all others and stays without one. Rewritten sorted by UUID.
Source: log-write vectors of git-annex 10.20261026.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic

from shoal.logs.entries import Entry, V, newest, read_uuid, split_lines, values, with_change
from shoal.values.clock import Clock, parse_clock, render_clock
from shoal.values.uuid import UUID, uuid_bytes

_MARK = b" timestamp="


@dataclass(frozen=True, slots=True)
class UuidLog(Generic[V]):
    """The codec of one log: `read` may raise ValueError, which drops the line."""

    read: Callable[[bytes], V]
    write: Callable[[V], bytes]

    def parse(self, log: bytes) -> dict[UUID, Entry[V]]:
        """Give the entry of each repository."""
        return newest(self._lines(log))

    def _lines(self, log: bytes) -> Iterator[tuple[UUID, Entry[V]]]:
        for line in split_lines(log):
            try:
                yield self._line(line)
            except ValueError:
                continue

    def _line(self, line: bytes) -> tuple[UUID, Entry[V]]:
        before, mark, text = line.rpartition(_MARK)
        clock = None
        if mark:
            try:
                clock = parse_clock(text)
            except ValueError:
                before = line  # no clock at all: what looks like one is part of the value
        uuid, _, value = (before if mark else line).partition(b" ")
        if not uuid:
            raise ValueError("a line without a UUID")
        return read_uuid(uuid), Entry(clock, self.read(value))

    def values(self, log: bytes) -> dict[UUID, V]:
        """Give the value of each repository."""
        return values(self.parse(log))

    def render(self, entries: Mapping[UUID, Entry[V]]) -> bytes:
        """Give the log, sorted by UUID."""
        lines = []
        for uuid in sorted(entries, key=uuid_bytes):
            entry = entries[uuid]
            line = b"%s %s" % (uuid_bytes(uuid), self.write(entry.value))
            if entry.clock is not None:
                line += _MARK + render_clock(entry.clock)
            lines.append(line + b"\n")
        return b"".join(lines)

    def change(self, log: bytes, uuid: UUID, value: V, now: Clock) -> bytes:
        """Give the log after setting one repository's value."""
        return self.render(with_change(self.parse(log), uuid, value, now))
