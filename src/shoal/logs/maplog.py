"""The new family of logs, a map from fields to values.

    line = CLOCK SP FIELD SP VALUE

FIELD runs to the next space; the space before VALUE is there even if VALUE is empty.
Rewritten sorted by FIELD (as bytes, unless the log has an order of its own). Source:
log-write vectors of git-annex 10.20261026.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Generic

from shoal.logs.entries import Entry, F, V, newest, split_lines, values, with_change
from shoal.values.clock import Clock, parse_clock, render_clock
from shoal.values.record import record

if TYPE_CHECKING:
    from _typeshed import SupportsRichComparison


@record
class MapLog(Generic[F, V]):
    """The codec of one log: a reader may raise ValueError, which drops the line."""

    read_field: Callable[[bytes], F]
    write_field: Callable[[F], bytes]
    read: Callable[[bytes], V]
    write: Callable[[V], bytes]
    order: Callable[[F], SupportsRichComparison] | None = None

    def parse(self, log: bytes) -> dict[F, Entry[V]]:
        """Give the entry of each field."""
        return newest(self._lines(log))

    def _lines(self, log: bytes) -> Iterator[tuple[F, Entry[V]]]:
        for line in split_lines(log):
            clock, _, rest = line.partition(b" ")
            field, space, value = rest.partition(b" ")
            try:
                if space:
                    yield self.read_field(field), Entry(parse_clock(clock), self.read(value))
            except ValueError:
                continue

    def values(self, log: bytes) -> dict[F, V]:
        """Give the value of each field."""
        return values(self.parse(log))

    def render(self, entries: Mapping[F, Entry[V]]) -> bytes:
        """Give the log, sorted by field."""
        return b"".join(
            _line(self.write_field(field), entries[field].clock, self.write(entries[field].value))
            for field in sorted(entries, key=self.order or self.write_field)
        )

    def change(self, log: bytes, field: F, value: V, now: Clock) -> bytes:
        """Give the log after setting one field."""
        return self.render(with_change(self.parse(log), field, value, now))


def _line(field: bytes, clock: Clock | None, value: bytes) -> bytes:
    if clock is None:
        raise ValueError("a line of this family has a clock")
    return b"%s %s %s\n" % (render_clock(clock), field, value)
