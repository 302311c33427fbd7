"""Text and bytes, and white space as git-annex sees it.

The real program decodes with the file system's encoding and back without losing a byte, and
splits words at Unicode white space as Haskell defines it, which is not what Python's
`str.split()` does: no information separators, no U+0085, no line or paragraph separators.
"""

from __future__ import annotations

import re

SPACE = " \t\n\r\f\v\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
"""The white space characters, for use inside `[…]` of a regular expression."""

_WORD = re.compile(f"[^{SPACE}]+")


def to_text(raw: bytes) -> str:
    """Decode; bytes that are not UTF-8 become lone surrogates, so that none is lost."""
    return raw.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """Encode what `to_text` gave. Raises ValueError for other lone surrogates."""
    return text.encode("utf-8", "surrogateescape")


def words(text: str) -> list[str]:
    """Split at runs of white space."""
    return _WORD.findall(text)
