"""Dropping contents, from this repository or from a remote: only with a drop proof."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from shoal.annex.automatic import can_spare_copy, lets_go, requires
from shoal.annex.proof import DropProof, Needed, removal_deadline
from shoal.annex.reporting import report_refusal
from shoal.annex.sending import explain, record
from shoal.annex.transfer import Transfer
from shoal.annex.verifying import CopySource, DropRefused, HereSource, RemoteSource, drop_proof
from shoal.annex.waiting import to_the_end
from shoal.errors import ConfigError, ContentLocked, RemoteError, ShoalError
from shoal.git.clock import monotonic
from shoal.git.objects import ContentAbsent
from shoal.logs.trust import TrustLevel
from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.annex.matching import Candidate
    from shoal.annex.network import Network
    from shoal.annex.reporting import Reporter
    from shoal.remotes.base import Remote
    from shoal.remotes.settings import RemoteSettings
    from shoal.values.key import Key

_REQUIRED = "That file is required content. It cannot be dropped!"
_FORCE_REQUIRED = "(Use --force to override this check, or adjust required content configuration.)"


class Dropping:
    """Drops keys from `target`, a remote, or from this repository when that is None.

    `auto`: only what is not wanted there and has more copies than it must have. `force`: do
    without a proof, and drop what is required; content that others lock still stays.
    """

    def __init__(
        self,
        network: Network,
        target: RemoteSettings | None = None,
        *,
        auto: bool = False,
        force: bool = False,
    ) -> None:
        self._network = network
        self._session = network.session
        self._target = target
        self._auto = auto
        self._force = force
        self.where: UUID = _uuid(target) if target is not None else self._session.here

    async def applies(self, candidate: Candidate) -> bool:
        """Tell whether there is anything to do."""
        if self._target is None and not self._session.is_present(candidate.key):
            return False
        return not self._auto or (
            can_spare_copy(self._session, self.where, candidate)
            and lets_go(self._session, self.where, candidate)
            and (self._target is None or self._is_logged(candidate.key))
        )

    def _is_logged(self, key: Key) -> bool:
        return self.where in self._session.locations(key)

    async def run(self, candidate: Candidate, reporter: Reporter) -> bool:
        """Drop one key; tell whether it is gone now.

        Raises ContentLocked when somebody else keeps the content of this repository.
        """
        if self._target is not None:
            reporter.note(f"from {self._target.name}...")
        if not may_drop(self._network, candidate, self.where, reporter, force=self._force):
            return False
        needed = None if self._force else self._session.copies.of_key(candidate.key, candidate.path)
        try:
            return await self.drop(candidate, needed, reporter)
        except DropRefused as refused:
            report_refusal(reporter, self._session, candidate.key, refused, besides=[self.where])
            return False

    async def drop(
        self,
        candidate: Candidate,
        needed: Needed | None,
        reporter: Reporter,
        first: Collection[RemoteSettings] = (),
    ) -> bool:
        """Drop one key when `needed` copies are left (None: without a proof).

        `first` are remotes to ask for their copy besides those that are logged to have one.
        Raises DropRefused; ContentLocked.
        """
        if self._target is None:
            return await self._drop_here(candidate, needed, reporter, first)
        return await self._drop_remotely(self._target, candidate.key, needed, reporter)

    async def _drop_here(
        self,
        candidate: Candidate,
        needed: Needed | None,
        reporter: Reporter,
        first: Collection[RemoteSettings],
    ) -> bool:
        key, objects = candidate.key, self._session.repository.objects
        await self._fill_trash(key)
        try:
            removal = await asyncio.to_thread(objects.lock_removal, key)
        except ContentAbsent:
            await record(self._network, key, {self.where: False})
            return True
        try:
            if needed is None:
                await self._remove_here(key, removal.remove)
                return True
            sources = copy_sources(self._network, key, self.where, first)
            trusted = trusted_copies(self._network, key, self.where)
            async with drop_proof(key, needed, sources, trusted, here=True) as proof:
                _check_time(proof)
                await self._remove_here(key, removal.remove)
            return True
        finally:
            removal.release()

    async def _remove_here(self, key: Key, remove: Callable[[], None]) -> None:
        """Record the removal, and do it. The content lock is held until both are done.

        In this order a crash leaves a content that nobody counts, and no false record of one.
        """

        def act() -> None:
            self._session.logs.set_location(key, self.where, False)
            try:
                remove()
            except BaseException:
                self._session.logs.set_location(key, self.where, True)
                raise

        await to_the_end(act)

    async def _fill_trash(self, key: Key) -> None:
        """Send the content to the remote that annex.trashbin names, if any."""
        name = self._session.repository.config.get("annex.trashbin")
        if not name:
            return
        trash = self._network.open(self._session.remote_named(name))
        done = await Transfer(key, self._network.here, trash, self._session.here).run()
        if not done.stored:
            raise ShoalError(f'cannot store in annex.trashbin "{name}": {done.error}')
        await record(self._network, key, {trash.info.uuid: True})

    async def _drop_remotely(
        self, target: RemoteSettings, key: Key, needed: Needed | None, reporter: Reporter
    ) -> bool:
        try:
            remote = self._network.open(target)
            if needed is None:
                return await self._remove_remotely(remote, key, None, reporter)
            sources = copy_sources(self._network, key, self.where)
            trusted = trusted_copies(self._network, key, self.where)
            async with drop_proof(key, needed, sources, trusted, here=False) as proof:
                return await self._remove_remotely(remote, key, proof, reporter)
        except (RemoteError, ConfigError) as error:
            reporter.warning(explain(error, target))
        return False

    async def _remove_remotely(
        self, remote: Remote, key: Key, proof: DropProof | None, reporter: Reporter
    ) -> bool:
        before = None
        if proof is not None and proof.expires is not None:
            their_clock = await remote.timestamp()
            before = removal_deadline(proof, their_clock, monotonic())
            _check_time(proof)
        result = await remote.remove(key, before=before)
        gone = [*([self.where] if result.removed else []), *result.removed_from]
        await record(self._network, key, dict.fromkeys(gone, False))
        if not result.removed and result.error:
            reporter.warning(result.error)
        return result.removed


def may_drop(
    network: Network, candidate: Candidate, where: UUID, reporter: Reporter, *, force: bool
) -> bool:
    """Tell whether required content allows to drop a key from a repository."""
    if force or not requires(network.session, where, candidate):
        return True
    reporter.long_note(_REQUIRED)
    reporter.long_note(_FORCE_REQUIRED)
    return False


def copy_sources(
    network: Network, key: Key, where: UUID, first: Collection[RemoteSettings] = ()
) -> list[CopySource]:
    """Give the repositories to ask for copies when `key` is to be dropped from `where`: this
    one, then the remotes that are logged to have it, the cheapest first.

    Left out are `where` itself and, when that is a cluster, its nodes; other clusters, which
    are no copies of their own; and repositories that are untrusted, or dead.
    """
    session = network.session
    without = {where, *session.logs.clusters().get(where, ())}
    locations = session.locations(key)
    sources: list[CopySource] = []
    if session.here not in without and session.here in locations:
        sources.append(HereSource(session.here, session.repository.objects))
    for settings in [*first, *network.with_key(key)]:
        uuid = _uuid(settings)
        if uuid in without or is_cluster_uuid(uuid) or uuid == session.here:
            continue
        if session.trust(uuid) in (TrustLevel.UNTRUSTED, TrustLevel.DEAD):
            continue
        if (source := _source(network, settings)) is not None:
            sources.append(source)
    return sources


def trusted_copies(network: Network, key: Key, where: UUID) -> list[UUID]:
    """Give the trusted repositories that are logged to have a key to be dropped from `where`."""
    session = network.session
    without = {where, *session.logs.clusters().get(where, ())}
    return [
        uuid
        for uuid in session.places(key).counted
        if uuid not in without and session.trust(uuid) is TrustLevel.TRUSTED
    ]


def _source(network: Network, settings: RemoteSettings) -> CopySource | None:
    try:
        return RemoteSource(network.open(settings), monotonic)
    except ConfigError:
        return None  # a kind of remote that cannot be used proves nothing


def _uuid(settings: RemoteSettings) -> UUID:
    if settings.uuid is None:
        raise ConfigError(f'the UUID of the remote "{settings.name}" is not known')
    return settings.uuid


def _check_time(proof: DropProof) -> None:
    if not proof.is_valid(monotonic()):
        raise ContentLocked("it took too long to verify copies; locks on them may have ended")
