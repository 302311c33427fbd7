"""Keys: the names that git-annex gives to contents.

    key = BACKEND [-sSIZE] [-mMTIME] [-SCHUNKSIZE] [-CCHUNK] -- NAME

Source: git-annex's key_format page and on-disk behaviour of git-annex 10.20261026 (golden
vectors in tests/fixtures/on-disk/keys.json). Everything is bytes: a key is never decoded.
"""

from __future__ import annotations

import re

from shoal.values.record import record

_NUMBER = rb"(0|[1-9][0-9]*)"  # without leading zeros: the key's text is then normalised
_NORMAL = re.compile(
    rb"([^-\n\0]+)(?:-s%s)?(?:-m%s)?(?:-S%s)?(?:-C%s)?--([^\n\0]*)" % ((_NUMBER,) * 4)
)
_WITHOUT_EXTENSION = frozenset({b"WORM", b"URL", b"VURL", b"GITBUNDLE", b"GITMANIFEST"})
_MAX_EXTENSION = 64  # bytes, the dot included


@record
class Key:
    """One content's name. Equal keys have equal `bytes(key)`.

    `size` is in bytes, `mtime` in whole seconds of Unix time; None when the key does not say.
    `chunk_size` (bytes) and `chunk` (from 1) are set in the keys of chunks only.
    """

    backend: bytes
    name: bytes
    size: int | None
    mtime: int | None
    chunk_size: int | None
    chunk: int | None
    _text: bytes

    def __init__(
        self,
        backend: bytes,
        name: bytes,
        size: int | None = None,
        mtime: int | None = None,
        chunk_size: int | None = None,
        chunk: int | None = None,
    ) -> None:
        parts = [backend]
        fields = ((b"-s", size), (b"-m", mtime), (b"-S", chunk_size), (b"-C", chunk))
        for mark, number in fields:
            if number is not None:
                parts.append(b"%s%d" % (mark, number))
        _set_backend(self, backend)
        _set_name(self, name)
        _set_size(self, size)
        _set_mtime(self, mtime)
        _set_chunk_size(self, chunk_size)
        _set_chunk(self, chunk)
        _set_text(self, b"".join([*parts, b"--", name]))

    @classmethod
    def parse(cls, text: bytes) -> Key:
        """Read a key. Leading zeros of numbers are normalised away.

        Raises ValueError when `text` is no key; never guesses.
        """
        found = _NORMAL.fullmatch(text)
        if found is None:
            return cls._parse_padded(text)
        backend, size, mtime, chunk_size, chunk, name = found.groups()
        if backend[-1:] == b"E" and len(name) - name.find(b".") > _MAX_EXTENSION:
            _check_extension(backend, name)
        key = object.__new__(cls)
        _set_backend(key, backend)
        _set_name(key, name)
        _set_size(key, None if size is None else int(size))
        _set_mtime(key, None if mtime is None else int(mtime))
        _set_chunk_size(key, None if chunk_size is None else int(chunk_size))
        _set_chunk(key, None if chunk is None else int(chunk))
        _set_text(key, text)
        return key

    @classmethod
    def _parse_padded(cls, text: bytes) -> Key:
        found = re.fullmatch(_NORMAL.pattern.replace(_NUMBER, rb"([0-9]+)"), text)
        if found is None:
            raise ValueError(f"not a key: {text[:200]!r}")
        backend, *numbers, name = found.groups()
        _check_extension(backend, name)
        return cls(backend, name, *(None if digits is None else int(digits) for digits in numbers))

    def __bytes__(self) -> bytes:
        return self._text

    def __str__(self) -> str:
        return self._text.decode("utf-8", "surrogateescape")

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Key) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    @property
    def parent(self) -> Key:
        """The key that this chunk is of; the key itself when it is no chunk."""
        if self.chunk_size is None and self.chunk is None:
            return self
        return Key(self.backend, self.name, self.size, self.mtime)


# The slots' own setters: they go past the frozen class's __setattr__, at half its cost.
_SLOTS = ("backend", "name", "size", "mtime", "chunk_size", "chunk", "_text")
_set_backend, _set_name, _set_size, _set_mtime, _set_chunk_size, _set_chunk, _set_text = (
    vars(Key)[slot].__set__ for slot in _SLOTS
)


def _check_extension(backend: bytes, name: bytes) -> None:
    if has_extension(backend) and len(extension_of(name)) > _MAX_EXTENSION:
        raise ValueError(f"the key's extension is too long: {name[:200]!r}")


def has_extension(backend: bytes) -> bool:
    """Tell whether keys of `backend` end in a file name extension (SHA256E, XFOOE, …)."""
    return backend.endswith(b"E") and backend not in _WITHOUT_EXTENSION


def extension_of(name: bytes) -> bytes:
    """Give the part of a key's name from its first dot on, dot included, or b""."""
    dot = name.find(b".")
    return b"" if dot < 0 else name[dot:]
