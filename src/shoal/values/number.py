"""Numbers as git-annex reads them: laxer than a decimal integer, stricter than `int()`.

The real program takes the first token of the text when that is a whole number, and ignores
what follows: `0x10` is 16, `5abc` is 5, `(7)` is 7, `- 4` is -4; `+1`, `1.5`, `1e3` and the
empty text are no numbers (verified with git-annex 10.20261026). Write plain decimals.

Numbers have no limit there, so they must have none here: what is read from a log has to be
written back, whoever wrote it. (`int()` and `%d` refuse more than about 4300 digits.)
"""

from __future__ import annotations

import re

from shoal.values.text import SPACE, to_text

_MANY_DIGITS = 4000
_SPACE = re.compile(f"[{SPACE}]*")
_TOKEN = re.compile(
    r"0[xX](?P<hex>[0-9a-fA-F]+)|0[oO](?P<oct>[0-7]+)"
    r"|(?P<digits>[0-9]+)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][+-]?[0-9]+)?"
    r"|(?P<name>NaN|Infinity)(?![\w'])"
)
_SYMBOLS = frozenset("!@#$%&*+./<=>?\\^|:-~")


def int_of_digits(digits: bytes | str) -> int:
    """Give the number that decimal digits stand for, however many they are."""
    if len(digits) <= _MANY_DIGITS:
        return int(digits)
    from decimal import Decimal

    return int(Decimal(_decode(digits)))


def write_int(number: int) -> bytes:
    """Give the plain decimal text of a number, however long."""
    if number.bit_length() <= 3 * _MANY_DIGITS:
        return b"%d" % number
    from decimal import Decimal

    return str(Decimal(number)).encode()


def read_int(text: bytes | str) -> int:
    """Give the integer at the start of `text`. Raises ValueError when there is none."""
    found, negative, _ = _read(_decode(text))
    if found["hex"] is not None:
        value = int(found["hex"], 16)
    elif found["oct"] is not None:
        value = int(found["oct"], 8)
    elif found["digits"] is None or found["fraction"] or found["exponent"]:
        raise ValueError(f"not an integer: {_decode(text)[:80]!r}")
    else:
        value = int_of_digits(found["digits"])
    return -value if negative else value


def read_float(text: bytes | str) -> tuple[float, str]:
    """Give the number at the start of `text`, and the text behind it. Raises ValueError."""
    found, negative, rest = _read(_decode(text))
    if found["hex"] is not None:
        value = _to_float(int(found["hex"], 16))
    elif found["oct"] is not None:
        value = _to_float(int(found["oct"], 8))
    else:
        value = float(found[0])
    return (-value if negative else value), rest


def read_whole_float(text: bytes | str) -> float:
    """Give the number that `text` is, white space around it aside. Raises ValueError when there
    is none, or anything else."""
    number, rest = read_float(text)
    if _skip(rest, 0) < len(rest):
        raise ValueError(f"more than a number: {_decode(text)[:80]!r}")
    return number


def _to_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _decode(text: bytes | str) -> str:
    return to_text(text) if isinstance(text, bytes) else text


def _read(text: str) -> tuple[re.Match[str], bool, str]:
    """Find the number's token: its match, whether a minus is before it, what is behind it."""
    opened = 0
    at = _skip(text, 0)
    while text[at : at + 1] == "(":
        opened += 1
        at = _skip(text, at + 1)
    negative = text[at : at + 1] == "-" and text[at + 1 : at + 2] not in _SYMBOLS
    if negative:
        at = _skip(text, at + 1)
    found = _TOKEN.match(text, at)
    if found is None:
        raise ValueError(f"not a number: {text[:80]!r}")
    end = found.end()
    for _ in range(opened):
        end = _skip(text, end)
        if text[end : end + 1] != ")":
            raise ValueError(f"not a number: {text[:80]!r}")
        end += 1
    return found, negative, text[end:]


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
