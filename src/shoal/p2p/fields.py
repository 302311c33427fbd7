"""The fields of a line of the P2P protocol: what is between them, and numbers."""

from __future__ import annotations

import re

from shoal.values.number import read_int

SPACE = re.compile(
    rb"[ \t\n\r\f\v]|\xc2\xa0|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xaf]|\xe2\x81\x9f|\xe3\x80\x80"
)
"""White space as the real program sees it in a UTF-8 locale, one character per match."""

_MAX_NUMBER = 2**63 - 1


def read_integer(text: bytes) -> int:
    """Read a number that both programs can hold. Raises ValueError."""
    number = read_int(text)
    if abs(number) > _MAX_NUMBER:
        raise ValueError("the number is out of range")
    return number


def read_count(text: bytes) -> int:
    """Read a number that cannot be negative (the real server breaks on those). Raises
    ValueError."""
    number = read_integer(text)
    if number < 0:
        raise ValueError("the number is negative")
    return number
