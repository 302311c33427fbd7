"""Words of a preferred content expression.

There is no quoting: an expression is split at white space, and inside a word each parenthesis
stands alone (verified with git-annex 10.20261026; the rules are those of its manual page).
Text is `str`, with bytes that are not UTF-8 as surrogates.
"""

from __future__ import annotations

import re

# What Haskell counts as white space: less than str.isspace().
_WORD = re.compile("[()]|[^()\t-\r \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}
_ESCAPES |= {34: '\\"', 92: "\\\\", 127: "\\DEL"}
_CONTROLS = (
    *("NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "a", "b", "t", "n", "v", "f", "r", "SO"),
    *("SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC"),
    *("FS", "GS", "RS", "US"),
)


def words(text: str) -> list[str]:
    """Give the words of an expression in order; each parenthesis is a word of its own."""
    return _WORD.findall(text)


def quoted(text: str) -> str:
    """Put `text` in double quotes as the real program's messages do (Haskell's `show`)."""
    out = ['"']
    for char in text:
        escape = _escape(char)
        # An escape that the next character would make longer is ended with `\&`.
        if (out[-1] == "\\SO" and char == "H") or (_is_number(out[-1]) and char in "0123456789"):
            out.append("\\&")
        out.append(escape)
    return "".join(out) + '"'


def _escape(char: str) -> str:
    code = ord(char)
    if code in _ESCAPES:
        return _ESCAPES[code]
    if code < 32:
        return f"\\{_CONTROLS[code]}"
    return char if code < 127 else f"\\{code}"


def _is_number(piece: str) -> bool:
    return piece[:1] == "\\" and piece[1:].isdigit()
