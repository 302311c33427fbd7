"""What is known of repositories as such: sizes and limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.logs.trust import TrustLevel
from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.annex.session import Session
    from shoal.git.repository import Repository


def set_trust(repository: Repository, uuid: UUID, level: TrustLevel) -> None:
    """Set how far a repository is trusted. A dead one leaves all its groups."""
    repository.logs.set_trust(uuid, level)
    if level is TrustLevel.DEAD:
        repository.logs.set_groups(uuid, ())


@dataclass(frozen=True, slots=True)
class SizeOf:
    """Bytes of keys in a repository, and the most that it should hold (None: not limited)."""

    repository: UUID
    size: int
    max_size: int | None


def size_overview(session: Session) -> list[SizeOf]:
    """Give sizes and limits of all known repositories that are not dead, the largest limit
    first, then by size."""
    sizes = dict(session.repository.sizes.sizes())
    for uuid in session.logs.descriptions():
        if is_cluster_uuid(uuid):
            sizes.setdefault(uuid, 0)  # listed, though a cluster as such holds nothing
    limits = session.logs.max_sizes()
    found = [
        SizeOf(uuid, sizes.get(uuid, 0), limits.get(uuid))
        for uuid in {*sizes, *limits}
        if session.trust(uuid) is not TrustLevel.DEAD
    ]
    return sorted(found, key=_order, reverse=True)


def _order(found: SizeOf) -> tuple[int, int, str]:
    limit = -1 if found.max_size is None else found.max_size
    return limit, found.size, found.repository
