"""What the gateway's repository knows of keys and nodes, and what it is told."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from shoal.values.key import Key
from shoal.values.uuid import UUID


class Records(Protocol):
    """The gateway's git-annex branch, as far as requests need it.

    All methods block and are called from threads, several at a time.
    """

    def locations(self, key: Key) -> frozenset[UUID]:
        """Give the repositories that are logged to hold `key`; it may include clusters."""

    def wants(self, node: UUID, key: Key, file: str, present: frozenset[UUID]) -> bool:
        """Tell whether `node`, were it without `key`, would want it by its preferred content.

        `file` is the associated file ("" when none is known), `present` the repositories that
        are taken to hold the key. A node without an expression wants everything. Raises
        ExpressionError when an expression asks for what is not known here.
        """

    def record(self, key: Key, present: Collection[UUID], missing: Collection[UUID]) -> None:
        """Put into the location log that repositories hold `key` now, or no longer do.

        Only for what each of them said itself. Clusters' UUIDs are left out.
        """
