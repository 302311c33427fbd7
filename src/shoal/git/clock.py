"""The vector clock for what is recorded now."""

from __future__ import annotations

import os
import time

from shoal.values.clock import Clock, clock_from_seconds, parse_clock


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
