"""Following other repositories: what changes there is fetched at once.

There is a connection to each remote that can tell of changes, over ssh or on a peer-to-peer
network, and `git fetch` is run when it tells of something that is not here. A connection that was
lost is made again, at ever longer intervals while that fails.

What happens is said in lines, each with the URI of the remote:

    CONNECTED URI           DISCONNECTED URI
    SYNCING URI             DONESYNCING URI 1      (0 when the fetch failed)
    WARNING URI TEXT

Git config: for each remote annex-sync (false: it is left alone) and annex-pull (false: nothing is
fetched). Source: git-annex's man page of remotedaemon, and what version 10.20261026 says.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shoal.annex.news import Refs, TellsNothing, listen, tells_news, uri_of
from shoal.errors import ConfigError, ShoalError
from shoal.git.process import clean_environment
from shoal.remotes.settings import RemoteSettings, configured_remotes
from shoal.remotes.ssh import SshSockets

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_OBJECT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MISSING: Final = b" missing"  # how git ends its line on an object that is not here


@dataclass(frozen=True, slots=True)
class Pace:
    """How often something is done, in seconds."""

    look: float = 10.0  # for remotes that came or went
    first_wait: float = 1.0  # until a connection is made again; doubled with each that fails
    longest_wait: float = 3600.0
    stable: float = 60.0  # a connection that held so long counts as a success


class Following:
    """Follows the remotes of one repository; `say` gets the lines. See the module."""

    def __init__(
        self, repository: Repository, say: Callable[[str], None], *, pace: Pace | None = None
    ) -> None:
        self._repository = repository
        self._say = say
        self._pace = pace or Pace()
        self._sockets = SshSockets(repository)
        self._awake = asyncio.Event()
        self._paused = False
        self._lost_network = False
        self._again = False  # also those who cannot tell of changes are to be asked again
        self._known: tuple[int, list[RemoteSettings]] = (-1, [])
        self._tasks: dict[RemoteSettings, asyncio.Task[None]] = {}

    def pause(self, *, lost_network: bool = False) -> None:
        """Close all connections, until resume(). When the network was lost, connections that
        are shared with other programs are not used any more, either."""
        self._paused = True
        self._lost_network = self._lost_network or lost_network
        self._awake.set()

    def resume(self) -> None:
        """Connect again after pause()."""
        self._again = self._again or self._paused
        self._paused = False
        self._awake.set()

    def reload(self) -> None:
        """Look soon for remotes that came, went or changed."""
        self._again = True
        self._awake.set()

    async def run(self) -> None:
        """Follow them until cancelled."""
        try:
            while True:
                self._awake.clear()
                await self._follow([] if self._paused else await asyncio.to_thread(self._remotes))
                if self._lost_network:
                    self._lost_network = False
                    await asyncio.to_thread(self._sockets.stop_all)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.look):
                        await self._awake.wait()
        finally:
            await self._follow([])
            await asyncio.to_thread(self._sockets.close)

    def _remotes(self) -> list[RemoteSettings]:
        """Give the remotes to follow. Blocks."""
        repository = self._repository
        repository.refresh_config()
        generation = repository.config.generation
        if self._again or generation != self._known[0]:  # it may run commands that are configured
            found = configured_remotes(repository.config, repository.path)
            self._known = generation, [one for one in found if one.sync and tells_news(one)]
        return self._known[1]

    async def _follow(self, remotes: list[RemoteSettings]) -> None:
        """Follow `remotes` and no others."""
        gone = [self._tasks.pop(old) for old in {*self._tasks} - {*remotes}]
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        again, self._again = self._again, False
        for remote in remotes:
            known = self._tasks.get(remote)
            if known is None or (again and known.done()):
                self._tasks[remote] = asyncio.create_task(
                    self._stay_in_touch(remote), name=f"follow {remote.name}"
                )

    async def _stay_in_touch(self, remote: RemoteSettings) -> None:
        """Listen to a remote until cancelled, or until it turns out to have nothing to tell."""
        loop = asyncio.get_running_loop()
        wait, said = self._pace.first_wait, ""
        try:
            uri = uri_of(remote)
        except ConfigError as error:
            self._say(f"WARNING {remote.name} {error}")
            return
        while True:
            began = loop.time()
            try:
                await self._listen(remote, uri)
                said = ""
            except (TellsNothing, ConfigError) as error:
                self._warn(uri, error)
                return
            except (ShoalError, OSError) as error:
                if str(error) != said:
                    said = str(error)
                    self._warn(uri, error)
            if loop.time() - began > self._pace.stable:
                wait = self._pace.first_wait
            await asyncio.sleep(wait)
            wait = min(2 * wait, self._pace.longest_wait)

    def _warn(self, uri: str, error: Exception) -> None:
        self._say(f"WARNING {uri} {' '.join(str(error).split())}")

    async def _listen(self, remote: RemoteSettings, uri: str) -> None:
        """Fetch what a remote tells of, until the connection ends."""
        async with listen(self._repository, remote, self._sockets) as news:
            self._say(f"CONNECTED {uri}")
            try:
                async for refs in news:
                    if await asyncio.to_thread(self._wants, remote, refs):
                        self._say(f"SYNCING {uri}")
                        fetched = await self._fetch(remote)
                        self._say(f"DONESYNCING {uri} {int(fetched)}")
            finally:
                self._say(f"DISCONNECTED {uri}")

    def _wants(self, remote: RemoteSettings, refs: Refs) -> bool:
        """Tell whether there may be something to fetch. Blocks."""
        if not self._repository.config.remote(remote.name).get_bool("annex-pull", True):
            return False
        names = [name for name in refs if _OBJECT.fullmatch(name)]
        if len(names) < len(refs) or not names:
            return True
        asked = "".join(f"{name}\n" for name in names).encode()
        told = self._repository.git.run("cat-file", "--batch-check", data=asked)
        return any(line.endswith(_MISSING) for line in told.splitlines())

    async def _fetch(self, remote: RemoteSettings) -> bool:
        """Run git, which tells on stderr what it got; tell whether it went well."""
        git = self._repository.git.with_environment(GIT_TERMINAL_PROMPT="0")
        process = await asyncio.create_subprocess_exec(
            *git.words("fetch", remote.name),
            env=clean_environment(git.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return await process.wait() == 0
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            await process.wait()
            raise
