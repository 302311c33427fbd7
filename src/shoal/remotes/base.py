"""The one interface of everything that holds keys: this repository, a node, a proxied remote,
a cluster, a special remote, another gateway, or a fake in a test.

A server serves a `Remote` and a cluster is a `Remote` made of `Remote`s, so whatever is true
here composes. The contract, which tests/unit/remotes/contract.py checks for each of them:

* Presence has three values. A method says yes or no only when the remote said so; when that
  is not known it raises RemoteUnavailable.
* A store is all or nothing: until it returned `stored`, the key is not present.
* A cancelled call leaves no lock, no temporary object file in view, and no half-used
  connection; partial content is kept where it can be resumed.
* Methods may be called at the same time for different keys and for the same key.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from shoal.errors import ShoalError
from shoal.remotes.content import Content, WholeContent
from shoal.values.key import Key
from shoal.values.uuid import UUID

LOCK_SECONDS = 600.0
"""How long a lock holds that nobody keeps, from the request on: fixed by the P2P protocol."""


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a request is made.

    `uuid` names the client in transfer logs; `bypass` are gateways that must not be asked
    again; `version` is the P2P protocol version spoken with the client.
    """

    uuid: UUID | None = None
    bypass: frozenset[UUID] = frozenset()
    version: int = 4


NOBODY = Caller()


@dataclass(frozen=True, slots=True)
class RemoteInfo:
    """What a remote is and can do, as data: ask here, never by isinstance()."""

    uuid: UUID
    name: str
    cost: float = 100.0  # lower is tried first
    read_only: bool = False
    can_lock: bool = True
    monotonic_clock_here: bool = False  # timestamp() is this machine's own clock


