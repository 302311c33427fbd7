"""Logs with a single value.

    line = CLOCK SP VALUE

The greatest clock counts, and of several values with it the greatest. Rewritten as one line.
Source: log-write vectors of git-annex 10.20261026.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from shoal.logs.entries import Entry, V, split_lines
from shoal.values.clock import Clock, next_clock, parse_clock, render_clock


@dataclass(frozen=True, slots=True)
class SingleLog(Generic[V]):
    """The codec of one log: `read` may raise ValueError, which drops the line.

    `order` gives what is compared when two values have the same clock.
    """

    read: Callable[[bytes], V]
    write: Callable[[V], bytes]
    order: Callable[[V], int]

    def _newest(self, log: bytes) -> tuple[Clock, V] | None:
        best: tuple[Clock, V] | None = None
        for line in split_lines(log):
            clock_text, _, value_text = line.partition(b" ")
            try:
                clock, value = parse_clock(clock_text), self.read(value_text)
            except ValueError:
                continue
            if best is None or (clock, self.order(value)) > (best[0], self.order(best[1])):
                best = clock, value
        return best

    def parse(self, log: bytes) -> Entry[V] | None:
        """Give the value that counts, None when there is none."""
        best = self._newest(log)
        return None if best is None else Entry(*best)

    def change(self, log: bytes, value: V, now: Clock) -> bytes | None:
        """Give the log after setting the value; None when it is that already."""
        best = self._newest(log)
        if best is not None and best[1] == value:
            return None
        clock = next_clock(now, best[0] if best else None)
        return b"%s %s\n" % (render_clock(clock), self.write(value))
