"""The chunk log of a key (`.log.cnk`): in how many chunks each special remote stores it.

    CLOCK SP UUID:CHUNKSIZE SP NUMBER

CHUNKSIZE is in bytes; anything that does not begin with a digit is a way of chunking that is
not known, and is kept. NUMBER 0: not stored in such chunks any more.
"""

from __future__ import annotations

from dataclasses import dataclass

from shoal.logs.entries import read_uuid
from shoal.logs.maplog import MapLog
from shoal.values.clock import Clock
from shoal.values.key import Key
from shoal.values.keypath import log_path
from shoal.values.number import int_of_digits, write_int
from shoal.values.uuid import UUID, uuid_bytes

SUFFIX = ".log.cnk"


@dataclass(frozen=True, slots=True)
class Chunking:
    """A special remote, and how it chunks: the size in bytes, or the unknown way's text."""

    remote: UUID
    method: int | bytes


def path(key: Key, levels: int = 2) -> str:
    """Give the path of the key's chunk log."""
    return log_path(key, SUFFIX, levels)


def _read_field(text: bytes) -> Chunking:
    remote, colon, method = text.partition(b":")
    if not colon:
        raise ValueError(f"not a way of chunking: {text[:80]!r}")
    known = method[:1].isdigit()
    return Chunking(read_uuid(remote), _decimal(method) if known else method)


def _decimal(text: bytes) -> int:
    if not text.isdigit():
        raise ValueError(f"not a decimal number: {text[:80]!r}")
    return int_of_digits(text)


def _write_field(field: Chunking) -> bytes:
    method = field.method if isinstance(field.method, bytes) else write_int(field.method)
    return b"%s:%s" % (uuid_bytes(field.remote), method)


def _order(field: Chunking) -> tuple[bytes, bool, int, bytes]:
    """By remote, then known sizes as numbers, then unknown ways as text."""
    if isinstance(field.method, bytes):
        return uuid_bytes(field.remote), True, 0, field.method
    return uuid_bytes(field.remote), False, field.method, b""


LOG = MapLog(_read_field, _write_field, _decimal, write_int, _order)


def parse(log: bytes) -> dict[Chunking, int]:
    """Give the number of chunks for each remote and way of chunking; 0: none any more."""
    return LOG.values(log)


def current(log: bytes, remote: UUID) -> dict[int, int]:
    """Give, for each chunk size that `remote` uses for the key, the number of chunks."""
    return {
        chunking.method: number
        for chunking, number in parse(log).items()
        if chunking.remote == remote and number > 0 and isinstance(chunking.method, int)
    }


def change(log: bytes, remote: UUID, chunk_size: int, number: int, now: Clock) -> bytes:
    """Record that `remote` stores the key in `number` chunks; 0: that it does no more."""
    return LOG.change(log, Chunking(remote, chunk_size), number, now)
