"""The location log of a key (`.log`): which repositories have its content.

A presence log whose INFO is a repository's UUID. Clusters are never written in it: a cluster
has a key when one of its nodes has. Source: on-disk behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

from collections.abc import Mapping

from shoal.logs import presence
from shoal.logs.presence import Status
from shoal.values.clock import Clock
from shoal.values.key import Key
from shoal.values.keypath import log_path, parse_key_file
from shoal.values.uuid import UUID, is_cluster_uuid, uuid_bytes

SUFFIX = ".log"

_known: dict[bytes, UUID] = {}  # decoded once: the same few UUIDs are in all logs
_KNOWN_LIMIT = 10_000


def path(key: Key, levels: int = 2) -> str:
    """Give the path of the key's location log; `levels` is 1 with annex.tune.branchhash1."""
    return log_path(key, SUFFIX, levels)


def key_of(path: str | bytes, levels: int = 2) -> Key | None:
    """Give the key whose location log is at `path`, None when that is no location log."""
    raw = path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")
    if not raw.endswith(b".log") or raw.count(b"/") != levels:
        return None
    try:
        return parse_key_file(raw[raw.rindex(b"/") + 1 : -len(SUFFIX)])
    except ValueError:
        return None


def _uuid(info: bytes) -> UUID:
    uuid = _known.get(info)
    if uuid is None:
        uuid = UUID(info.decode("utf-8", "surrogateescape"))
        if len(_known) < _KNOWN_LIMIT:
            _known[info] = uuid
    return uuid


def parse(log: bytes) -> dict[UUID, Status]:
    """Give what the log says of each repository in it."""
    return {_uuid(info): Status(status) for info, status in presence.statuses(log).items() if info}


def newest_lines(log: bytes) -> dict[UUID, presence.Line]:
    """Give the line that counts for each repository in the log."""
    lines = presence.compact(presence.parse(log))
    return {_uuid(info): line for info, line in lines.items() if info}


def present_uuids(log: bytes) -> frozenset[UUID]:
    """Give the repositories that have the content, dead ones included."""
    return frozenset(
        [_uuid(info) for info, status in presence.statuses(log).items() if status == b"1" and info]
    )


def is_dead(log: bytes) -> bool:
    """Tell whether the key is dead: no content is anywhere, nor expected back."""
    found = presence.statuses(log)
    return bool(found) and all(status == b"X" for status in found.values())


def change(log: bytes, uuid: UUID, status: Status | bool, now: Clock) -> bytes | None:
    """Give the log after a repository got or lost the content; None: nothing to write."""
    return change_all(log, {uuid: status}, now)


def change_all(log: bytes, changes: Mapping[UUID, Status | bool], now: Clock) -> bytes | None:
    """As change(), for several repositories."""
    statuses = {
        uuid_bytes(uuid): (Status.PRESENT if status else Status.MISSING)
        if isinstance(status, bool)
        else status
        for uuid, status in changes.items()
        if not is_cluster_uuid(uuid)
    }
    return presence.maybe_add_all(log, statuses, now)


def set_dead(log: bytes) -> bytes | None:
    """Give the log of a key that is gone for good; None when some repository still has it.

    Each missing line becomes dead with the least later clock, so that any real news wins.
    """
    newest = presence.compact(presence.parse(log))
    if any(line.status is Status.PRESENT for line in newest.values()):
        return None
    for info, line in newest.items():
        if line.status is Status.MISSING:
            newest[info] = presence.Line(Clock(line.clock + 1), Status.DEAD, info)
    return presence.render_compact(newest)
