"""Metadata of keys: reading it, and changing it on the git-annex branch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from shoal.git.clock import candidate_clock
from shoal.logs import metadata
from shoal.logs.metadata import Changes

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.key import Key

Values = Mapping[str, frozenset[bytes]]
"""The values of fields; those that say when a field was changed are among them."""

Modification = Callable[[Values], Changes]
"""Gives what to change when there are these values."""


def values_of(repository: Repository, key: Key) -> Values:
    """Give the metadata of a key."""
    log = repository.branch.read(metadata.path(key, repository.branch_hash_levels))
    return metadata.current_with_times(log)


def modify(repository: Repository, key: Key, modifications: Sequence[Modification]) -> None:
    """Change the metadata of a key. Where two modifications contradict, the later one counts.

    All of them begin with what there was before the first.
    """
    now = candidate_clock()

    def update(log: bytes) -> bytes | None:
        values = metadata.current_with_times(log)
        changes = Changes()
        for modification in modifications:
            changes = changes.overridden_by(modification(values))
        return metadata.change(log, changes, now)

    repository.branch.change(metadata.path(key, repository.branch_hash_levels), update)
