"""Recording that a key's content is gone for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.logs import location

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.key import Key


def mark_dead(repository: Repository, key: Key) -> None:
    """Turn each repository that lacks `key` into one that lacks it for ever.

    Raises ShoalError when some repository is logged to have it.
    """
    path = location.path(key, repository.branch_hash_levels)

    def change(log: bytes) -> bytes:
        dead = location.set_dead(log)
        if dead is None:
            raise ShoalError(
                "This key is still known to be present in some locations; not marking as dead."
            )
        return dead

    repository.branch.change(path, change)
