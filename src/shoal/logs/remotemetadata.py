"""The remote metadata log of a key (`.log.rmet`): metadata of its copy in one special remote.

As the metadata log, with fields named `UUID:FIELD`.
"""

from __future__ import annotations

from shoal.logs import metadata
from shoal.logs.metadata import Changes, FieldChange
from shoal.values.clock import Clock
from shoal.values.key import Key
from shoal.values.keypath import log_path
from shoal.values.uuid import UUID

SUFFIX = ".log.rmet"


def path(key: Key, levels: int = 2) -> str:
    """Give the path of the key's remote metadata log."""
    return log_path(key, SUFFIX, levels)


def split_field(name: str) -> tuple[UUID, str] | None:
    """Give the remote and the field in a field's name; None when it is not made of these."""
    remote, _, own = name.partition(":")
    return (UUID(remote), own) if metadata.is_legal_field(own) else None


def current(log: bytes, remote: UUID) -> dict[str, frozenset[bytes]]:
    """Give the values that are set now for one special remote, by field."""
    prefix = f"{remote}:"
    return {
        name.removeprefix(prefix): values
        for name, values in metadata.current(log).items()
        if name.startswith(prefix)
    }


def change(log: bytes, remote: UUID, changes: Changes, now: Clock) -> bytes | None:
    """Give the log after a change of one special remote's metadata; None: nothing to write."""
    prefixed = {}
    for said in changes.fields.values():
        name = f"{remote}:{said.name}"
        prefixed[name.casefold()] = FieldChange(name, said.values)
    return metadata.change(log, Changes(prefixed), now)
