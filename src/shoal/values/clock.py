"""Vector clocks: the times in the logs of the git-annex branch, exact to the picosecond.

Text form: `[+-]digits[.digits][s]`; written back as `100s` or `100.5s`. A clock is counted in
whole picoseconds (git-annex's own resolution), so that comparing two is comparing integers
and no digit is lost. Times in `.rtm` and transfer info files have the same text form.
Source: on-disk behaviour of git-annex 10.20261026 (log-write vectors).
"""

from __future__ import annotations

import re
from typing import NewType

from shoal.values.number import int_of_digits, write_int

Clock = NewType("Clock", int)
"""Picoseconds since 1970 (or a negative number before that)."""

SECOND = 10**12
"""Picoseconds in one second."""

_DECIMALS = 12
_CLOCK = re.compile(rb"([+-]?)([0-9]+)(?:\.([0-9]+))?s?")


def clock_from_seconds(seconds: int) -> Clock:
    """Give the clock of a whole number of seconds since 1970."""
    return Clock(seconds * SECOND)


def clock_from_nanoseconds(nanoseconds: int) -> Clock:
    """Give the clock of what `time.time_ns()` gives."""
    return Clock(nanoseconds * 1000)


def parse_clock(text: bytes) -> Clock:
    """Read a clock; decimals after the twelfth are cut off. Raises ValueError.

    The real program loses the sign of `-0.5`, and so do we: both must agree on the order.
    """
    digits = text[:-1]
    if digits.isdigit() and text[-1:] == b"s":  # the form that is nearly always there
        return Clock(int_of_digits(digits) * SECOND)
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise ValueError(f"not a vector clock: {text[:80]!r}")
    sign, whole, fraction = found.groups()
    seconds = int_of_digits(whole)
    picoseconds = seconds * SECOND
    if fraction is not None:
        picoseconds += int(fraction[:_DECIMALS].ljust(_DECIMALS, b"0"))
    return Clock(-picoseconds if seconds and sign == b"-" else picoseconds)


def render_clock(clock: Clock) -> bytes:
    """Give the canonical text: no needless zeros, and an `s` at the end."""
    whole, fraction = divmod(abs(clock), SECOND)
    sign = b"-" if clock < 0 else b""
    if not fraction:
        return b"%s%ss" % (sign, write_int(whole))
    return b"%s%s.%ss" % (sign, write_int(whole), (b"%012d" % fraction).rstrip(b"0"))


def next_clock(now: Clock, newest: Clock | None) -> Clock:
    """Give the clock of a new line: `now`, or one second after a `newest` not before it.

    `newest` is the greatest clock of the lines that the new one has to supersede, None when
    there is none (or it is a line of the old format, without a clock).
    """
    if newest is None or newest < now:
        return now
    return Clock(newest + SECOND)
