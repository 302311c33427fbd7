"""Presence logs: which things are there, with a vector clock each.

    line = CLOCK SP (1|0|X) SP INFO

For each INFO the newest line counts; of several with the same clock the first. Used by the
location log, the URL log and the equivalent keys log. Source: log-write vectors of git-annex
10.20261026. Lines that do not parse are skipped, and dropped when a log is rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from shoal.values.clock import Clock, next_clock, parse_clock, render_clock


class Status(Enum):
    """What a line says of its INFO. DEAD is missing, and never to be expected back."""

    PRESENT = b"1"
    MISSING = b"0"
    DEAD = b"X"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a presence log."""

    clock: Clock
    status: Status
    info: bytes


# The clock as parse_clock takes it: lines with another one must not be found.
_LINE = re.compile(rb"^([+-]?[0-9]+(?:\.[0-9]+)?s?) ([10X]) (.*)$", re.MULTILINE)
_PRESENT = re.compile(rb"^[+-]?[0-9]+(?:\.[0-9]+)?s? 1 (.*)$", re.MULTILINE)
_STATUS = {status.value: status for status in Status}


def split(log: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Give clock, status and INFO of each line as they are in the file, superseded ones too."""
    return _LINE.findall(log.replace(b"\r", b"\n") if b"\r" in log else log)


def parse(log: bytes) -> list[Line]:
    """Give the lines in the order of the file, superseded ones too."""
    return [Line(parse_clock(clock), _STATUS[status], info) for clock, status, info in split(log)]


def compact(lines: Iterable[Line]) -> dict[bytes, Line]:
    """Give the line that counts for each INFO."""
    newest: dict[bytes, Line] = {}
    for line in lines:
        old = newest.get(line.info)
        if old is None or line.clock > old.clock:
            newest[line.info] = line
    return newest


def statuses(log: bytes) -> dict[bytes, bytes]:
    """Give the status that counts for each INFO, as in the file: `1`, `0` or `X`.

    This is the fast path for reading millions of logs: clocks are only compared when an INFO
    has more than one line.
    """
    lines = split(log)
    found = {info: status for _, status, info in lines}
    if len(found) == len(lines):
        return found
    return {info: line.status.value for info, line in compact(parse(log)).items()}


def present(log: bytes) -> list[bytes]:
    """Give the INFOs that are present, sorted. Fastest where nothing else is in the log."""
    if b" 0 " not in log and b" X " not in log and b"\r" not in log:
        return sorted(set(_PRESENT.findall(log)))
    return sorted(info for info, status in statuses(log).items() if status == b"1")


def render(lines: Iterable[Line]) -> bytes:
    """Give the log with just these lines."""
    return b"".join(
        b"%s %s %s\n" % (render_clock(line.clock), line.status.value, line.info) for line in lines
    )


def render_compact(newest: dict[bytes, Line]) -> bytes:
    """Give the log with one line for each INFO, sorted by INFO."""
    return render(newest[info] for info in sorted(newest))


def maybe_add(log: bytes, info: bytes, status: Status, now: Clock) -> bytes | None:
    """Give the log after setting the status of `info`, rewritten compactly.

    None when `info` already has that status: then nothing is to be written.
    """
    return maybe_add_all(log, {info: status}, now)


def maybe_add_all(log: bytes, changes: Mapping[bytes, Status], now: Clock) -> bytes | None:
    """As maybe_add(), for several INFOs."""
    newest = compact(parse(log)) if log else {}
    changed = False
    for info, status in changes.items():
        old = newest.get(info)
        if old is None or old.status is not status:
            newest[info] = Line(next_clock(now, old.clock if old else None), status, info)
            changed = True
    return render_compact(newest) if changed else None


def add(log: bytes, info: bytes, status: Status, now: Clock) -> bytes:
    """Give the log with a line added, whatever it said before.

    A new INFO is appended and everything else kept as it was; otherwise the log is rewritten
    compactly.
    """
    newest = compact(parse(log))
    old = newest.get(info)
    line = Line(next_clock(now, old.clock if old else None), status, info)
    if old is None:
        before = log if not log or log.endswith(b"\n") else log + b"\n"
        return before + render([line])
    newest[info] = line
    return render_compact(newest)
