"""Which part of a file's name the keys of backends ending in E keep as their extension.

Source: annex.maxextensionlength and annex.maxextensions of git-annex 10.20261026 (golden
vectors in tests/fixtures/on-disk/calckey.json).
"""

from __future__ import annotations

MAX_LENGTH = 4
MAX_NUMBER = 2


def select_extension(
    path: bytes, max_length: int = MAX_LENGTH, max_number: int = MAX_NUMBER
) -> bytes:
    """Give the extensions of a file, each with its dot: `.tar.gz`; b"" when it has none.

    An extension has at most `max_length` bytes (without its dot), and is alphanumeric as far
    as it is ASCII. From the end, those up to the first that is too long are looked at, and at
    most `max_number` kept.
    """
    name = path.rpartition(b"/")[2].lstrip(b".")
    kept: list[bytes] = []
    for part in reversed(name.split(b".")[1:]):
        if len(part) > max_length:
            break
        if all(byte >= 0x80 or chr(byte).isalnum() for byte in part):
            kept.append(part)
    return b"".join(b"." + part for part in reversed(kept[: max(0, max_number)]) if part)
