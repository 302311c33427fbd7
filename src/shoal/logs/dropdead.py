"""The transition that forgets dead repositories: what each file of the branch becomes.

`trust.log` stays as it is, for clones that know more about the dead must learn it, too.
Source: transitions vectors of git-annex 10.20261026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shoal.logs import (
    activity,
    chunk,
    cluster,
    contentid,
    difference,
    export,
    group,
    location,
    maxsize,
    metadata,
    multicast,
    preferred,
    presence,
    proxy,
    remote,
    remotemetadata,
    remotestate,
    required,
    schedule,
    trust,
    uuid,
)
from shoal.logs.maplog import MapLog
from shoal.logs.metadata import Changes
from shoal.logs.trust import TrustLevel
from shoal.logs.uuidlog import UuidLog
from shoal.values.keypath import parse_key_file
from shoal.values.text import to_text
from shoal.values.uuid import UUID

_OLD = frozenset(
    {
        uuid.PATH, group.PATH, preferred.PATH, required.PATH, schedule.PATH, activity.PATH,
        difference.PATH, multicast.PATH,
    }
)  # fmt: skip
_NEW = frozenset({export.PATH, proxy.PATH, cluster.PATH, maxsize.PATH})

# Values are carried over as they are, even those that would not parse.
_RAW_OLD: UuidLog[bytes] = UuidLog(bytes, bytes)
_RAW_NEW: MapLog[bytes, bytes] = MapLog(bytes, bytes, bytes, bytes)


@dataclass(frozen=True, slots=True)
class Dead:
    """The dead repositories, and those plus the configurations of remotes that are the same."""

    repositories: frozenset[UUID]
    with_same: frozenset[UUID]


def dead_in(trust_log: bytes, remote_log: bytes) -> Dead:
    """Find who is dead: from `trust.log` and, for remotes that are the same, `remote.log`."""
    levels = trust.parse(trust_log)
    dead = frozenset(uuid for uuid, level in levels.items() if level is TrustLevel.DEAD)
    same = {
        uuid
        for uuid, config in remote.parse(remote_log).items()
        if config.get(remote.SAMEAS_UUID) in dead and uuid not in levels
    }
    return Dead(dead, dead | same)


def drop_dead(path: str, log: bytes, dead: Dead, levels: int = 2) -> bytes:
    """Give a file of the branch without what it says of the dead.

    The file has to be deleted when nothing is left. Files that hold nothing about
    repositories, or are not known, are given back as they are. `levels` is 1 with
    annex.tune.branchhash1.
    """
    rewrite = _rewriter(path, levels)
    return log if rewrite is None else rewrite(log, dead)


def _rewriter(path: str, levels: int) -> Callable[[bytes, Dead], bytes] | None:
    if path in _OLD:
        return _drop_old
    if path == remote.PATH:
        return _drop_remotes
    if path in _NEW or path.endswith((remotestate.SUFFIX, contentid.SUFFIX)):
        return _drop_new
    if path.endswith(remotemetadata.SUFFIX):
        return _drop_metadata
    if location.key_of(path, levels) is not None:
        return _drop_locations
    if path.endswith(chunk.SUFFIX) and _is_of_key(path, chunk.SUFFIX):
        return _drop_chunks
    return None


def _is_of_key(path: str, suffix: str) -> bool:
    name = path.rpartition("/")[2].removesuffix(suffix)
    try:
        parse_key_file(name.encode("utf-8", "surrogateescape"))
    except ValueError:
        return False
    return True


def _drop_old(log: bytes, dead: Dead) -> bytes:
    entries = _RAW_OLD.parse(log)
    return _RAW_OLD.render({u: entries[u] for u in entries if u not in dead.with_same})


def _drop_remotes(log: bytes, dead: Dead) -> bytes:
    """Dead remotes go; of those that are the same as a dead one, only that fact stays."""
    entries = remote.LOG.parse(log)
    kept = {}
    for config_uuid, entry in entries.items():
        if config_uuid in dead.repositories:
            continue
        if config_uuid in dead.with_same:
            same = {remote.SAMEAS_UUID: entry.value[remote.SAMEAS_UUID]}
            entry = type(entry)(entry.clock, same)
        kept[config_uuid] = entry
    return remote.LOG.render(kept)


def _drop_new(log: bytes, dead: Dead) -> bytes:
    entries = _RAW_NEW.parse(log)
    return _RAW_NEW.render(
        {field: entries[field] for field in entries if to_text(field) not in dead.with_same}
    )


def _drop_chunks(log: bytes, dead: Dead) -> bytes:
    entries = chunk.LOG.parse(log)
    return chunk.LOG.render(
        {field: entries[field] for field in entries if field.remote not in dead.with_same}
    )


def _drop_locations(log: bytes, dead: Dead) -> bytes:
    lines = [line for line in presence.parse(log) if to_text(line.info) not in dead.with_same]
    return presence.render_compact(presence.compact(lines))


def _drop_metadata(log: bytes, dead: Dead) -> bytes:
    kept = []
    for line in metadata.simplify(metadata.parse(log)):
        fields = {
            folded: said
            for folded, said in line.changes.fields.items()
            if not _is_about(said.name, dead)
        }
        if fields:
            kept.append(metadata.Line(line.clock, Changes(fields)))
    return metadata.render(kept)


def _is_about(field: str, dead: Dead) -> bool:
    found = remotemetadata.split_field(field)
    return found is not None and found[0] in dead.with_same


def drop_dead_from_all(files: Mapping[str, bytes], levels: int = 2) -> dict[str, bytes]:
    """Give all files of a branch without what they say of the dead, and without empty ones."""
    dead = dead_in(files.get(trust.PATH, b""), files.get(remote.PATH, b""))
    done = {path: drop_dead(path, log, dead, levels) for path, log in files.items()}
    return {path: log for path, log in done.items() if log or not files[path]}
