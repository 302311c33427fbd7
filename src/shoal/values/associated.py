"""Associated files: the name that a key has in the sender's work tree, as sent on the wire.

It is for display, for transfer logs and for preferred content only; nothing is opened by it.
Writing it is not reversible: each white space character becomes `%`, each `%` becomes `%%`.
Source: P2P protocol design page; checked against git-annex 10.20261026 (`git-annex-shell`).
"""

from __future__ import annotations

import re

_SPACE = re.compile("[ \t\n\r\f\v\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_PERCENTS = re.compile("%%|%")


def escape_associated(path: bytes) -> bytes:
    """Give the wire form of a relative path; b"" means: no associated file."""
    text = path.decode("utf-8", "surrogateescape").replace("%", "%%")
    return _SPACE.sub("%", text).encode("utf-8", "surrogateescape")


def parse_associated(wire: bytes) -> bytes:
    """Give the path in the wire form: `%%` is `%`, a single `%` and control characters are `_`.

    Raises ValueError for an absolute path, which the real program does not accept either.
    """
    text = wire.decode("utf-8", "surrogateescape")
    text = _PERCENTS.sub(lambda found: "%" if found[0] == "%%" else "_", text)
    text = _CONTROL.sub("_", text)
    if text.startswith("/"):
        raise ValueError(f"an absolute path is no associated file: {text[:200]!r}")
    return text.encode("utf-8", "surrogateescape")
