"""Moving contents: sending them, and then dropping them where they were.

A move to where the key was not before changes no number of copies, so it needs no proof (but
for the one that the destination gives by storing it). In every other case the drop is proved
as any drop is. move.log lets an interrupted move of the first kind be finished as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from shoal.annex.copying import Arrival, Copying, uuid_of
from shoal.annex.dropping import Dropping, may_drop
from shoal.annex.getting import Getting, may_have
from shoal.annex.movelog import MoveLog
from shoal.annex.reporting import USE_FORCE, report_refusal
from shoal.annex.sending import record
from shoal.annex.verifying import CopySource, DropRefused, HereSource, RemoteSource
from shoal.errors import RemoteRefused
from shoal.git.clock import monotonic
from shoal.logs.trust import TrustLevel
from shoal.values.uuid import is_cluster_uuid

if TYPE_CHECKING:
    from shoal.annex.matching import Candidate
    from shoal.annex.network import Network
    from shoal.annex.proof import Needed
    from shoal.annex.reporting import Reporter
    from shoal.remotes.settings import RemoteSettings

_TRUST = (TrustLevel.DEAD, TrustLevel.UNTRUSTED, TrustLevel.SEMITRUSTED, TrustLevel.TRUSTED)


class Moving:
    """Moves keys from `source` to `target`; the one that is None is this repository."""

    def __init__(
        self,
        network: Network,
        source: RemoteSettings | None = None,
        target: RemoteSettings | None = None,
        *,
        force: bool = False,
        fast: bool = False,
    ) -> None:
        self._network = network
        self._session = network.session
        self._source = source
        self._target = target
        self._force = force
        self._copying = None if target is None else Copying(network, target, source, fast=fast)
        self._dropping = Dropping(network, source, force=force)
        self._log = MoveLog(self._session.repository)
        self._from = self._session.here if source is None else uuid_of(source)
        self._to = self._session.here if target is None else uuid_of(target)

    async def applies(self, candidate: Candidate) -> bool:
        """Tell whether there is anything to do."""
        if self._from == self._to:
            return False
        if self._source is None:
            return self._session.is_present(candidate.key)
        return await may_have(self._network, self._source, candidate.key)

    async def run(self, candidate: Candidate, reporter: Reporter) -> bool:
        """Move one key; tell whether it is at its destination, and there only."""
        arrival = await self._bring(candidate, reporter)
        if not arrival.there:
            return False
        try:
            async with self._kept(candidate, arrival):
                dropped = await self._drop(candidate, arrival, reporter)
        except DropRefused as refused:
            report_refusal(
                reporter, self._session, candidate.key, refused, besides=[self._from], advice=""
            )
            dropped = self._not_dropped(reporter)
        except RemoteRefused as error:
            reporter.warning(str(error))
            dropped = self._not_dropped(reporter)
        await self._forget(candidate)
        return dropped

    async def _bring(self, candidate: Candidate, reporter: Reporter) -> Arrival:
        """Get the key to its destination, and note in move.log when it was not there."""
        resumed = await self._is_under_way(candidate)
        if self._copying is None:
            arrival = await self._bring_here(candidate, reporter)
        else:
            arrival = await self._copying.bring(candidate, reporter, self._remember)
        if not arrival.there:
            await self._forget(candidate)
        elif arrival.had and resumed and not arrival.contradicted:
            return Arrival(True, had=False)
        return arrival

    async def _bring_here(self, candidate: Candidate, reporter: Reporter) -> Arrival:
        assert self._source is not None
        if await asyncio.to_thread(self._session.is_present, candidate.key):
            reporter.note(f"from {self._source.name}...")
            await record(self._network, candidate.key, {self._to: True})
            return Arrival(True, had=True)
        await self._remember(candidate)
        return Arrival(await Getting(self._network, self._source).run(candidate, reporter))

    async def _drop(self, candidate: Candidate, arrival: Arrival, reporter: Reporter) -> bool:
        """Drop the key at the source."""
        if not may_drop(self._network, candidate, self._from, reporter, force=self._force):
            reporter.long_note(USE_FORCE)
            return self._not_dropped(reporter)
        needed = self._needed(candidate, arrival)
        first = [self._target] if self._target is not None else []
        return await self._dropping.drop(candidate, needed, reporter, first)

    def _needed(self, candidate: Candidate, arrival: Arrival) -> Needed | None:
        """Give how many copies must be proved; None when the move makes nothing worse."""
        if self._force:
            return None
        if not arrival.had and not is_cluster_uuid(self._from) and self._is_as_good():
            return None
        return self._session.copies.of_key(candidate.key, candidate.path)

    def _is_as_good(self) -> bool:
        """Tell whether a copy at the destination is worth as much as one at the source."""
        source, target = (
            _TRUST.index(self._session.trust(uuid)) for uuid in (self._from, self._to)
        )
        return target > _TRUST.index(TrustLevel.UNTRUSTED) or target >= source

    @asynccontextmanager
    async def _kept(self, candidate: Candidate, arrival: Arrival) -> AsyncIterator[None]:
        """Keep the content at its destination while it is dropped without further proof.

        Raises RemoteRefused when it has gone already.
        """
        holder = None if arrival.had else self._destination()
        if holder is None or not holder.can_lock:
            yield
            return
        async with holder.lock(candidate.key):
            yield

    def _destination(self) -> CopySource | None:
        """Give what can be locked at the destination. A cluster cannot: it confirmed by its
        nodes that it has the key."""
        if self._target is None:
            return HereSource(self._session.here, self._session.repository.objects)
        if is_cluster_uuid(self._to) or self._source is None:
            return None
        return RemoteSource(self._network.open(self._target), monotonic)

    def _not_dropped(self, reporter: Reporter) -> bool:
        name = "here" if self._source is None else self._source.name
        reporter.long_note(f"Content not dropped from {name}.")
        return False

    async def _is_under_way(self, candidate: Candidate) -> bool:
        return await asyncio.to_thread(self._log.is_under_way, self._from, self._to, candidate.key)

    async def _remember(self, candidate: Candidate) -> None:
        await asyncio.to_thread(self._log.begin, self._from, self._to, candidate.key)

    async def _forget(self, candidate: Candidate) -> None:
        await asyncio.to_thread(self._log.end, self._from, self._to, candidate.key)
