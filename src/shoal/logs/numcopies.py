"""`numcopies.log`: how many copies of each key there should be."""

from __future__ import annotations

from shoal.logs.singlelog import SingleLog
from shoal.values.clock import Clock
from shoal.values.number import read_int, write_int

PATH = "numcopies.log"


def _read(text: bytes) -> int:
    return max(1, read_int(text))


LOG = SingleLog(_read, write_int, lambda number: number)


def parse(log: bytes) -> int | None:
    """Give the number, None when none is set. A number below 1 counts as 1."""
    entry = LOG.parse(log)
    return None if entry is None else entry.value


def change(log: bytes, number: int, now: Clock) -> bytes | None:
    """Set the number; None when it is that already. Raises ValueError below 1."""
    if number < 1:
        raise ValueError("the number of copies must be 1 or more")
    return LOG.change(log, number, now)
