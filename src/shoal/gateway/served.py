"""Everything that one repository serves: itself, remotes that it proxies for, and clusters.

What is served is worked out again whenever git config or the git-annex branch changed, at the
next request (see Glance). Nodes are kept, with their connections and what is known of their
health, as long as their settings stay the same; one whose settings change is closed when its last
transfer has ended.

Git config of shoal's own, for gateways:

    shoal.node-answer-time   seconds that a node has for one answer (30)
    shoal.node-stall-time    seconds for which a node may take nothing or give nothing (60)
    shoal.node-finish-time   seconds that a node has to verify and flush an upload (600)
    shoal.unwanted           what to do with content that no node wants: `all` nodes store it,
                             as with git-annex (the default), `one` does, or `none`
    shoal.full               what to do when all nodes that want a key are full: `refuse` it
                             (the default), or `store` it all the same, as with git-annex
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from shoal.errors import ConfigError, NoSuchRemote, ShoalError
from shoal.gateway.cluster import ClusterRemote
from shoal.gateway.committer import IdleCommitter
from shoal.gateway.node import Node
from shoal.gateway.pathcosts import Path, PathCosts
from shoal.gateway.patience import Limits, Patience
from shoal.gateway.proxied import ProxiedRemote
from shoal.gateway.publishing import Plan, plan_of
from shoal.gateway.records import RepositoryRecords
from shoal.gateway.select import Full, Unwanted
from shoal.remotes.base import Remote, RemoteInfo
from shoal.remotes.instantiate import Opener
from shoal.remotes.local import LocalRemote
from shoal.remotes.settings import RemoteSettings, configured_remotes
from shoal.remotes.unusable import UnusableRemote
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.gateway.sharing import LogSharing
    from shoal.git.config import GitConfig
    from shoal.git.repository import Repository

_GLANCE_HOLDS = 0.002  # seconds for which git config and branches are believed unchanged
_JOURNAL_AGE = 0.1  # seconds that may pass before another process's journal entry is seen
_JOURNAL_SHARE = 20  # times as long as looking for such entries took
_MEANWHILE = 0.1  # seconds for which the last look counts while somebody takes a new one


@dataclass(frozen=True, slots=True)
class Basis:
    """What a plan was made from."""

    config: int  # generation
    proxies: object  # kept as it is for as long as the log does not change
    clusters: object

    def is_same_as(self, other: Basis) -> bool:
        """Tell whether nothing has changed in between."""
        return (
            self.config == other.config
            and self.proxies is other.proxies
            and self.clusters is other.clusters
        )


class Glance:
    """Keeps a repository fresh, at little cost when it is asked to do so all the time.

    Git config and branches are as fresh as they were two milliseconds ago: requests that come
    together share a look. What other processes journalled and did not commit is looked for
    only now and then: listing a long journal takes time, and on a busy gateway it changes with
    every request. Who can have that done ahead of time need not wait for it.
    """

    def __init__(self, repository: Repository, clock: Callable[[], float] = time.monotonic) -> None:
        self._repository = repository
        self._clock = clock
        self._next = float("-inf")
        self._glanced_until = float("-inf")

    @property
    def is_due(self) -> bool:
        """Whether it is time to look at the journal again."""
        return self._clock() >= self._next

    def is_fresh(self, meanwhile: float = 0.0) -> bool:
        """Tell whether refresh() would find nothing, or would not have two milliseconds ago.

        `meanwhile` are seconds for which the last look counts longer, while the journal or,
        by others here, the branch is looked at. It never blocks: a few stat calls."""
        repository, now = self._repository, self._clock()
        if now >= self._next + meanwhile:
            return False
        if now < self._glanced_until:
            return True
        if repository.config.may_have_changed():
            return False
        unchanged = repository.branch.changes.seems_unchanged()
        if unchanged is None:
            return now < self._glanced_until + meanwhile
        if unchanged:
            self._glanced_until = now + _GLANCE_HOLDS
        return unchanged

    def refresh(self) -> None:
        """Notice what changed in the repository. Blocking; one thread at a time."""
        if self.is_fresh():
            return
        began = self._clock()
        self._repository.refresh()
        now = self._clock()
        self._next = now + max(_JOURNAL_AGE, _JOURNAL_SHARE * (now - began))


class Served:
    """What `repository` serves. Make it in the event loop that it is used in.

    The repository is closed with it. `complain` is told of commits that failed, and of other
    gateways that cannot be told of them; `on_trouble` of nodes that fail, with their names.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        complain: Callable[[Exception], None] = lambda e: None,
        on_trouble: Callable[[str, Exception], None] = lambda name, error: None,
        share_log: bool = False,
    ) -> None:
        """`share_log`: tell other gateways of changes of the git-annex branch meanwhile."""
        self._repository = repository
        self._complain = complain
        self._on_trouble = on_trouble
        self._loop = asyncio.get_running_loop()
        self._patience = Patience()
        self._own = LocalRemote(
            repository.path,
            repository.uuid,
            repository=repository,
            on_log_change=self._own_log_changed,
            trash=self._trash,
        )
        self._records = RepositoryRecords(repository, self._own_log_changed)
        self._opener = Opener(repository, on_log_change=self._log_changed)
        self._committers: dict[LocalRemote, IdleCommitter] = {}
        self._nodes: dict[RemoteSettings, Node] = {}
        self._costs = PathCosts(repository)
        self._retiring: set[asyncio.Task[None]] = set()
        self._trashes: dict[str, Remote] = {}
        self._remotes: dict[UUID, Remote] = {}
        self._basis: Basis | None = None
        self._glance = Glance(repository)
        self._looking = asyncio.Lock()
        self._looks = 0  # that were begun
        self._ahead: asyncio.Task[None] | None = None  # a look that nobody waits for
        self._closed = False
        self.log_has_changed = False  # here, in whatever was asked of this so far
        self._sharing: LogSharing | None = None
        if share_log:
            from shoal.gateway.sharing import LogSharing

            self._sharing = LogSharing(repository, self._freshen, complain)

    async def remote(self, uuid: UUID) -> Remote:
        """Give the remote that is served under `uuid` now.

        Raises NoSuchRemote; NotARepository when the repository itself is gone.
        """
        await self._freshen()
        try:
            return self._remotes[uuid]
        except KeyError:
            raise NoSuchRemote(uuid) from None

    def remote_at_once(self, uuid: UUID) -> Remote | None:
        """As remote(), if that takes no more than a few stat calls; else None."""
        return self._remotes.get(uuid) if self._is_fresh() else None

    async def _freshen(self) -> None:
        if not self._is_fresh():
            await self._look()

    def _is_fresh(self) -> bool:
        """Tell whether what is served is what should be. It is looked at in time, so that of
        many requests that come together not all have to wait for that."""
        if self._basis is None or not self._glance.is_fresh(_MEANWHILE):
            return False
        if self._glance.is_due and self._ahead is None and not self._closed:
            self._ahead = asyncio.create_task(self._look_ahead(), name="look ahead")
        return True

    async def _look_ahead(self) -> None:
        try:
            await self._look()
        except (ShoalError, OSError):
            pass  # a request will have to look, and be told
        finally:
            self._ahead = None

    async def aclose(self) -> None:
        """Commit what is journalled, here and in the nodes, and close everything."""
        self._closed = True
        if self._sharing is not None:
            await self._sharing.aclose()
        if self._ahead is not None:
            await self._ahead
        await self._records.aclose()
        await asyncio.gather(*(committer.aclose() for committer in self._committers.values()))
        await asyncio.gather(*self._retiring)
        await self._keep_costs()
        for node in self._nodes.values():
            await node.aclose()
        for trash in self._trashes.values():
            await trash.aclose()
        await self._opener.aclose()
        await self._patience.aclose()
        await self._own.aclose()

    # What is served

    async def _look(self) -> None:
        """Return after a look at the repository that began after this call. Requests that
        come while one is under way share the next one."""
        before = self._looks
        async with self._looking:
            if self._looks == before:
                self._looks += 1
                found = await asyncio.to_thread(self._look_for_changes)
                if found is not None:
                    await self._serve(*found)

    def _look_for_changes(self) -> tuple[Basis, Plan] | None:
        """Give what is served and what that follows from, None when nothing changed."""
        repository, known = self._repository, self._basis
        self._glance.refresh()
        logs = repository.logs
        basis = Basis(repository.config.generation, logs.all_proxies(), logs.clusters())
        if known is not None and basis.is_same_as(known):
            return None
        if known is None:
            self._costs.load()
            if repository.is_writable and repository.branch.journal.names():
                self._own_log_changed()  # somebody was killed before it was committed
        return basis, plan_of(repository)

    async def _serve(self, basis: Basis, plan: Plan) -> None:
        """Serve what `plan` says from now on."""
        self._patience.limits = limits_of(self._repository.config)
        unwanted = unwanted_of(self._repository.config)
        full = full_of(self._repository.config)
        here = self._own.info.uuid
        old, self._nodes = self._nodes, {}
        for settings in (
            *plan.proxied.values(),
            *(node for cluster in plan.clusters.values() for node in cluster.nodes),
        ):
            node = old.get(settings) or self._nodes.get(settings)
            self._nodes[settings] = node or self._open(settings)
        remotes: dict[UUID, Remote] = {here: self._own}
        for uuid, settings in plan.proxied.items():
            remotes[uuid] = ProxiedRemote(self._nodes[settings], here, self._records)
        for uuid, cluster in plan.clusters.items():
            remotes[uuid] = ClusterRemote(
                uuid,
                cluster.name,
                here,
                [self._nodes[settings] for settings in cluster.nodes],
                self._records,
                self._patience,
                unwanted=unwanted,
                full=full,
                topology=cluster.topology,
            )
        self._remotes, self._basis = remotes, basis
        for settings, node in old.items():
            if settings not in self._nodes:  # its disk may hang: nobody waits for that
                task = asyncio.create_task(self._retire(node), name=f"close {node.name}")
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)

    def _open(self, settings: RemoteSettings) -> Node:
        try:
            remote = self._opener.open(settings)
        except ShoalError as error:
            assert settings.uuid is not None  # or it would not be served
            info = RemoteInfo(settings.uuid, settings.name, settings.cost)
            remote = UnusableRemote(info, str(error))
        latency = self._costs.latency(_path(settings))
        return Node(
            remote,
            self._patience,
            via=settings.proxied_by,
            latency=latency,
            on_trouble=self._on_trouble,
        )

    async def _retire(self, node: Node) -> None:
        for remote in list(self._committers):
            if remote is node.remote:
                await self._committers.pop(remote).aclose()
        await node.aclose()

    async def _keep_costs(self) -> None:
        """Write down what was learnt of the paths to nodes."""
        learnt = {_path(settings): node.state.latency for settings, node in self._nodes.items()}
        if learnt:
            await asyncio.to_thread(self._costs.keep, learnt)

    def _trash(self, name: str) -> Remote | None:
        """Give the remote that takes what is dropped here."""
        if name not in self._trashes:
            repository = self._repository
            for settings in configured_remotes(repository.config, repository.path):
                if settings.name == name and settings.uuid is not None:
                    self._trashes[name] = self._opener.open(settings)
        return self._trashes.get(name)

    # Commits

    def _own_log_changed(self) -> None:
        self.log_has_changed = True
        self._log_changed(self._own)

    def _log_changed(self, remote: LocalRemote) -> None:
        """A journal was written to; called in threads."""
        committer = self._committers.get(remote)
        if committer is not None:
            committer.changed()
            return
        with contextlib.suppress(RuntimeError):  # a thread that outlived the event loop
            self._loop.call_soon_threadsafe(self._note_change, remote)

    def _note_change(self, remote: LocalRemote) -> None:
        if self._closed:
            return  # what is journalled is safe, and committed by whoever comes next
        if remote not in self._committers:
            commit = partial(self._commit, remote)
            self._committers[remote] = IdleCommitter(commit, complain=self._complain)
        self._committers[remote].changed()

    async def _commit(self, remote: LocalRemote) -> None:
        limits = self._patience.limits
        await self._patience.call(remote.info.name, remote.commit(), limits.stall)
        if remote is self._own:
            await self._keep_costs()


