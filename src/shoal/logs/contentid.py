"""The content identifier log of a key (`.log.cid`): how importable remotes name its content.

    CLOCK SP UUID SP CID[:CID…]

An identifier with `:`, CR, LF or a leading `!` is written as `!` and base64.
"""

from __future__ import annotations

from shoal.logs.entries import read_uuid
from shoal.logs.maplog import MapLog
from shoal.values.base64text import decode_base64, encode_base64
from shoal.values.clock import Clock
from shoal.values.key import Key
from shoal.values.keypath import log_path
from shoal.values.uuid import UUID, uuid_bytes

SUFFIX = ".log.cid"


def path(key: Key, levels: int = 2) -> str:
    """Give the path of the key's content identifier log."""
    return log_path(key, SUFFIX, levels)


def _read(text: bytes) -> tuple[bytes, ...]:
    return tuple(map(_read_one, text.split(b":")))


def _read_one(text: bytes) -> bytes:
    if not text.startswith(b"!"):
        return text
    try:
        return decode_base64(text[1:])
    except ValueError:
        return text


def _write(identifiers: tuple[bytes, ...]) -> bytes:
    return b":".join(map(_write_one, identifiers))


def _write_one(identifier: bytes) -> bytes:
    if identifier.startswith(b"!") or set(identifier) & set(b":\r\n"):
        return b"!" + encode_base64(identifier)
    return identifier


LOG = MapLog(read_uuid, uuid_bytes, _read, _write)


def parse(log: bytes) -> dict[UUID, tuple[bytes, ...]]:
    """Give the content identifiers that each remote has used for the key, newest first."""
    return LOG.values(log)


def add(log: bytes, remote: UUID, identifier: bytes, now: Clock) -> bytes | None:
    """Add a content identifier; None when the remote has it already."""
    known = parse(log).get(remote, ())
    if identifier in known:
        return None
    return LOG.change(log, remote, (identifier, *known), now)
