"""Where a key's object and logs are: file names and hash directories.

Source: on-disk behaviour of git-annex 10.20261026 (golden vectors in
tests/fixtures/on-disk/keys.json). Names come back as text for the `os` functions
(`surrogateescape`), so any bytes in a key survive.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import md5

from shoal.values.key import Key

_TO_ESCAPE = re.compile(rb"[&%:/]")
_ESCAPES = {b"&": b"&a", b"%": b"&s", b":": b"&c", b"/": b"%"}
_ESCAPED = re.compile(rb"%|&(.?)", re.DOTALL)
_UNESCAPES = {b"a": b"&", b"s": b"%", b"c": b":"}
_RECENT = 1024  # keys; a request asks for the same paths again and again
_MIXED = "0123456789zqjxkmvwgpfZQJXKMVWGPF"


@lru_cache(maxsize=_RECENT)
def key_file(key: Key) -> str:
    """Give the file name of `key`: one path component, never `.` or `..`."""
    text = bytes(key)
    if _TO_ESCAPE.search(text):
        text = _TO_ESCAPE.sub(lambda found: _ESCAPES[found[0]], text)
    return text.decode("utf-8", "surrogateescape")


def parse_key_file(name: bytes) -> Key:
    """Read a key from its file name. Raises ValueError when it is none."""
    if b"%" in name or b"&" in name:
        name = _ESCAPED.sub(_unescape, name)
    return Key.parse(name)


def _unescape(found: re.Match[bytes]) -> bytes:
    """`%` is a slash; `&` before any other character than a, s, c is dropped."""
    if found[1] is None:
        return b"/"
    return _UNESCAPES.get(found[1], found[1])


@lru_cache(maxsize=_RECENT)
def _digest(key: Key) -> bytes:
    return md5(bytes(key.parent), usedforsecurity=False).digest()


def hash_dir_lower(key: Key, levels: int = 2) -> str:
    """Give the lower case hash directory with a final slash: `4b6/9e8/` (or one level)."""
    digits = _digest(key).hex()
    return f"{digits[:3]}/{digits[3:6]}/" if levels == 2 else f"{digits[:3]}/"


def hash_dir_mixed(key: Key, levels: int = 2) -> str:
    """Give the mixed case hash directory with a final slash: `5q/M6/` (or one level)."""
    word = int.from_bytes(_digest(key)[:4], "little")
    c = [_MIXED[(word >> (6 * i)) & 31] for i in range(4)]
    return f"{c[1]}{c[0]}/{c[3]}{c[2]}/" if levels == 2 else f"{c[1]}{c[0]}/"


@lru_cache(maxsize=_RECENT)
def log_path(key: Key, suffix: str = ".log", levels: int = 2) -> str:
    """Give the git-annex branch's path of one of the key's logs (`.log`, `.log.web`, …)."""
    return f"{hash_dir_lower(key, levels)}{key_file(key)}{suffix}"
