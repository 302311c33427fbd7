"""Clocks: the vector clock for what is recorded now, and the one that measures how long."""

from __future__ import annotations

import os
import time

from shoal.values.clock import Clock, clock_from_seconds, parse_clock

_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def monotonic() -> float:
    """Give seconds of a clock that nobody sets, that is the same in every process of this machine,
    and that goes on while the machine sleeps: a lock of another machine does not wait for us to
    wake up. Removals are timed by it (source: git-annex's P2P protocol design page)."""
    return time.clock_gettime(_MONOTONIC)


def candidate_clock() -> Clock:
    """Give GIT_ANNEX_VECTOR_CLOCK if that is set to a clock, else the time in whole seconds.

    The logs use a later one when what they replace is not older.
    """
    given = os.environ.get("GIT_ANNEX_VECTOR_CLOCK")
    if given is not None:
        try:
            return parse_clock(os.fsencode(given))
        except ValueError:
            pass
    return clock_from_seconds(int(time.time()))
