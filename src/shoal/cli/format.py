r"""The FORMAT of `find`, `whereis` and `examinekey`: `${file}\t${bytesize;10}\n`.

`${NAME}` stands for a value, right-justified with `;WIDTH` and left-justified with `;-WIDTH`;
`${escaped_NAME}` is the value with special characters written as in C. A name that has no value
gives nothing, what is no variable stays as it is, and a WIDTH that is no number is 0. Escapes are
`\n`, `\t`, `\\`, `\101`, `\x41`, …; a backslash before any other character vanishes. (Checked with
git-annex 10.20261026.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from shoal.values.number import read_int

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[0-7]{3}|.)", re.DOTALL)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_VARIABLE = re.compile(r"\$\{(\w*)(?:;([^}]*))?(\}|.)", re.DOTALL)  # none, if not closed
_WIDEST = 1_000_000  # the real program writes as many spaces as it is told, without end
_ESCAPED = "escaped_"
_SPACE, _DELETE = 0x20, 0x7F
_PRINTABLE = range(_SPACE + 1, _DELETE)
_SHORT = {ord("\\"): "\\\\", ord('"'): '\\"', 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v",
          12: "\\f", 13: "\\r"}  # fmt: skip


class Format:
    """A format, read once and used for many lines."""

    def __init__(self, text: str) -> None:
        self._text = _ESCAPE.sub(_unescape, text)
        self.names = frozenset(
            found[1].removeprefix(_ESCAPED)
            for found in _VARIABLE.finditer(self._text)
            if found[3] == "}"
        )

    def render(self, values: Mapping[str, str]) -> str:
        """Put `values` in."""

        def value_of(found: re.Match[str]) -> str:
            if found[3] != "}":
                return found[0]
            name, width = found[1], _width(found[2] or "")
            if name not in values and name.startswith(_ESCAPED):
                value = escape(values.get(name.removeprefix(_ESCAPED), ""))
            else:
                value = values.get(name, "")
            return value.rjust(width) if width >= 0 else value.ljust(-width)

        return _VARIABLE.sub(value_of, self._text)


def _width(text: str) -> int:
    try:
        return max(-_WIDEST, min(read_int(text), _WIDEST))
    except ValueError:
        return 0


def escape(text: str) -> str:
    """Write special characters as in C: space as `\\040`, bytes beyond ASCII in octal."""
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(
        _SHORT.get(byte) or (chr(byte) if byte in _PRINTABLE else f"\\{byte:03o}") for byte in raw
    )


def quoted_path(path: str, *, quote_high: bool = True) -> str:
    """Write a file name as git shows it: as it is, or in double quotes with escapes when it
    has special characters. `quote_high` (core.quotePath): bytes beyond ASCII are special."""
    raw = path.encode("utf-8", "surrogateescape")
    special = any(
        byte in _SHORT or byte < _SPACE or byte == _DELETE or (byte > _DELETE and quote_high)
        for byte in raw
    )
    if not special:
        return path
    out = bytearray()
    for byte in raw:
        if byte in _SHORT:
            out += _SHORT[byte].encode()
        elif byte < _SPACE or byte == _DELETE or (byte > _DELETE and quote_high):
            out += b"\\%03o" % byte
        else:
            out.append(byte)
    return f'"{out.decode("utf-8", "surrogateescape")}"'


def _unescape(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] == "x" and len(code) == 3:
        return chr(int(code[1:], 16))
    if len(code) == 3:
        return chr(int(code, 8))
    return _NAMED.get(code, code)
