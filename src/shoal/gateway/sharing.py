"""Telling the other gateways of a cluster what changed in the git-annex branch.

What one gateway stored or removed the others know seconds later: the branch is pushed to the
gateways that git config names (remote.X.annex-cluster-gateway), see exchange.py. After a split of
the network all converge, since merging takes the newest of each line, in any order.

Who cannot be reached is tried again, at ever longer intervals. Who refuses the branch is told
again when there is a new commit.

Git config: `shoal.share-log` (default true), and for each remote annex-sync, annex-pull,
annex-push, annex-readonly and annex-ignore, as for `git annex sync`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.gateway.exchange import Exchange, ShareRefused, gateways_to_tell, may_push

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.remotes.settings import RemoteSettings


@dataclass(frozen=True, slots=True)
class Pace:
    """How often something is done, in seconds."""

    look: float = 1.0  # at our own branch
    fetch: float = 60.0  # from a gateway that tells nothing: it may be unable to push to us
    first_wait: float = 2.0  # after a failure; doubled with each that follows
    longest_wait: float = 300.0


@dataclass(slots=True)
class _Peer:
    """What is known of another gateway."""

    shared: str = ""  # the tree of the branch that it has for sure
    refused: str = ""  # the commit that it did not want
    fetch_at: float = 0.0
    not_before: float = 0.0
    failures: int = 0
    task: asyncio.Task[None] | None = None


class LogSharing:
    """Shares the branch of one repository from now on, in tasks of its own."""

    def __init__(
        self,
        repository: Repository,
        freshen: Callable[[], Awaitable[None]],
        complain: Callable[[Exception], None],
        *,
        pace: Pace | None = None,
    ) -> None:
        """`freshen` notices changes of the repository, and merges what was pushed to it.
        `complain` hears once of a gateway that cannot be reached, or refuses."""
        self._repository = repository
        self._freshen = freshen
        self._complain = complain
        self._pace = pace or Pace()
        self._peers: dict[str, _Peer] = {}
        self._known: tuple[int, list[RemoteSettings]] = (-1, [])
        self._exchange = Exchange(repository, freshen)
        self._task = asyncio.create_task(self._run(), name="share the git-annex branch")

    async def aclose(self) -> None:
        """Stop. What was not shared is when somebody shares again."""
        tasks = [self._task, *(peer.task for peer in self._peers.values() if peer.task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            with suppress(ShoalError, OSError):  # whoever makes a request hears of it
                await self._freshen()
                await self._look()
            await asyncio.sleep(self._pace.look)

    @property
    def _tip(self) -> str:
        return self._repository.branch.tip or ""

    async def _look(self) -> None:
        """Begin what is due with each gateway."""
        generation = self._repository.config.generation
        if generation != self._known[0]:  # reading them may run commands that are configured
            self._known = generation, await asyncio.to_thread(gateways_to_tell, self._repository)
        gateways = self._known[1]
        tree = await self._exchange.tree() if gateways else ""
        now = time.monotonic()
        for gateway in gateways:
            peer = self._peers.setdefault(gateway.name, _Peer(fetch_at=now))
            busy = peer.task is not None and not peer.task.done()
            due = peer.fetch_at <= now or (tree != peer.shared and self._tip != peer.refused)
            if due and not busy and now >= peer.not_before:
                task = self._share(gateway, peer)
                peer.task = asyncio.create_task(task, name=f"share with {gateway.name}")

    async def _share(self, gateway: RemoteSettings, peer: _Peer) -> None:
        try:
            if peer.fetch_at <= time.monotonic():
                await self._exchange.fetch(gateway)
                peer.fetch_at = time.monotonic() + self._pace.fetch
            if self._tip != peer.refused:
                peer.shared = await self._exchange.push(gateway, peer.shared)
                peer.refused = ""
        except ShareRefused as error:
            if not peer.refused:
                self._complain(error)
            peer.refused = self._tip
        except (ShoalError, OSError) as error:
            wait = self._pace.first_wait * 2 ** min(peer.failures, 16)
            peer.not_before = time.monotonic() + min(wait, self._pace.longest_wait)
            peer.failures += 1
            if peer.failures == 1:
                self._complain(error)
        else:
            peer.failures = 0


async def share_once(repository: Repository) -> None:
    """Tell the other gateways of what is in the branch now; one that cannot be told now is told
    with the next change. Blocks at times."""

    async def freshen() -> None:
        await asyncio.to_thread(repository.refresh)

    exchange = Exchange(repository, freshen)

    async def tell(gateway: RemoteSettings) -> None:
        with suppress(ShoalError, OSError):
            await exchange.push(gateway, await asyncio.to_thread(_known_there, repository, gateway))

    await asyncio.gather(*map(tell, gateways_to_tell(repository)))


def needs_sharing(repository: Repository) -> bool:
    """Tell whether another gateway may lack what is in the branch, by what is known here."""
    tip = repository.branch.tip
    if not tip:
        return False
    tree = repository.git.line("rev-parse", f"{tip}^{{tree}}")
    return any(
        may_push(repository, gateway) and _known_there(repository, gateway) != tree
        for gateway in gateways_to_tell(repository)
    )


def _known_there(repository: Repository, gateway: RemoteSettings) -> str:
    """Give the tree that was pushed to a gateway last, "" when that is not known."""
    ref = f"refs/remotes/{gateway.name}/synced/git-annex^{{tree}}"
    status, found, _ = repository.git.ask("rev-parse", "--verify", "--quiet", ref)
    return found.decode().strip() if status == 0 else ""
