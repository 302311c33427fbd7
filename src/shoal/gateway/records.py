"""What the gateway's repository knows of keys and nodes, and what it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from shoal.errors import ShoalError
from shoal.gateway.patience import uninterrupted
from shoal.git.waiting import WouldWait, about_to_wait, must_not_wait, without_waiting
from shoal.remotes.shortwork import Lane
from shoal.values.key import Key
from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.gateway.choosing import Choosing, Placed, Room
    from shoal.git.preferences import Preferences
    from shoal.git.repository import Repository


T = TypeVar("T")

_LANE: Final = Lane("records")
_CHOICES: Final = Lane("choices")  # may wait for other processes, while nobody else should
_MOST_FOUND: Final = 10_000  # keys that wait to be compared with the log
_COMPARED_AT_ONCE: Final = 50
_GATHER: Final = 0.02  # seconds in which more is found that git can be asked about together


async def in_thread(work: Callable[[], T]) -> T:
    """Have a thread ask Records, or tell them."""
    return await _LANE.call(work)


async def soon(work: Callable[[], T]) -> T:
    """Ask Records, or tell them: at once when that needs no waiting, else in a thread."""
    try:
        return at_once(work)
    except WouldWait:
        return await _LANE.call(work)


async def choice(work: Callable[[], T]) -> T:
    """Make a choice with Records.choosing(), as soon() does."""
    try:
        return choice_at_once(work)
    except WouldWait:
        return await _CHOICES.call(work)


def at_once(work: Callable[[], T]) -> T:
    """Ask Records, or tell them, in the event loop. Raises WouldWait, and nothing was done."""
    with without_waiting():
        return _LANE.at_once(work)


def choice_at_once(work: Callable[[], T]) -> T:
    """Make a choice with Records.choosing(), as at_once()."""
    with without_waiting():
        return _CHOICES.at_once(work)


@asynccontextmanager
async def room_for(key: Key, node: UUID, records: Records) -> AsyncIterator[None]:
    """Have room reserved for a key in a node, whether it is too much or not, while the context
    is open and the location log does not say that the key is there."""
    from shoal.gateway.choosing import Placed

    rooms: list[Room | None] = []

    def reserve() -> None:
        with records.choosing([node], Placed(key)) as choosing:
            rooms.append(choosing.reserve(node))

    try:
        await uninterrupted(choice(reserve))
        yield
    finally:
        for room in rooms:
            if room is not None and room.is_pending:
                await uninterrupted(in_thread(room.cancel))


class Records(Protocol):
    """The gateway's git-annex branch, as far as requests need it.

    All methods may block and are called from threads, several at a time; or from the event
    loop in a without_waiting() block, where they raise WouldWait before they change anything.
    """

    def locations(self, key: Key) -> frozenset[UUID]:
        """Give the repositories that are logged to hold `key`; it may include clusters."""

    def kept_locations(self, key: Key) -> frozenset[UUID] | None:
        """Give what locations() would when that is at hand; None when it must be read.
        This one never blocks."""

    def found(self, key: Key, node: UUID) -> bool:
        """Take note that `node` was seen to hold `key`: the log, which nobody has read, may not
        know. It is looked up soon, many keys at once. False when too many wait for that.
        Called in the event loop; this one never blocks."""

    def choosing(self, nodes: Collection[UUID], placed: Placed) -> AbstractContextManager[Choosing]:
        """While the context is open nobody else chooses by sizes where keys go, if sizes matter
        for any of the `nodes`. Never wait in it for anything slow. When it ends with an
        exception, what was reserved in it is not."""

    def record(self, key: Key, present: Collection[UUID], missing: Collection[UUID]) -> None:
        """Put into the location log that repositories hold `key` now, or no longer do.

        Only for what each of them said itself. Clusters' UUIDs are left out.
        """


class RepositoryRecords:
    """Records that are a repository's git-annex branch.

    `changed` is called, in a thread, after something was written to its journal.
    """

    def __init__(self, repository: Repository, changed: Callable[[], None]) -> None:
        from shoal.git.mounts import is_on_local_disk

        self._repository = repository
        self._logs = repository.logs
        self._answers_quickly = is_on_local_disk(repository.common_dir)
        self._preferences: Preferences | None = None
        self._lock = threading.Lock()
        self._changed = changed
        self._found: dict[tuple[Key, UUID], None] = {}  # in the order in which it was found
        self._comparing_one = threading.Lock()
        self._comparing: asyncio.Task[None] | None = None

    async def aclose(self) -> None:
        """Wait until all that was found is compared with the log."""
        if self._comparing is not None:
            await self._comparing

    def locations(self, key: Key) -> frozenset[UUID]:
        self._use_disk()
        return self._logs.locations(key)

    def kept_locations(self, key: Key) -> frozenset[UUID] | None:
        return self._logs.kept_locations(key)

    def found(self, key: Key, node: UUID) -> bool:
        if len(self._found) >= _MOST_FOUND:
            return False
        self._found[key, node] = None
        if self._comparing is None or self._comparing.done():
            self._comparing = asyncio.create_task(self._compare(), name="compare with the log")
        return True

    async def _compare(self) -> None:
        while self._found:
            await asyncio.sleep(_GATHER)
            found = list(self._found)
            for first in range(0, len(found), _COMPARED_AT_ONCE):
                some = found[first : first + _COMPARED_AT_ONCE]
                await in_thread(partial(self._compare_some, some))

    def _compare_some(self, found: Sequence[tuple[Key, UUID]]) -> None:
        try:
            logged = self._logs.locations_of([key for key, _ in found])
            for one, known in zip(found, logged, strict=True):
                with self._comparing_one:
                    if one in self._found and one[1] not in known:
                        self.record(one[0], [one[1]], [])
        except (OSError, ShoalError):
            pass  # nobody waits for it
        finally:
            for one in found:
                self._found.pop(one, None)

    def _forget_found(self, key: Key, missing: Collection[UUID]) -> None:
        """What was found before it was removed must not be recorded after that."""
        if not self._comparing_one.acquire(blocking=False):
            about_to_wait()
            self._comparing_one.acquire()
        try:
            for node in missing:
                self._found.pop((key, node), None)
        finally:
            self._comparing_one.release()

    def choosing(self, nodes: Collection[UUID], placed: Placed) -> AbstractContextManager[Choosing]:
        from shoal.gateway.choosing import choosing
        from shoal.git.preferences import Preferences

        with self._lock:
            if self._preferences is None:
                self._preferences = Preferences(self._repository)
        return choosing(self._preferences, nodes, placed)

    def record(self, key: Key, present: Collection[UUID], missing: Collection[UUID]) -> None:
        changes = dict.fromkeys(present, True) | dict.fromkeys(missing, False)
        changes = {uuid: there for uuid, there in changes.items() if not is_cluster_uuid(uuid)}
        if not changes:
            return
        self._use_disk()
        if missing and self._found:
            self._forget_found(key, missing)
        with self._ready_to_record(key, next(iter(changes))):
            written = self._logs.set_locations(key, changes)
        if written:
            self._changed()

    def _ready_to_record(self, key: Key, repository: UUID) -> AbstractContextManager[object]:
        """Where there must be no waiting, nothing may be left to be waited for in the block."""
        if not must_not_wait():
            return nullcontext()
        if self._repository.is_reserving:  # in a database, which others use
            about_to_wait()
        return self._logs.ready_to_set(key, repository)

    def _use_disk(self) -> None:
        if not self._answers_quickly:
            about_to_wait()
