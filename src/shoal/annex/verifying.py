"""Getting a drop proof: asking other repositories for copies, and locking these.

Repositories are asked in the order given until there are enough copies; each is asked to lock
its copy and, if it cannot, whether it has one. The locks are held until the drop is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from shoal.annex.proof import (
    DropProof,
    Needed,
    Shortage,
    Strength,
    TooFewLocked,
    VerifiedCopy,
    prove,
)
from shoal.errors import (
    ContentLocked,
    KeyNotPresent,
    NotEnoughCopies,
    RemoteRefused,
    RemoteUnavailable,
)
from shoal.git.objects import ContentAbsent, ObjectStore
from shoal.remotes.base import LOCK_SECONDS, Remote
from shoal.values.key import Key
from shoal.values.uuid import UUID

Clock = Callable[[], float]
"""A monotonic clock, in seconds."""


class DropRefused(NotEnoughCopies):
    """A drop that could not be proved safe, with what is needed to tell the user why."""

    def __init__(
        self,
        shortage: Shortage,
        verified: Sequence[UUID] = (),
        unavailable: Sequence[str] = (),
        unlockable: Sequence[str] = (),
    ) -> None:
        super().__init__(str(shortage))
        self.shortage = shortage
        self.verified = tuple(verified)
        self.shortage_is_of_locks = isinstance(shortage, TooFewLocked)
        self.unavailable = tuple(unavailable)  # names of remotes that did not answer
        self.unlockable = tuple(unlockable)  # names of remotes that cannot lock now


class CopySource(Protocol):
    """A repository that may have a copy."""

    @property
    def uuid(self) -> UUID: ...

    @property
    def name(self) -> str: ...

    @property
    def can_lock(self) -> bool: ...

    def lock(self, key: Key) -> AbstractAsyncContextManager[float | None]:
        """Keep the copy while the context is open; gives when the lock stops being sure.

        Entering raises RemoteRefused when that cannot be done, RemoteUnavailable when there
        is no answer.
        """

    async def has(self, key: Key) -> bool:
        """Tell whether it has the content now. Raises RemoteUnavailable."""


@dataclass(frozen=True, slots=True)
class RemoteSource:
    """A remote as a source of copies. `clock` is this machine's."""

    remote: Remote
    clock: Clock

    @property
    def uuid(self) -> UUID:
        return self.remote.info.uuid

    @property
    def name(self) -> str:
        return self.remote.info.name

    @property
    def can_lock(self) -> bool:
        return self.remote.info.can_lock

    @asynccontextmanager
    async def lock(self, key: Key) -> AsyncIterator[float | None]:
        if not self.can_lock:
            raise RemoteRefused(f'remote "{self.name}" does not support locking')
        expires = self.clock() + LOCK_SECONDS
        async with self.remote.lock_content(key):
            yield expires

    async def has(self, key: Key) -> bool:
        return await self.remote.check_present(key)


@dataclass(frozen=True, slots=True)
class HereSource:
    """This repository as a source of copies, when the drop is from another one."""

    uuid: UUID
    objects: ObjectStore
    name: str = "here"
    can_lock: bool = True

    @asynccontextmanager
    async def lock(self, key: Key) -> AsyncIterator[float | None]:
        try:
            lock = await asyncio.to_thread(self.objects.lock_shared, key)
        except (ContentAbsent, ContentLocked) as error:
            raise RemoteRefused(str(error)) from error
        try:
            yield None
        finally:
            lock.release()

    async def has(self, key: Key) -> bool:
        return False  # what is here can be locked; a copy that cannot is about to go


@asynccontextmanager
async def drop_proof(
    key: Key,
    needed: Needed,
    sources: Iterable[CopySource],
    trusted: Iterable[UUID] = (),
    *,
    here: bool,
) -> AsyncIterator[DropProof]:
    """Open a drop proof for `key`; all locks of it are held while the context is open.

    `trusted` repositories have the key by the location log and are believed. `here`: the drop
    is from this repository. Raises DropRefused when there are too few copies.
    """
    async with AsyncExitStack() as locks:
        search = _Search(key, locks, [VerifiedCopy(uuid, Strength.TRUSTED) for uuid in trusted])
        result = prove(search.copies, needed, here=here)
        for source in sources:
            if isinstance(result, DropProof):
                break
            await search.ask(source)
            result = prove(search.copies, needed, here=here)
        if not isinstance(result, DropProof):
            verified = [copy.uuid for copy in search.copies]
            raise DropRefused(result, verified, search.unavailable, search.unlockable)
        yield result


@dataclass(slots=True)
class _Search:
    """What was found so far. Locks are released when `locks` is closed."""

    key: Key
    locks: AsyncExitStack
    copies: list[VerifiedCopy]
    unavailable: list[str] = field(default_factory=list)
    unlockable: list[str] = field(default_factory=list)

    async def ask(self, source: CopySource) -> None:
        """Ask one repository for its copy, unless that is counted already."""
        if any(copy.uuid == source.uuid for copy in self.copies):
            return
        try:
            self.copies.append(await self._lock(source))
        except (RemoteRefused, KeyNotPresent):
            if not source.can_lock:
                self.unlockable.append(source.name)
            await self._check(source)
        except RemoteUnavailable:
            self.unlockable.append(source.name)
            self.unavailable.append(source.name)

    async def _lock(self, source: CopySource) -> VerifiedCopy:
        context = source.lock(self.key)
        expires = await context.__aenter__()
        self.locks.push_async_callback(_let_go, context)
        return VerifiedCopy(source.uuid, Strength.LOCKED, expires)

    async def _check(self, source: CopySource) -> None:
        try:
            if await source.has(self.key):
                self.copies.append(VerifiedCopy(source.uuid, Strength.RECENTLY_VERIFIED))
        except RemoteUnavailable:
            self.unavailable.append(source.name)


async def _let_go(context: AbstractAsyncContextManager[float | None]) -> None:
    """End a lock. A connection that was lost meanwhile does not matter: the other side has
    kept the content until the end of the proof."""
    with suppress(RemoteUnavailable):
        await context.__aexit__(None, None, None)
