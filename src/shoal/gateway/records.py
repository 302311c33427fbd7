"""What the gateway's repository knows of keys and nodes, and what it is told."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from shoal.remotes.shortwork import Lane
from shoal.values.key import Key
from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.git.repository import Repository


T = TypeVar("T")

_LANE: Final = Lane("records")


async def in_thread(work: Callable[[], T]) -> T:
    """Have a thread ask Records, or tell them."""
    return await _LANE.call(work)


class Records(Protocol):
    """The gateway's git-annex branch, as far as requests need it.

    All methods block and are called from threads, several at a time.
    """

    def locations(self, key: Key) -> frozenset[UUID]:
        """Give the repositories that are logged to hold `key`; it may include clusters."""

    def kept_locations(self, key: Key) -> frozenset[UUID] | None:
        """Give what locations() would when that is at hand; None when it must be read.
        This one never blocks."""

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


class RepositoryRecords:
    """Records that are a repository's git-annex branch.

    `changed` is called, in a thread, after something was written to its journal.
    """

    def __init__(self, repository: Repository, changed: Callable[[], None]) -> None:
        from shoal.git.preferences import Preferences

        self._logs = repository.logs
        self._preferences = Preferences(repository)
        self._changed = changed

    def locations(self, key: Key) -> frozenset[UUID]:
        return self._logs.locations(key)

    def kept_locations(self, key: Key) -> frozenset[UUID] | None:
        return self._logs.kept_locations(key)

    def wants(self, node: UUID, key: Key, file: str, present: frozenset[UUID]) -> bool:
        return self._preferences.wants(
            node, key, file, default=True, absent=frozenset({node}), present=present
        )

    def record(self, key: Key, present: Collection[UUID], missing: Collection[UUID]) -> None:
        changes = dict.fromkeys(present, True) | dict.fromkeys(missing, False)
        changes = {uuid: there for uuid, there in changes.items() if not is_cluster_uuid(uuid)}
        if changes and self._logs.set_locations(key, changes):
            self._changed()
