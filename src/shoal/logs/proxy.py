"""`proxy.log`: the remotes that each gateway serves as its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from shoal.logs.entries import read_uuid
from shoal.logs.maplog import MapLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID, uuid_bytes

PATH = "proxy.log"


class Proxied(NamedTuple):
    """A proxied remote or cluster: its UUID, and its name at the gateway."""

    uuid: UUID
    name: str


def _read(text: bytes) -> frozenset[Proxied]:
    found = set()
    for word in text.split():
        uuid, _, name = word.partition(b":")
        if uuid and _is_legal_name(name):
            found.add(Proxied(read_uuid(uuid), name.decode("utf-8", "surrogateescape")))
    return frozenset(found)


_FORBIDDEN = frozenset(b" ~^:?*[\\\x7f")


def _is_legal_name(name: bytes) -> bool:
    """Tell whether git allows a remote of that name (rules of git check-ref-format)."""
    if not name or name.endswith((b"/", b".")) or b".." in name or b"@{" in name or b"//" in name:
        return False
    if any(byte < 0x20 or byte in _FORBIDDEN for byte in name):
        return False
    return all(
        part and not part.startswith(b".") and not part.endswith(b".lock")
        for part in name.split(b"/")
    ) and not name.startswith(b"-")


def _write(proxied: Iterable[Proxied]) -> bytes:
    return b" ".join(
        b"%s:%s" % (uuid_bytes(uuid), name.encode("utf-8", "surrogateescape"))
        for uuid, name in sorted(proxied, key=_order)
    )


def _order(proxied: Proxied) -> tuple[bytes, bytes]:
    return uuid_bytes(proxied.uuid), proxied.name.encode("utf-8", "surrogateescape")


LOG = MapLog(read_uuid, uuid_bytes, _read, _write)


def parse(log: bytes) -> dict[UUID, frozenset[Proxied]]:
    """Give what each gateway proxies. Names that git does not allow for remotes are ignored."""
    return LOG.values(log)


def change(log: bytes, gateway: UUID, proxied: Iterable[Proxied], now: Clock) -> bytes:
    """Set all that a gateway proxies."""
    return LOG.change(log, gateway, frozenset(proxied), now)
