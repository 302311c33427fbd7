"""The clusters that a repository is a gateway of: git config `annex.cluster.NAME` = UUID."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.logs.proxy import is_legal_name
from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.git.config import GitConfig

CONFIG = "annex.cluster."


def local_clusters(config: GitConfig) -> dict[str, UUID]:
    """Give the configured clusters, sorted by name.

    Names that cannot be a remote's, and UUIDs that are no cluster's, are ignored. git keeps
    the names in lower case.
    """
    found = config.under(CONFIG)
    return {
        name: UUID(found[name])
        for name in sorted(found)
        if is_legal_name(name) and is_cluster_uuid(found[name])
    }