def _path(settings: RemoteSettings) -> Path:
    assert settings.uuid is not None  # or it would not be served
    return Path(settings.uuid, settings.name)


def limits_of(config: GitConfig) -> Limits:
    """Give the limits for nodes that are configured. What is no number above 0 is ignored."""
    default = Limits()

    def seconds(name: str, otherwise: float) -> float:
        configured = config.get_float(f"shoal.{name}", otherwise)
        return configured if configured > 0 else otherwise

    return replace(
        default,
        answer=seconds("node-answer-time", default.answer),
        stall=seconds("node-stall-time", default.stall),
        finish=seconds("node-finish-time", default.finish),
    )


def unwanted_of(config: GitConfig) -> Unwanted:
    """Give what is configured for content that no node wants.

    Raises ConfigError for what is no such policy: a guess could fill disks or refuse content.
    """
    configured = config.get("shoal.unwanted")
    try:
        return Unwanted.ALL if configured is None else Unwanted(configured)
    except ValueError:
        raise ConfigError(f"shoal.unwanted is {configured}: it must be all, one or none") from None


def full_of(config: GitConfig) -> Full:
    """Give what is configured for content that only full nodes want. Raises ConfigError."""
    configured = config.get("shoal.full")
    try:
        return Full.REFUSE if configured is None else Full(configured)
    except ValueError:
        raise ConfigError(f"shoal.full is {configured}: it must be refuse or store") from None
