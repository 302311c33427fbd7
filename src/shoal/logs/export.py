"""`export.log`: which git tree each repository exported to each special remote.

    CLOCK SP FROM:TO SP TREE [SP INCOMPLETE…]

INCOMPLETE are trees whose export was begun and perhaps not finished.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shoal.logs.entries import read_uuid
from shoal.logs.maplog import MapLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID, uuid_bytes

PATH = "export.log"


@dataclass(frozen=True, slots=True)
class Participants:
    """The repository that exported, and the special remote that it exported to."""

    source: UUID
    remote: UUID


@dataclass(frozen=True, slots=True)
class Exported:
    """Object names of git trees, in hexadecimal."""

    tree: bytes
    incomplete: tuple[bytes, ...] = ()


# Strictly one space between two names; one at the end is forgiven. Else the line is dropped.
_TREES = re.compile(rb"[^ ]+(?: [^ ]+)* ?")


def _read_field(text: bytes) -> Participants:
    source, _, remote = text.partition(b":")
    if not source or not remote:
        raise ValueError(f"not two UUIDs: {text[:80]!r}")
    return Participants(read_uuid(source), read_uuid(remote))


def _write_field(field: Participants) -> bytes:
    return b"%s:%s" % (uuid_bytes(field.source), uuid_bytes(field.remote))


def _read(text: bytes) -> Exported:
    if _TREES.fullmatch(text) is None:
        raise ValueError(f"not a list of trees: {text[:80]!r}")
    tree, *incomplete = text.removesuffix(b" ").split(b" ")
    return Exported(tree, tuple(incomplete))


def _order(field: Participants) -> tuple[bytes, bytes]:
    return uuid_bytes(field.source), uuid_bytes(field.remote)


LOG = MapLog(
    _read_field,
    _write_field,
    _read,
    lambda exported: b" ".join((exported.tree, *exported.incomplete)),
    _order,
)


def parse(log: bytes) -> dict[Participants, Exported]:
    """Give what was exported from where to where."""
    return LOG.values(log)


def change(log: bytes, participants: Participants, exported: Exported, now: Clock) -> bytes:
    """Record what one repository exported to one special remote."""
    return LOG.change(log, participants, exported, now)