@dataclass(frozen=True, slots=True)
class StoreResult:
    """The answer to a store. `stored_in` lists repositories that now hold the key, besides the
    remote itself: a cluster lists its nodes there, also when `stored` is False."""

    stored: bool
    stored_in: tuple[UUID, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class AlreadyPresent:
    """The remote holds the key already: nothing is to be sent. A cluster lists its nodes."""

    stored_in: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveResult:
    """The answer to a removal. `removed_from` lists repositories that no longer hold the key,
    besides the remote itself: for a cluster its nodes, also when `removed` is False."""

    removed: bool
    removed_from: tuple[UUID, ...] = ()
    error: str = ""


class Upload(ABC):
    """A store that the remote agreed to, before its bytes. Use it with `async with`: leaving
    without store() gives up and frees everything; partial content is kept for a resume."""

    offset: int  # bytes of the key that the remote holds already: send from here on
    uses_digest: bool = True  # the content's digest spares it work, or makes it accept more

    @abstractmethod
    async def store(self, content: Content) -> StoreResult:
        """Store `content`, which must start at `self.offset`, verify it and make it visible.

        When the content breaks off, what came is kept for a resume and the error is raised.
        Content that is not the key's gives `stored` False and is deleted.
        """

    async def aclose(self) -> None:  # noqa: B027  # most uploads hold nothing
        """Free what the upload holds. May be called twice."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


class LeaveLocked(ShoalError):
    """Raised inside of lock_content() to leave it without unlocking.

    For whoever made the lock for somebody else, and can hold it no longer while that one may
    still count on it: the lock then lasts as if the connection had been lost. It leaves the
    context as it is.
    """


class Remote(ABC):
    """A place that holds keys. Any method may raise RemoteUnavailable."""

    @property
    @abstractmethod
    def info(self) -> RemoteInfo:
        """What this remote is and can do."""

    @abstractmethod
    async def check_present(self, key: Key, *, caller: Caller = NOBODY) -> bool:
        """Tell whether the remote holds `key` now; only what the remote itself said."""

    def present_at_once(self, key: Key, *, caller: Caller = NOBODY) -> bool | None:
        """Give what check_present() would when that is known without waiting, else None.

        For an event loop that has many to answer: never waits, never raises. None may have
        any reason; check_present() then tells all.
        """
        return None

    def read_at_once(
        self, key: Key, offset: int, most: int, *, caller: Caller = NOBODY
    ) -> bytes | None:
        """Give the content from byte `offset` on when that is at most `most` bytes, at hand
        without waiting, and vouched for; else None. As present_at_once(); see retrieve()."""
        return None

    def present_soon(
        self, key: Key, tell: Callable[[bool | None], None], *, caller: Caller = NOBODY
    ) -> bool:
        """Begin to find out what check_present() would give, without a task; False when this
        cannot be done now.

        `tell` is called once, later: with the answer, or with None, which may have any reason as
        in present_at_once(). For what is on another machine, where nothing is known at once.
        """
        return False

    def read_soon(
        self,
        key: Key,
        offset: int,
        most: int,
        tell: Callable[[bytes | None], None],
        *,
        caller: Caller = NOBODY,
    ) -> bool:
        """Begin to get what read_at_once() would give; as present_soon()."""
        return False

    @abstractmethod
    def retrieve(
        self, key: Key, offset: int = 0, *, file: str = "", caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Content]:
        """Open the content of `key` from byte `offset` on.

        Entering raises KeyNotPresent when the remote does not hold the key. An offset at or
        after the end gives content of size 0. `file` is the associated file, for transfer logs.
        """

    @abstractmethod
    async def begin_store(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> Upload | AlreadyPresent:
        """Ask to store `key`. Raises TransferInProgress, NotEnoughSpace or RemoteRefused
        when the remote would not take it."""

    async def store_whole(
        self,
        key: Key,
        content: WholeContent,
        *,
        file: str = "",
        caller: Caller = NOBODY,
        agreed: Callable[[], None] = lambda: None,
    ) -> StoreResult | AlreadyPresent:
        """Store a small content: what begin_store() and Upload.store() do, in one call.

        `agreed` is called, in any thread, when the remote takes the content; what is raised
        before that is what begin_store() raises. What the remote holds of the key already, be
        it all of it, may be sent again.
        """
        begun = await self.begin_store(key, file=file, caller=caller)
        if isinstance(begun, AlreadyPresent):
            return begun
        agreed()
        async with begun as upload:
            return await upload.store(content.from_offset(upload.offset))

    def store_at_once(
        self, key: Key, content: WholeContent, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult | AlreadyPresent | ShoalError | None:
        """Do what store_whole() does when there is nothing to wait for; else give None, and
        nothing was done. An error of a remote that took the content is given, not raised.

        For an event loop, as present_at_once().
        """
        return None

    def store_soon(
        self, key: Key, content: WholeContent, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult | AlreadyPresent | Awaitable[StoreResult | AlreadyPresent]:
        """Store a small content, at once as far as nothing needs to be waited for; give what
        to wait for when there is something. Raises as store_whole(), now or then."""
        stored = self.store_at_once(key, content, file=file, caller=caller)
        if stored is None:
            return self.store_whole(key, content, file=file, caller=caller)
        if isinstance(stored, ShoalError):
            raise stored
        return stored

    @abstractmethod
    async def store_present(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult:
        """The caller says that the content is there already (sent by another way): check
        that, and record it (DATA-PRESENT of the P2P protocol)."""

    @abstractmethod
    async def remove(
        self, key: Key, *, before: int | None = None, caller: Caller = NOBODY
    ) -> RemoveResult:
        """Remove the content of `key`; removing what is not there succeeds.

        `before` is a time of this remote's clock, see timestamp(): at or after it the
        removal must fail. The caller has checked numcopies; the remote only honours locks.
        """

    @abstractmethod
    async def timestamp(self) -> int:
        """Give this remote's monotonic clock, in whole seconds, rounded down."""

    @abstractmethod
    def lock_content(
        self, key: Key, *, caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[None]:
        """While the context is open the remote lets nobody remove the key.

        Entering raises RemoteRefused when the key is absent or cannot be locked (a cluster
        never can). If the connection is lost, the remote keeps the lock for LOCK_SECONDS from
        the request on, and leaving the context raises RemoteUnavailable. See LeaveLocked.
        """

    async def aclose(self) -> None:  # noqa: B027  # most remotes hold nothing
        """Close connections and free what the remote holds."""
