"""Sizes in bytes as the real program shows them to people: `5 kB`, `1.01 kilobytes`.

Checked against git-annex 10.20261026. Rounded texts are for reading only: what they say cannot
be turned back into the size. exact_size() keeps every digit.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.values.size import BYTE_UNITS, Unit

_HUNDRED = 100


def rough_size(size: int, *, long: bool = False, units: Sequence[Unit] = BYTE_UNITS) -> str:
    """Give a size rounded to two decimals, in the largest of `units` that is not larger:
    `1.12 kB`, or `1.12 kilobytes` when `long`."""
    unit = _unit_of(size, units)
    number = _rounded(_in_units(size, unit))
    if not long:
        return f"{number} {unit.abbreviation}"
    return f"{number} {unit.name}" + ("" if number == "1" else "s")


def exact_size(size: int) -> str:
    """Give a size with all its digits: `1.234567 MB`, `10.0 GB`."""
    unit = _unit_of(size, BYTE_UNITS)
    return f"{_in_units(size, unit)!r} {unit.abbreviation}"


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


def _rounded(value: float) -> str:
    """Round to two decimals, half to even, without final zeros."""
    whole = int(value)
    hundredths = round(abs(value - whole) * _HUNDRED)
    if hundredths == _HUNDRED:
        whole, hundredths = whole + 1, 0
    return f"{whole}.{hundredths:02d}".rstrip("0").rstrip(".")
