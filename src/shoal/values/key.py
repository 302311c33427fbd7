"""Keys: the names that git-annex gives to contents.

    key = BACKEND [-sSIZE] [-mMTIME] [-SCHUNKSIZE] [-CCHUNK] -- NAME

Source: git-annex's key_format page and on-disk behaviour of git-annex 10.20261026 (golden
vectors in tests/fixtures/on-disk/keys.json). Everything is bytes: a key is never decoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_KEY = re.compile(
    rb"([^-]+)(?:-s(\d+))?(?:-m(\d+))?(?:-S(\d+))?(?:-C(\d+))?--(.*)", re.ASCII | re.DOTALL
)
_WITHOUT_EXTENSION = frozenset({b"WORM", b"URL", b"VURL", b"GITBUNDLE", b"GITMANIFEST"})
_MAX_EXTENSION = 64  # bytes, the dot included


@dataclass(frozen=True, slots=True)
class Key:
    """One content's name. Equal keys have equal `bytes(key)`.

    `size` is in bytes, `mtime` in whole seconds of Unix time; None when the key does not say.
    `chunk_size` (bytes) and `chunk` (from 1) are set in the keys of chunks only.
    """

    backend: bytes
    name: bytes
    size: int | None = None
    mtime: int | None = None
    chunk_size: int | None = None
    chunk: int | None = None
    _text: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = [self.backend]
        fields = ((b"-s", self.size), (b"-m", self.mtime), (b"-S", self.chunk_size))
        for mark, number in (*fields, (b"-C", self.chunk)):
            if number is not None:
                parts.append(b"%s%d" % (mark, number))
        object.__setattr__(self, "_text", b"".join([*parts, b"--", self.name]))

    @classmethod
    def parse(cls, text: bytes) -> Key:
        """Read a key. Leading zeros of numbers are normalised away.

        Raises ValueError when `text` is no key; never guesses.
        """
        found = _KEY.fullmatch(text)
        if found is None or b"\n" in text or b"\0" in text:
            raise ValueError(f"not a key: {text[:200]!r}")
        backend, size, mtime, chunk_size, chunk, name = found.groups()
        if has_extension(backend) and len(extension_of(name)) > _MAX_EXTENSION:
            raise ValueError(f"the key's extension is too long: {text[:200]!r}")
        return cls(backend, name, *map(_number, (size, mtime, chunk_size, chunk)))

    def __bytes__(self) -> bytes:
        return self._text

    def __str__(self) -> str:
        return self._text.decode("utf-8", "surrogateescape")

    def __hash__(self) -> int:
        return hash(self._text)

    @property
    def parent(self) -> Key:
        """The key that this chunk is of; the key itself when it is no chunk."""
        if self.chunk_size is None and self.chunk is None:
            return self
        return Key(self.backend, self.name, self.size, self.mtime)


def _number(digits: bytes | None) -> int | None:
    return None if digits is None else int(digits)


def has_extension(backend: bytes) -> bool:
    """Tell whether keys of `backend` end in a file name extension (SHA256E, XFOOE, …)."""
    return backend.endswith(b"E") and backend not in _WITHOUT_EXTENSION


def extension_of(name: bytes) -> bytes:
    """Give the part of a key's name from its first dot on, dot included, or b""."""
    dot = name.find(b".")
    return b"" if dot < 0 else name[dot:]
