"""Associated files: the name that a key has in the sender's work tree, as sent on the wire.

It is for display, for transfer logs and for preferred content only; nothing is opened by it.
Writing it is not reversible: each white space character becomes `%`, each `%` becomes `%%`.
Source: P2P protocol design page; checked against git-annex 10.20261026 (`git-annex-shell`).
"""

from __future__ import annotations

import re

from shoal.values.text import SPACE, to_bytes, to_text

_SPACE = re.compile(f"[{SPACE}]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_PERCENTS = re.compile("%%|%")


def escape_associated(path: bytes) -> bytes:
    """Give the wire form of a relative path; b"" means: no associated file."""
    text = to_text(path).replace("%", "%%")
    return to_bytes(_SPACE.sub("%", text))


def parse_associated(wire: bytes) -> bytes:
    """Give the path in the wire form: `%%` is `%`, a single `%` and control characters are `_`.

    Raises ValueError for an absolute path, which the real program does not accept either.
    """
    text = to_text(wire)
    text = _PERCENTS.sub(lambda found: "%" if found[0] == "%%" else "_", text)
    text = _CONTROL.sub("_", text)
    if text.startswith("/"):
        raise ValueError(f"an absolute path is no associated file: {text[:200]!r}")
    return to_bytes(text)
