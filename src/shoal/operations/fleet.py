"""A cluster's nodes, opened to work on them, and the other repositories that hold copies.

Everything is asked as the gateway asks its nodes: in time, and a node that does not answer is
left alone for a while. What was configured may change during a long run: refresh() before each
key sees to it that decisions are made by what holds then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from shoal.annex.network import Network
from shoal.errors import ConfigError, NoSuchRemote, ShoalError
from shoal.gateway import select
from shoal.gateway.node import Node
from shoal.gateway.patience import NodeTimeout, Patience, uninterrupted
from shoal.gateway.proxied import ProxiedRemote
from shoal.gateway.records import RepositoryRecords
from shoal.gateway.served import Glance, limits_of
from shoal.logs.trust import TrustLevel
from shoal.remotes.base import NOBODY, Caller, Remote, RemoteInfo
from shoal.remotes.settings import RemoteSettings
from shoal.remotes.unusable import UnusableRemote

if TYPE_CHECKING:
    from shoal.annex.session import Session
    from shoal.git.reposizes import Reservation
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

_COMMIT_AFTER = 250  # changes; with a long journal every look at it takes longer


class Fleet(Network):
    """The nodes of one cluster, and everything else that their gateway can reach.

    Use it with `async with`. `make_session` gives a new session of the gateway's repository:
    one at once, and one whenever something was configured anew.
    """

    def __init__(
        self, make_session: Callable[[], Session], nodes: Sequence[RemoteSettings]
    ) -> None:
        """`nodes` are the cluster's, as the gateway reaches them."""
        super().__init__(make_session())
        self._make_session = make_session
        self._old_sessions: list[Session] = []
        self._members = {one.uuid: one for one in reversed(nodes) if one.uuid is not None}
        repository = self.session.repository
        self.patience = Patience(limits_of(repository.config))
        self._records = RepositoryRecords(repository, self._count_change)
        self._nodes: dict[UUID, Node] = {}
        self._glance = Glance(repository)
        self._looking = asyncio.Lock()
        self._basis = self._what_holds()
        self._uncommitted = 0

    # Who is there

    def settings_of(self, uuid: UUID) -> RemoteSettings:
        """Give how a repository is reached: as a node, or by the cheapest remote that there is.

        Raises NoSuchRemote.
        """
        if uuid in self._members:
            return self._members[uuid]
        for settings in self.usable:
            if settings.uuid == uuid:
                return settings
        raise NoSuchRemote(self.name(uuid))

    def node(self, uuid: UUID) -> Node:
        """Give a repository ready for use. Raises NoSuchRemote."""
        if uuid not in self._nodes:
            if uuid == self.session.here:
                remote: Remote = self.here
            else:
                remote = self._opened_remote(self.settings_of(uuid), uuid)
            self._nodes[uuid] = Node(remote, self.patience)
        return self._nodes[uuid]

    def name(self, uuid: UUID) -> str:
        """Give what people here call a repository."""
        if uuid in self._members:
            return self._members[uuid].name
        names = self.session.names
        return names.remote_name(uuid) or names.description(uuid) or uuid

    def holders(self, key: Key, without: Collection[UUID] = ()) -> list[Node]:
        """Give the repositories to read `key` from: those that are logged to have it and can
        be reached from here, the best first. Dead ones and clusters are left out."""
        uuids = self.session.places(key)
        nodes: dict[UUID, Node] = {}
        for uuid in (*uuids.counted, *uuids.untrusted):
            if uuid not in without and self.session.trust(uuid) is not TrustLevel.DEAD:
                with suppress(NoSuchRemote):
                    nodes[uuid] = self.node(uuid)
        order = select.for_reading([node.state for node in nodes.values()], nodes.keys())
        return [nodes[uuid] for uuid in order]

    def open(self, settings: RemoteSettings) -> Remote:
        """Give a remote for a drop proof, whose calls end in time and are recorded here.

        Raises ConfigError when its UUID is not known.
        """
        if settings.uuid is None:
            raise ConfigError(f'the UUID of the remote "{settings.name}" is not known')
        return self.remote(settings.uuid)

    def remote(self, uuid: UUID) -> Remote:
        """Give a repository as open() does. Raises NoSuchRemote."""
        return _TimedRemote(self.node(uuid), self.session.here, self._records)

    def _opened_remote(self, settings: RemoteSettings, uuid: UUID) -> Remote:
        try:
            return super().open(settings)
        except ConfigError as error:
            return UnusableRemote(RemoteInfo(uuid, settings.name, settings.cost), str(error))

    # What is known

    async def refresh(self) -> None:
        """Notice what others changed in the gateway's repository."""
        if self._glance.is_fresh():
            return
        async with self._looking:
            await asyncio.to_thread(self._look)

    def _look(self) -> None:
        self._glance.refresh()
        holds = self._what_holds()
        if holds != self._basis:
            self._old_sessions.append(self.session)  # another key may still be asking it
            self.session, self._basis = self._make_session(), holds

    def _what_holds(self) -> tuple[object, ...]:
        """Give all that a session keeps and that decides how many copies must stay."""
        logs = self.session.logs
        return (
            self.session.repository.config.generation,
            logs.numcopies(),
            logs.mincopies(),
            logs.trusts(),
            logs.required(),
        )

    async def record(
        self, key: Key, *, present: Iterable[UUID] = (), missing: Iterable[UUID] = ()
    ) -> None:
        """Put into the gateway's location log what repositories themselves said."""
        there, gone = tuple(present), tuple(missing)
        if there or gone:
            await uninterrupted(asyncio.to_thread(self._records.record, key, there, gone))

    @asynccontextmanager
    async def reserving(self, key: Key, nodes: Sequence[UUID]) -> AsyncIterator[frozenset[UUID]]:
        """Reserve room for `key` in those of `nodes` that have it, and give these. What was not
        settled by record() at the end is given up."""
        reserved = await asyncio.to_thread(self._reserve, key, nodes)
        try:
            yield frozenset(nodes) if reserved is None else frozenset(reserved)
        finally:
            for one in (reserved or {}).values():
                await asyncio.to_thread(one.cancel)

    def _reserve(self, key: Key, nodes: Sequence[UUID]) -> dict[UUID, Reservation] | None:
        """Give the reservations; None when nothing depends on sizes."""
        preferences = self.session.preferences
        if not preferences.counts_sizes(nodes):
            return None
        with preferences.sizes.deciding() as decision:
            return {
                node: decision.reserve(node, key)
                for node in nodes
                if preferences.has_room(node, key)
            }

    async def commit(self, *, always: bool = False) -> None:
        """Commit what is journalled here and in the nodes, if that is much, or `always`."""
        if not always and self._uncommitted < _COMMIT_AFTER:
            return
        self._uncommitted = 0
        await asyncio.to_thread(self.session.repository.branch.commit)
        for remote in list(self._changed):
            with suppress(ShoalError):  # it is in their journal, and committed later
                await self.patience.call(
                    remote.info.name, remote.commit(), self.patience.limits.stall
                )

    def _count_change(self) -> None:
        self._uncommitted += 1

    async def aclose(self) -> None:
        """Commit what changed, here and in the nodes, and close everything."""
        with suppress(ShoalError):
            await self.commit(always=True)
        for session in (*self._old_sessions, self.session):
            session.close()
        await self.patience.aclose()
        await super().aclose()


