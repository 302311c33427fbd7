"""Where a key's object and logs are: file names and hash directories.

Source: on-disk behaviour of git-annex 10.20261026 (golden vectors in
tests/fixtures/on-disk/keys.json). Names come back as text for the `os` functions
(`surrogateescape`), so any bytes in a key survive.
"""

from __future__ import annotations

import hashlib

from shoal.values.key import Key

_ESCAPES = ((b"&", b"&a"), (b"%", b"&s"), (b":", b"&c"), (b"/", b"%"))
_UNESCAPES = {ord("a"): b"&", ord("s"): b"%", ord("c"): b":"}
_MIXED = "0123456789zqjxkmvwgpfZQJXKMVWGPF"


def key_file(key: Key) -> str:
    """Give the file name of `key`: one path component, never `.` or `..`."""
    text = bytes(key)
    for plain, escaped in _ESCAPES:
        if plain in text:
            text = text.replace(plain, escaped)
    return text.decode("utf-8", "surrogateescape")


def parse_key_file(name: bytes) -> Key:
    """Read a key from its file name. Raises ValueError when it is none."""
    out = bytearray()
    i = 0
    while i < len(name):
        if name[i : i + 1] == b"%":
            out += b"/"
        elif name[i : i + 1] == b"&" and i + 1 < len(name):
            i += 1
            out += _UNESCAPES.get(name[i], name[i : i + 1])
        elif name[i : i + 1] != b"&":
            out += name[i : i + 1]
        i += 1
    return Key.parse(bytes(out))


def _digest(key: Key) -> bytes:
    return hashlib.md5(bytes(key.parent), usedforsecurity=False).digest()


def hash_dir_lower(key: Key, levels: int = 2) -> str:
    """Give the lower case hash directory with a final slash: `4b6/9e8/` (or one level)."""
    digits = _digest(key).hex()
    return f"{digits[:3]}/{digits[3:6]}/" if levels == 2 else f"{digits[:3]}/"


def hash_dir_mixed(key: Key, levels: int = 2) -> str:
    """Give the mixed case hash directory with a final slash: `5q/M6/` (or one level)."""
    word = int.from_bytes(_digest(key)[:4], "little")
    c = [_MIXED[(word >> (6 * i)) & 31] for i in range(4)]
    return f"{c[1]}{c[0]}/{c[3]}{c[2]}/" if levels == 2 else f"{c[1]}{c[0]}/"


def log_path(key: Key, suffix: str = ".log", levels: int = 2) -> str:
    """Give the git-annex branch's path of one of the key's logs (`.log`, `.log.web`, …)."""
    return f"{hash_dir_lower(key, levels)}{key_file(key)}{suffix}"
