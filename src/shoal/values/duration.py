"""Spans of time as users write them: `30d`, `1h5m`, `1y`, `90`."""

from __future__ import annotations

import re

_UNITS = {"y": 365 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}  # in seconds
_PART = re.compile(r"([0-9]+)([ydhms]?)")
_DURATION = re.compile(r"(?:[0-9]+[ydhms])*[0-9]*")


def parse_duration(text: str) -> int:
    """Give the number of seconds that `text` means; a number without a unit is in seconds.

    Raises ValueError. (The forms are those of git-annex 10.20261026.)
    """
    if not text or not _DURATION.fullmatch(text):
        raise ValueError(f'failed to parse duration "{text}" (expected eg "5m" or "1h5m")')
    return sum(int(number) * _UNITS[unit or "s"] for number, unit in _PART.findall(text))


def show_duration(seconds: int) -> str:
    """Give a span of time with its two largest units: `1h5m`, `2y`, `0s`."""
    parts: list[str] = []
    for letter, size in _UNITS.items():
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number}{letter}")
        elif parts:
            break
    return "".join(parts[:2]) or "0s"