class _TimedRemote(ProxiedRemote):
    """A node as it is used for drop proofs: a lock, too, is taken in time."""

    def __init__(self, node: Node, gateway: UUID, records: RepositoryRecords) -> None:
        super().__init__(node, gateway, records)
        self._own_node = node

    def lock_content(
        self, key: Key, *, caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[None]:
        return self._locked(key, caller)

    @asynccontextmanager
    async def _locked(self, key: Key, caller: Caller) -> AsyncIterator[None]:
        """The lock is taken, kept and released in a task of its own, so that a node that
        hangs can be left behind."""
        context = super().lock_content(key, caller=caller)
        taken, over = asyncio.Event(), asyncio.Event()

        async def keep() -> None:
            async with context:
                taken.set()
                await over.wait()

        patience = self._own_node.patience
        self._own_node.check()
        task = asyncio.create_task(keep(), name=f"lock on {self.info.name}")
        try:
            waiting = asyncio.ensure_future(taken.wait())
            await asyncio.wait(
                {task, waiting},
                timeout=patience.limits.answer,
                return_when=asyncio.FIRST_COMPLETED,
            )
            waiting.cancel()
        except BaseException:
            await patience.dismiss(task)
            raise
        try:
            if task.done():
                try:
                    task.result()  # raises why it was not locked
                except (ShoalError, OSError) as error:
                    raise self._own_node.failure(error) from error
            if not taken.is_set():
                raise self._own_node.failure(NodeTimeout(self.info.name, "it did not lock in time"))
            yield
        finally:
            over.set()
            await asyncio.wait({task}, timeout=patience.limits.answer)
            await patience.dismiss(task)
