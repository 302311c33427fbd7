"""A node of a cluster: a remote, and how it has been doing lately."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Self, TypeVar

from shoal.errors import RemoteRefused, RemoteUnavailable, ShoalError
from shoal.gateway.patience import NodeTimeout, Patience
from shoal.gateway.probe import Probe
from shoal.gateway.select import NodeState
from shoal.gateway.topology import Route
from shoal.remotes.base import AlreadyPresent, Caller, Remote, StoreResult, Upload
from shoal.remotes.content import WholeContent
from shoal.values.key import Key
from shoal.values.uuid import UUID, is_cluster_uuid

T = TypeVar("T")

_SHUN_FIRST = 10.0  # seconds; doubled with each timeout that follows
_SHUN_MOST = 300.0
_PROBES = 10  # while it is shunned
_WEIGHT = 0.2  # of the newest answer in the mean latency


@dataclass(slots=True)
class Health:
    """What is remembered of a node's behaviour; of that only `latency` outlives the process."""

    failures: int = 0
    in_flight: int = 0
    latency: float = 0.0  # seconds
    served: int = 0
    shunned_until: float = 0.0
    shun_for: float = _SHUN_FIRST
    closing: bool = False  # the remote is closed when nothing is in flight

    def answered(self, seconds: float) -> None:
        """The node answered, after `seconds`."""
        self.latency = self.latency * (1 - _WEIGHT) + seconds * _WEIGHT
        self.failures = 0
        self.shun_for = _SHUN_FIRST
        self.shunned_until = 0.0

    def is_back(self) -> None:
        """The node answered a probe. Should it time out again, it is left alone for longer."""
        self.failures = 0
        self.shunned_until = 0.0

    def heard(self) -> None:
        """The node answered, if only to refuse."""
        self.failures = 0

    def failed(self) -> None:
        """The node said that it could not be reached, or broke off."""
        self.failures += 1

    def timed_out(self, now: float) -> float:
        """The node did not answer: leave it alone for a while, the longer the more often.
        Gives for how many seconds."""
        self.failed()
        seconds = self.shun_for
        self.shunned_until = now + seconds
        self.shun_for = min(seconds * 2, _SHUN_MOST)
        return seconds


