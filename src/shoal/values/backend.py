"""Backends: how keys are made from contents, and how contents are verified against keys.

(In git-annex's words a backend is a way to make keys, never a place to store them.)
Source: on-disk behaviour of git-annex 10.20261026 (golden vectors in
tests/fixtures/on-disk/calckey.json). Hash implementations are imported when first used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from shoal.values.key import Key, has_extension
from shoal.values.record import record


class Hasher(Protocol):
    """A checksum being computed."""

    def update(self, data: bytes | bytearray | memoryview, /) -> object:
        """Take the next bytes of the content. The result means nothing."""

    def hexdigest(self) -> str:
        """Give the checksum of all bytes so far, in lower case hexadecimal digits."""


class Verifier(Protocol):
    """Compares a content, given piece by piece and in order, with its key."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take the next bytes of the content."""

    def matches(self) -> bool:
        """Tell whether all bytes so far are the key's content."""


@record
class _Hash:
    """A hash function: how to start one, and whether nobody can make two contents collide."""

    start: Callable[[], Hasher]
    secure: bool = True


def _hashlib(name: str) -> Callable[[], Hasher]:
    def start() -> Hasher:
        import hashlib

        return hashlib.new(name, usedforsecurity=False)

    return start


def _blake2(name: str, bits: int) -> Callable[[], Hasher]:
    def start() -> Hasher:
        import hashlib

        make = hashlib.blake2b if name == "blake2b" else hashlib.blake2s
        return make(digest_size=bits // 8, usedforsecurity=False)

    return start


def _parallel_blake2(name: str, bits: int) -> Callable[[], Hasher]:
    def start() -> Hasher:
        from shoal.values.blake2p import ParallelBlake2

        return ParallelBlake2(name, bits // 8)

    return start


def _skein(bits: int) -> Callable[[], Hasher]:
    def start() -> Hasher:
        from shoal.values.skein import Skein

        return Skein(bits)

    return start


def _blake3() -> Hasher:
    from blake3 import blake3

    return blake3()


def _xxh3() -> Hasher:
    from xxhash import xxh3_64

    return xxh3_64()


_HASHES: dict[bytes, _Hash] = {
    b"SHA256": _Hash(_hashlib("sha256")),
    b"SHA512": _Hash(_hashlib("sha512")),
    b"SHA224": _Hash(_hashlib("sha224")),
    b"SHA384": _Hash(_hashlib("sha384")),
    b"SHA3_256": _Hash(_hashlib("sha3_256")),
    b"SHA3_512": _Hash(_hashlib("sha3_512")),
    b"SHA3_224": _Hash(_hashlib("sha3_224")),
    b"SHA3_384": _Hash(_hashlib("sha3_384")),
    b"SKEIN256": _Hash(_skein(256)),
    b"SKEIN512": _Hash(_skein(512)),
    b"BLAKE2B256": _Hash(_blake2("blake2b", 256)),
    b"BLAKE2B512": _Hash(_blake2("blake2b", 512)),
    b"BLAKE2B160": _Hash(_blake2("blake2b", 160)),
    b"BLAKE2B224": _Hash(_blake2("blake2b", 224)),
    b"BLAKE2B384": _Hash(_blake2("blake2b", 384)),
    b"BLAKE2BP512": _Hash(_parallel_blake2("blake2b", 512)),
    b"BLAKE2S256": _Hash(_blake2("blake2s", 256)),
    b"BLAKE2S160": _Hash(_blake2("blake2s", 160)),
    b"BLAKE2S224": _Hash(_blake2("blake2s", 224)),
    b"BLAKE2SP256": _Hash(_parallel_blake2("blake2s", 256)),
    b"BLAKE2SP224": _Hash(_parallel_blake2("blake2s", 224)),
    b"BLAKE3_256": _Hash(lambda: _blake3()),
    b"XXH3": _Hash(lambda: _xxh3(), secure=False),
    b"SHA1": _Hash(_hashlib("sha1"), secure=False),
    b"MD5": _Hash(_hashlib("md5"), secure=False),
}

DEFAULT_BACKEND = b"SHA256E"
BACKENDS: tuple[bytes, ...] = (
    *(name for base in _HASHES for name in (base + b"E", base)),
    *(b"WORM", b"URL", b"GITBUNDLE", b"GITMANIFEST", b"VURL"),
)
"""The names of all built-in backends, in the order in which git-annex lists them."""


def hash_name(backend: bytes) -> bytes | None:
    """Give the hash that a backend uses (`SHA256` of `SHA256E`), None when it uses none."""
    base = backend[:-1] if backend.endswith(b"E") else backend
    return base if base in _HASHES else None


def is_secure(backend: bytes) -> bool:
    """Tell whether a key of `backend` binds its content cryptographically.

    A VURL key does so only through its equivalent keys (`is_secure_key`); an external backend
    only when its program says so, which is not known here.
    """
    base = hash_name(backend)
    if base is not None:
        return _HASHES[base].secure
    return backend == b"GITBUNDLE"


def is_secure_key(key: Key, equivalents: Collection[Key] = ()) -> bool:
    """Tell whether `key` is secure. A VURL key is as long as all of its equivalent keys are:
    a first download records one that is."""
    if key.backend == b"VURL":
        return all(is_secure(other.backend) for other in equivalents)
    return is_secure(key.backend)


def hasher(backend: bytes) -> Hasher:
    """Start the checksum that a hash backend's keys hold. Raises ValueError for any other."""
    base = hash_name(backend)
    if base is None:
        raise ValueError(f"the backend {backend.decode(errors='replace')} has no checksum")
    return _HASHES[base].start()


class _HashVerifier:
    """Compares a checksum with a key's name."""

    __slots__ = ("_expected", "_hasher")

    def __init__(self, hashing: Hasher, expected: bytes | None) -> None:
        self._hasher = hashing
        self._expected = expected

    @classmethod
    def of(cls, key: Key) -> _HashVerifier:
        base = hash_name(key.backend) or b"SHA256"
        return cls(_HASHES[base].start(), checksum_in(key))

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        self._hasher.update(data)

    def matches(self) -> bool:
        return self._hasher.hexdigest().encode() == self._expected


class _SizeVerifier:
    """Compares only the number of bytes: all that some keys say about their content."""

    __slots__ = ("_left",)

    def __init__(self, size: int) -> None:
        self._left = size

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        self._left -= memoryview(data).nbytes

    def matches(self) -> bool:
        return self._left == 0


class _AnyVerifier:
    """Matches when one of several does."""

    __slots__ = ("_verifiers",)

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        self._verifiers = verifiers

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        for verifier_ in self._verifiers:
            verifier_.update(data)

    def matches(self) -> bool:
        return any(verifier_.matches() for verifier_ in self._verifiers)


def verifier(key: Key, equivalents: Collection[Key] = ()) -> Verifier | None:
    """Give what verifies the content of `key`, or None when the key says nothing about it.

    Hash keys are verified by their hash alone: their size field is not compared. WORM, URL and
    keys of unknown backends are verified by their size, if they have one. A VURL key is
    verified by its `equivalents` (from its `.log.ek`): one of them has to match, and only hash
    keys can.
    """
    if checksum_in(key) is not None:
        return _HashVerifier.of(key)
    others = [other for other in equivalents if other.backend != b"VURL"]
    if key.backend == b"VURL" and others:
        return _AnyVerifier([_HashVerifier.of(other) for other in others if checksum_in(other)])
    return None if key.size is None else _SizeVerifier(key.size)


def checksum_in(key: Key) -> bytes | None:
    """Give the checksum in a key's name, in hexadecimal; None when its backend has none."""
    if hash_name(key.backend) is not None:
        # Old versions of git-annex sometimes wrote a backslash before the checksum.
        return key.name.split(b".", 1)[0].removeprefix(b"\\")
    if key.backend == b"GITBUNDLE":
        return key.name.rsplit(b"-", 1)[-1]
    return None


def key_for(backend: bytes, checksum: str, size: int, extension: bytes = b"") -> Key:
    """Make the key of a content whose checksum is known (`hasher(backend).hexdigest()`).

    `extension` is what `extension.select_extension` gave; used by the backends ending in E.
    """
    name = checksum.encode()
    return Key(backend, name + extension if has_extension(backend) else name, size)
