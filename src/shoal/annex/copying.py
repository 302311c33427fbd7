"""Copying contents to remotes, or from one remote to another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.annex.automatic import lacks_copies
from shoal.annex.checking import unable_to_check
from shoal.annex.getting import may_have
from shoal.annex.network import is_on_this_machine
from shoal.annex.reserving import Reserving
from shoal.annex.sending import explain, record, send
from shoal.errors import ConfigError, NotEnoughSpace, RemoteError, ShoalError
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.annex.matching import Candidate
    from shoal.annex.network import Network
    from shoal.annex.reporting import Reporter
    from shoal.remotes.settings import RemoteSettings
    from shoal.values.key import Key


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a key came to a remote: `had` it before we sent anything, or got it now.

    `contradicted`: it said that it did not have the key and then, when it was to be sent, that
    it had. Nobody should lose a copy on that.
    """

    there: bool
    had: bool = False
    contradicted: bool = False


class Copying:
    """Copies keys to `target`: from this repository or, when `source` is given and the content
    is not here, from that remote. `anywhere`: from here, or from whichever remote has it.

    `wanted`: only what `target` wants. `auto`: also what has too few copies. `fast`: believe
    the location log instead of asking.
    """

    def __init__(
        self,
        network: Network,
        target: RemoteSettings,
        source: RemoteSettings | None = None,
        *,
        anywhere: bool = False,
        auto: bool = False,
        wanted: bool = False,
        fast: bool = False,
    ) -> None:
        self._network = network
        self._session = network.session
        self.target = target
        self.uuid = uuid_of(target)
        given = [] if source is None else [source]
        sources = network.usable if anywhere else given
        self._sources = [one for one in sources if one.uuid != self.uuid]
        self._from_here = anywhere or source is None
        self._auto = auto
        self._any = not (auto or wanted)
        self._fast = fast
        self._room = Reserving(network.session, self.uuid)

    async def applies(self, candidate: Candidate) -> bool:
        """Tell whether there is anything to do."""
        is_here = self._from_here and self._session.is_present(candidate.key)
        if not is_here and not await self._holders(candidate.key):
            return False
        if self._is_believed(candidate.key):
            return False
        return (
            self._any
            or await self._room.wants(candidate)
            or (self._auto and lacks_copies(self._session, candidate))
        )

    async def run(self, candidate: Candidate, reporter: Reporter) -> bool:
        """Copy one key; tell whether the target has it now."""
        return (await self.bring(candidate, reporter)).there

    async def bring(
        self,
        candidate: Candidate,
        reporter: Reporter,
        before_sending: Callable[[Candidate], Awaitable[None]] | None = None,
    ) -> Arrival:
        """See to it that the target has the key. `before_sending` is called when it has not."""
        with self._room.held(candidate.key):
            return await self._bring(candidate, reporter, before_sending)

    async def _bring(
        self,
        candidate: Candidate,
        reporter: Reporter,
        before_sending: Callable[[Candidate], Awaitable[None]] | None,
    ) -> Arrival:
        if not self._fast:
            try:
                remote = self._network.open(self.target)
                present = await remote.check_present(candidate.key)
            except (RemoteError, ConfigError) as error:
                reporter.note(unable_to_check(error, self.target))
                return Arrival(False)
            if present:
                await record(self._network, candidate.key, {self.uuid: True})
                return Arrival(True, had=True)
        if before_sending is not None:
            await before_sending(candidate)
        return await self._send(candidate, reporter)

    async def _send(self, candidate: Candidate, reporter: Reporter) -> Arrival:
        is_here = await asyncio.to_thread(self._session.is_present, candidate.key)
        if is_here or not self._sources:
            return await self._send_from(None, candidate, reporter)
        arrival = Arrival(False)
        for source in await self._holders(candidate.key):
            arrival = await self._send_from(source, candidate, reporter)
            if arrival.there:
                break
        return arrival

    async def _send_from(
        self, settings: RemoteSettings | None, candidate: Candidate, reporter: Reporter
    ) -> Arrival:
        """Send a key from a remote; None: from here."""
        if settings is not None:
            reporter.note(f"from {settings.name}...")
        reporter.note(f"to {self.target.name}...")
        try:
            source = self._network.here if settings is None else self._network.open(settings)
            target = self._network.open(self.target)
            done = await send(self._network, candidate, source, target, reporter)
        except ShoalError as error:
            reporter.warning(explain(error, self.target))
            if isinstance(error, NotEnoughSpace) and is_on_this_machine(self.target):
                reporter.warning("failed to send content to remote")
            return Arrival(False)
        if not done.stored and done.error:
            reporter.warning(done.error)
        contradicted = done.already and not self._fast
        return Arrival(done.stored, had=done.already, contradicted=contradicted)

    async def _holders(self, key: Key) -> list[RemoteSettings]:
        """Give the remotes to copy from that may have a key, in the order to try them."""
        return [one for one in self._sources if await may_have(self._network, one, key)]

    def _is_believed(self, key: Key) -> bool:
        return self._fast and self.uuid in self._session.locations(key)


def uuid_of(settings: RemoteSettings) -> UUID:
    """Give the UUID of a remote. Raises ConfigError when it is not known."""
    if settings.uuid is None:
        raise ConfigError(f'the UUID of the remote "{settings.name}" is not known')
    return settings.uuid
