"""Sizes with units, read and written as git-annex does.

Reading takes `NUMBER [spaces] [UNIT] [anything]`: `10`, `1.5 GB`, `100kib`, `5kb/s`, `1mbit`.
Source: sizes and units of git-annex 10.20261026 (golden vectors in
tests/fixtures/preferred-content/size-units.json), odd ones included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from math import isinf, isnan

from shoal.values.number import read_float
from shoal.values.text import SPACE


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of data: `size` is in bytes, and a whole number."""

    size: int
    abbreviation: str
    name: str


_DECIMAL = ("", "kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta", "ronna", "quetta")
_BINARY = ("kibi", "mebi", "gibi", "tebi", "pebi", "exbi", "zebi", "yobi")
_LEADING_SPACE = re.compile(f"^[{SPACE}]+")


def _letter(prefix: str) -> str:
    return prefix[:1] if prefix == "kilo" else prefix[:1].upper()


BYTE_UNITS = tuple(
    Unit(1000**n, f"{_letter(prefix)}B", f"{prefix}byte") for n, prefix in enumerate(_DECIMAL)
)
BINARY_UNITS = tuple(
    Unit(1024**n, f"{prefix[:1].upper()}iB", f"{prefix}byte")
    for n, prefix in enumerate(_BINARY, start=1)
)
BIT_UNITS = tuple(
    Unit(1000**n // 8, f"{_letter(prefix)}bit", f"{prefix}bit")
    for n, prefix in enumerate(_DECIMAL[:9])
    if n
)


def _spellings() -> dict[str, int]:
    spellings = {"": 1}
    for unit in (*BYTE_UNITS, *BINARY_UNITS, *BIT_UNITS):
        names = [unit.abbreviation, unit.name, f"{unit.name}s"]
        if unit.abbreviation.endswith("B"):
            names.append(unit.abbreviation[:-1])
        for name in names:
            spellings.setdefault(name.lower(), unit.size)
    return spellings


_SIZES = _spellings()


def parse_size(text: bytes | str) -> int:
    """Give the number of bytes that `text` means. Raises ValueError when it is no size.

    Computed with floating point as the real program does it, rounding half to even, so that
    both write the same number on the branch: `2.5B` is 2, `1y` is 999999999999999983222784.
    """
    number, rest = read_float(text)
    unit = "".join(takewhile(str.isalpha, _LEADING_SPACE.sub("", rest))).lower()
    if unit not in _SIZES:
        raise ValueError(f"not a size: unknown unit {unit[:40]!r}")
    return _round(number * float(_SIZES[unit]))


def _round(value: float) -> int:
    """Round half to even. Values beyond a double become what they become in Haskell."""
    if isnan(value):
        return -3 * 2**1023
    if isinf(value):
        return 2**1024 if value > 0 else -(2**1024)
    return round(value)