class Node:
    """One remote behind the gateway. Its calls raise ShoalError only, and in time.

    A node that does not answer at all is shunned for some time: it counts as unavailable
    without being asked, so that one dead disk does not make every request wait. Meanwhile it
    is probed, and counts again as soon as it answers.
    """

    def __init__(
        self,
        remote: Remote,
        patience: Patience,
        clock: Callable[[], float] = time.monotonic,
        *,
        via: UUID | None = None,
        latency: float = 0.0,
        on_trouble: Callable[[str, Exception], None] = lambda name, error: None,
    ) -> None:
        """`clock` gives seconds, from any start. `via` is the gateway in between, if any.
        `latency` is how long the node took to answer earlier. `on_trouble` hears the node's
        name, and what it failed with, whenever it could or would not do its part."""
        self.remote = remote
        self.patience = patience
        self.via = via
        self._clock = clock
        self.uuid = remote.info.uuid
        self.cost = remote.info.cost
        self.route: Route | None = None
        self._health = Health(latency=latency)
        self._probe = Probe(remote, patience)
        self._lost: set[UUID] = set()
        self._on_trouble = on_trouble

    def along(self, route: Route, lost: set[UUID]) -> Self:
        """Give this node, which is another gateway, as it is asked for one request.

        It shares everything with this one, but has the identity of the route. `lost` are the
        gateways that could not be reached for the request; this one is added when it is.
        """
        there = copy.copy(self)
        there.route, there.uuid, there._lost = route, route.identity, lost
        return there

    @property
    def is_needed(self) -> bool:
        """It is to be asked. One that stands in for a gateway is when that one is lost."""
        return self.route is None or self.route.instead_of in {None, *self._lost}

    def heard_from(self, caller: Caller) -> Caller:
        """Give the caller that the node hears of: one who came by all that it must not ask."""
        if self.route is None:
            return caller
        return replace(caller, bypass=caller.bypass | self.route.bypass)

    @property
    def is_gateway(self) -> bool:
        """It serves the same cluster at another gateway."""
        return self.via is not None and is_cluster_uuid(self.remote.info.uuid)

    @property
    def name(self) -> str:
        return self.remote.info.name

    @property
    def state(self) -> NodeState:
        """How the node is doing now."""
        health = self._health
        return NodeState(
            self.uuid,
            self.cost,
            self._is_shunned,
            health.failures,
            health.in_flight,
            health.latency,
            health.served,
            hops=0 if self.route is None else 1 if self.route.instead_of is None else 2,
        )

    @property
    def _is_shunned(self) -> bool:
        return self._clock() < self._health.shunned_until

    def present_at_once(self, key: Key, caller: Caller) -> bool | None:
        """As Remote.present_at_once(). A node that does not answer at once is not to blame."""
        if self._is_shunned:
            return None
        present = self.remote.present_at_once(key, caller=self.heard_from(caller))
        if present is not None:
            self._health.heard()
        return present

    def read_at_once(self, key: Key, offset: int, most: int, caller: Caller) -> bytes | None:
        """As Remote.read_at_once(); a download when it works."""
        if self._is_shunned:
            return None
        caller = self.heard_from(caller)
        content = self.remote.read_at_once(key, offset, most, caller=caller)
        if content is not None:
            self._health.heard()
            self._health.served += 1
        return content

    def store_at_once(
        self, key: Key, content: WholeContent, file: str, caller: Caller
    ) -> StoreResult | AlreadyPresent | ShoalError | None:
        """As Remote.store_at_once()."""
        if self._is_shunned:
            return None
        caller = self.heard_from(caller)
        answer = self.remote.store_at_once(key, content, file=file, caller=caller)
        if isinstance(answer, ShoalError):
            return self.failure(answer)
        if answer is not None:
            self._health.heard()
        return answer

    def present_soon(self, key: Key, tell: Callable[[bool | None], None], caller: Caller) -> bool:
        """As Remote.present_soon()."""
        if self._is_shunned:
            return False
        told = self.heard_from(caller)
        return self.remote.present_soon(key, self._timed(tell), caller=told)

    def read_soon(
        self,
        key: Key,
        offset: int,
        most: int,
        tell: Callable[[bytes | None], None],
        caller: Caller,
    ) -> bool:
        """As Remote.read_soon(); a download when it works."""
        if self._is_shunned:
            return False
        told = self.heard_from(caller)
        begun = self.remote.read_soon(key, offset, most, self._timed(tell), caller=told)
        self._health.served += begun
        return begun

    def _timed(self, tell: Callable[[T | None], None]) -> Callable[[T | None], None]:
        """Have an answer noted. One that does not come is not to blame: it is asked again."""
        began = self._clock()

        def heard(answer: T | None) -> None:
            if answer is not None:
                self._health.answered(self._clock() - began)
            tell(answer)

        return heard

    async def ask(
        self,
        call: Callable[[Remote], Awaitable[T]],
        *,
        limit: float | None = None,
        more: Callable[[], float] | None = None,
    ) -> T:
        """Make one call to the remote. Raises RemoteUnavailable when it fails, is too slow
        (more than `limit` seconds, by default the limit for an answer, and then as many as
        `more` gives), or is shunned."""
        self.check()
        began = self._clock()

        async def work() -> T:
            return await call(self.remote)

        self.enter()
        try:
            seconds = self.patience.limits.answer if limit is None else limit
            result = await self.patience.call(self.name, work(), seconds, more)
        except (ShoalError, OSError) as error:
            raise self.failure(error) from error
        except asyncio.CancelledError:
            if self._clock() - began >= self.patience.limits.hedge:
                self._health.failed()  # whoever asked has its answer from a quicker node
            raise
        else:
            self._health.answered(self._clock() - began)
            return result
        finally:
            await self.leave()

    async def begin_store(self, key: Key, file: str, caller: Caller) -> Upload | AlreadyPresent:
        """Ask the remote to take an upload. When this fails or is cancelled, no upload is
        left open, even if the remote agrees after that."""
        caller = self.heard_from(caller)
        uploads: list[Upload] = []
        given_up = False

        async def begin(remote: Remote) -> Upload | AlreadyPresent:
            answer = await remote.begin_store(key, file=file, caller=caller)
            if isinstance(answer, Upload):
                if given_up:
                    await answer.aclose()
                uploads.append(answer)
            return answer

        try:
            return await self.ask(begin)
        except BaseException:
            given_up = True
            for upload in uploads:
                await upload.aclose()
            raise

    async def store_whole(
        self,
        key: Key,
        content: WholeContent,
        file: str,
        caller: Caller,
        agreed: Callable[[], None],
    ) -> StoreResult | AlreadyPresent | ShoalError:
        """Have the remote store a small content.

        Raises what begin_store() raises. An error of a remote that had agreed to take the
        content is given instead.
        """
        caller = self.heard_from(caller)
        has_agreed = False

        def note() -> None:
            nonlocal has_agreed
            has_agreed = True
            agreed()

        async def store(remote: Remote) -> StoreResult | AlreadyPresent:
            return await remote.store_whole(key, content, file=file, caller=caller, agreed=note)

        def more() -> float:
            return self.patience.limits.finish if has_agreed else 0.0

        try:
            return await self.ask(store, more=more)
        except ShoalError as error:
            if not has_agreed:
                raise
            return error

    @asynccontextmanager
    async def using(
        self, call: Callable[[Remote], AbstractAsyncContextManager[T]]
    ) -> AsyncIterator[T]:
        """Enter a context of the remote, as it is."""
        self.enter()
        try:
            async with call(self.remote) as entered:
                yield entered
        finally:
            await self.leave()

    def check(self) -> None:
        """Raise RemoteUnavailable when the node is shunned."""
        if self._is_shunned:
            self._note_loss()
            raise RemoteUnavailable(self.name, "it did not answer a moment ago")

    def failure(self, error: ShoalError | OSError) -> ShoalError:
        """Note what went wrong with the node, and give it as an error to raise.

        An operating system's error is reported without the path that it names: clients have no
        business with the server's paths.
        """
        if isinstance(error, NodeTimeout):
            seconds = self._health.timed_out(self._clock())
            if not self._health.closing:
                self._probe.begin(seconds / _PROBES, _PROBES, self._health.is_back)
        elif isinstance(error, RemoteUnavailable | OSError):
            self._health.failed()
        else:
            self._health.heard()
        if isinstance(error, RemoteRefused | RemoteUnavailable | OSError):
            self._on_trouble(self.name, error)
        if isinstance(error, RemoteUnavailable | OSError):
            self._note_loss()
        if isinstance(error, OSError):
            return RemoteUnavailable(self.name, error.strerror or type(error).__name__)
        return error

    def _note_loss(self) -> None:
        if self.route is not None:
            self._lost.add(self.route.gateway)

    def enter(self, *, reading: bool = False) -> None:
        """Something begins to use the node. `leave` must follow."""
        self._health.in_flight += 1
        self._health.served += reading

    async def leave(self) -> None:
        """What used the node has ended; close the remote when that was the last and it is due."""
        self._health.in_flight -= 1
        if self._health.closing and not self._health.in_flight:
            await self.remote.aclose()

    async def aclose(self) -> None:
        """Close the remote, now or when the last transfer that uses it has ended."""
        self._probe.stop()
        if not self._health.closing:
            self._health.closing = True
            if not self._health.in_flight:
                await self.remote.aclose()
