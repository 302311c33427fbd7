"""`proxy.log`: the remotes that each gateway serves as its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from shoal.logs.entries import read_uuid
from shoal.logs.maplog import MapLog
from shoal.values.clock import Clock
from shoal.values.text import to_bytes, to_text
from shoal.values.uuid import UUID, uuid_bytes

PATH = "proxy.log"


class Proxied(NamedTuple):
    """A proxied remote or cluster: its UUID, and its name at the gateway."""

    uuid: UUID
    name: str


# Strictly one space between two words; one at the end is forgiven. Else the line is dropped.
_WORD = re.compile(rb"([^:]+):([^ ]+)(?: |$)")
_WORDS = re.compile(rb"(?:%s)*" % _WORD.pattern)


def _read(text: bytes) -> frozenset[Proxied]:
    if _WORDS.fullmatch(text) is None:
        raise ValueError(f"not a list of proxied remotes: {text[:80]!r}")
    return frozenset(Proxied(read_uuid(uuid), to_text(name)) for uuid, name in _WORD.findall(text))


def is_legal_name(name: str) -> bool:
    """Tell whether a proxied remote may have that name: alphanumerics and `_`, `-`, `.`.

    It must not begin with `-` or `.`. The rule keeps out names that could pass for options or
    paths, or that a terminal would act on.
    """
    return name[:1] not in {"", "-", "."} and all(c.isalnum() or c in "_-." for c in name)


def _write(proxied: Iterable[Proxied]) -> bytes:
    return b" ".join(
        b"%s:%s" % (uuid_bytes(uuid), to_bytes(name)) for uuid, name in sorted(proxied, key=_order)
    )


def _order(proxied: Proxied) -> tuple[bytes, bytes]:
    return uuid_bytes(proxied.uuid), to_bytes(proxied.name)


LOG = MapLog(read_uuid, uuid_bytes, _read, _write)


def parse(log: bytes) -> dict[UUID, frozenset[Proxied]]:
    """Give what each gateway proxies. Remotes with names that are not legal are left out."""
    return {
        gateway: frozenset(remote for remote in proxied if is_legal_name(remote.name))
        for gateway, proxied in LOG.values(log).items()
    }


def change(log: bytes, gateway: UUID, proxied: Iterable[Proxied], now: Clock) -> bytes:
    """Set all that a gateway proxies. Raises ValueError when a name is not legal."""
    proxied = frozenset(proxied)
    for remote in proxied:
        if not is_legal_name(remote.name):
            raise ValueError(f"not a legal name for a proxied remote: {remote.name!r}")
    return LOG.change(log, gateway, proxied, now)
