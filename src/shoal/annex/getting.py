"""Getting contents into this repository."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shoal.annex.automatic import lacks_copies
from shoal.annex.network import is_on_this_machine
from shoal.annex.reporting import report_places, report_unreachable
from shoal.annex.reserving import Reserving
from shoal.annex.sending import explain, send
from shoal.errors import ConfigError, NotEnoughSpace, RemoteError, RemoteUnavailable

if TYPE_CHECKING:
    from shoal.annex.matching import Candidate
    from shoal.annex.network import Network
    from shoal.annex.reporting import Reporter
    from shoal.remotes.settings import RemoteSettings
    from shoal.values.key import Key


class Getting:
    """Gets keys: from one remote when `source` is given, else from whichever has them.

    `wanted`: only what is wanted here. `auto`: also what has too few copies.
    """

    def __init__(
        self,
        network: Network,
        source: RemoteSettings | None = None,
        *,
        auto: bool = False,
        wanted: bool = False,
    ) -> None:
        self._network = network
        self._session = network.session
        self._source = source
        self._auto = auto
        self._any = not (auto or wanted)
        self._room = Reserving(network.session, network.session.here)

    async def applies(self, candidate: Candidate) -> bool:
        """Tell whether there is anything to do."""
        if self._session.is_present(candidate.key):
            return False
        if self._source is not None and not await may_have(
            self._network, self._source, candidate.key
        ):
            return False
        return (
            self._any
            or (self._auto and lacks_copies(self._session, candidate))
            or await self._room.wants(candidate)
        )

    async def run(self, candidate: Candidate, reporter: Reporter) -> bool:
        """Get one key; tell whether it is here now."""
        with self._room.held(candidate.key):
            return await self._get(candidate, reporter)

    async def _get(self, candidate: Candidate, reporter: Reporter) -> bool:
        if self._source is not None:
            return await self._get_from(self._source, candidate, reporter)
        sources = self._network.with_key(candidate.key, [self._session.here])
        tried = []
        for source in sources:
            tried.append(source)
            if await self._is_likely(source, candidate.key) and await self._get_from(
                source, candidate, reporter
            ):
                return True
        places = self._session.locations(candidate.key) - {one.uuid for one in tried}
        if tried:
            report_unreachable(reporter, [one.name for one in tried])
        else:
            reporter.note("not available")
        report_places(reporter, self._session, places)
        return False

    async def _is_likely(self, source: RemoteSettings, key: Key) -> bool:
        """Tell whether it is worth while to try a remote: ask it when that is cheap."""
        if not is_on_this_machine(source):
            return True
        try:
            return await self._network.open(source).check_present(key)
        except RemoteUnavailable:
            return False

    async def _get_from(
        self, source: RemoteSettings, candidate: Candidate, reporter: Reporter
    ) -> bool:
        reporter.note(f"from {source.name}...")
        try:
            remote = self._network.open(source)
            done = await send(self._network, candidate, remote, self._network.here, reporter)
        except (RemoteError, ConfigError, NotEnoughSpace) as error:
            reporter.warning(explain(error, source))
            return False
        if not done.stored:
            reporter.warning(done.error or "failed to retrieve content from remote")
        return done.stored


async def may_have(network: Network, settings: RemoteSettings, key: Key) -> bool:
    """Tell whether a remote is logged to have a key, or has it as it says when asking is cheap."""
    if settings.uuid in await asyncio.to_thread(network.session.locations, key):
        return True
    if not is_on_this_machine(settings):
        return False
    try:
        return await network.open(settings).check_present(key)
    except RemoteUnavailable:
        return False
