"""Sizes in bytes as the real program shows them to people: `5 kB`, `1.01 kilobytes`.

Checked against git-annex 10.20261026. Rounded texts are for reading only: what they say cannot
be turned back into the size. exact_size() keeps every digit.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from shoal.values.size import BYTE_UNITS, Unit


def rough_size(
    size: int, *, long: bool = False, units: Sequence[Unit] = BYTE_UNITS, decimals: int = 2
) -> str:
    """Give a size rounded to `decimals`, in the largest of `units` that is not larger:
    `1.12 kB`, or `1.12 kilobytes` when `long`."""
    unit = _unit_of(size, units)
    number = _rounded(_in_units(size, unit), decimals)
    if not long:
        return f"{number} {unit.abbreviation}"
    return f"{number} {unit.name}" + ("" if number == "1" else "s")


def exact_size(size: int, *, long: bool = False) -> str:
    """Give a size with all its digits: `1.234567 MB`, or `1.0 gigabytes` when `long`."""
    unit = _unit_of(size, BYTE_UNITS)
    number = repr(_in_units(size, unit))
    if abs(size) > sys.float_info.max:
        number = "Infinity" if size > 0 else "-Infinity"
    return f"{number} {f'{unit.name}s' if long else unit.abbreviation}"


def _unit_of(size: int, units: Sequence[Unit]) -> Unit:
    return max(
        (unit for unit in units if unit.size <= abs(size)),
        key=lambda unit: unit.size,
        default=min(units, key=lambda unit: unit.size),
    )


def _in_units(size: int, unit: Unit) -> float:
    """Divide as the real program does: both are rounded to a double first."""
    try:
        return float(size) / float(unit.size)
    except OverflowError:
        return size // unit.size  # no such amount of data, but a key may claim any size


def _rounded(value: float, decimals: int) -> str:
    """Round half to even, without final zeros."""
    if decimals == 0:
        return str(round(value))
    whole, one = int(value), 10**decimals
    part = round(abs(value - whole) * one)
    if part == one:
        whole, part = whole + 1, 0
    return f"{whole}.{part:0{decimals}d}".rstrip("0").rstrip(".")
