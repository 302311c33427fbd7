"""Keys that are named after a file, not after the content: WORM. URLs become names in the same way.

Source: golden vectors in tests/fixtures/on-disk/calckey.json, of git-annex 10.20261026.
"""

from __future__ import annotations

import hashlib
import re

from shoal.values.key import Key
from shoal.values.text import to_bytes, to_text

_SPECIAL = re.compile(r"[^A-Za-z0-9.\-_/%:]")
_MAX_NAME = 64  # bytes of the raw name; longer ones are cut and get a checksum
_CUT_NAME = 31


def sanitised_name(raw: bytes) -> bytes:
    """Give the key name that stands for a path or URL.

    ASCII alphanumerics and `.-_/%:` stay; a comma is doubled; any other character becomes a
    comma and its number.
    """
    text = _SPECIAL.sub(_sanitised, to_text(raw))
    name = to_bytes(text)
    if len(raw) <= _MAX_NAME:
        return name
    checksum = hashlib.md5(raw, usedforsecurity=False).hexdigest().encode()
    return name[:_CUT_NAME] + b"-" + checksum


def _sanitised(found: re.Match[str]) -> str:
    return ",," if found[0] == "," else f",{ord(found[0])}"


def worm_key(path: bytes, size: int, mtime: int) -> Key:
    """Make the WORM key of a file: `path` is relative to the top of the work tree.

    `size` is in bytes, `mtime` in whole seconds since 1970.
    """
    return Key(b"WORM", sanitised_name(path), size, mtime)
