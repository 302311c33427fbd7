"""Telling the other gateways of a cluster what changed in the git-annex branch.

What one gateway stored or removed the others know seconds later: the branch is pushed to the
gateways that git config names (remote.X.annex-cluster-gateway), to the branch synced/git-annex,
as git-annex itself does when it syncs. Each merges what comes. After a split of the network all
converge, since merging takes the newest of each line, in any order.

A branch is pushed only when its files changed since this gateway and the other last had the
same: merges of merges, that change no file, would go to and fro for ever.

Git config: `shoal.share-log` (default true), and for each remote annex-sync, annex-pull,
annex-push, annex-readonly and annex-ignore, as for `git annex sync`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shoal.errors import ShoalError
from shoal.git.process import clean_environment
from shoal.remotes.settings import RemoteSettings, configured_remotes

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_BRANCH: Final = "refs/heads/git-annex"
_SYNCED: Final = "refs/heads/synced/git-annex"
_MOST_PATIENCE: Final = 120.0  # seconds for one push or fetch


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
    fetch_at: float = 0.0
    not_before: float = 0.0
    failures: int = 0
    task: asyncio.Task[None] | None = None


class ShareFailed(ShoalError):
    """The git-annex branch could not be exchanged with another gateway."""

    def __init__(self, remote: str, said: str) -> None:
        lines = [line for line in said.splitlines() if line.strip()]
        cause = lines[-1].removeprefix("fatal: ") if lines else "git said nothing"
        super().__init__(f'cannot share the git-annex branch with remote "{remote}": {cause}')


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
        `complain` hears once of a gateway that cannot be reached."""
        self._repository = repository
        self._freshen = freshen
        self._complain = complain
        self._pace = pace or Pace()
        self._peers: dict[str, _Peer] = {}
        self._known: tuple[int, list[RemoteSettings]] = (-1, [])
        self._tree = ("", "")  # the branch's tip and its tree
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

    async def _look(self) -> None:
        """Begin what is due with each gateway."""
        generation = self._repository.config.generation
        if generation != self._known[0]:  # reading them may run commands that are configured
            self._known = generation, await asyncio.to_thread(self._gateways)
        gateways = self._known[1]
        tree = await self._tree_now() if gateways else ""
        now = time.monotonic()
        for gateway in gateways:
            peer = self._peers.setdefault(gateway.name, _Peer(fetch_at=now))
            busy = peer.task is not None and not peer.task.done()
            due = peer.fetch_at <= now or tree != peer.shared
            if due and not busy and now >= peer.not_before:
                task = self._exchange(gateway, peer)
                peer.task = asyncio.create_task(task, name=f"share with {gateway.name}")

    def _gateways(self) -> list[RemoteSettings]:
        config = self._repository.config
        if not config.get_bool("shoal.share-log", True):
            return []
        return [
            remote
            for remote in configured_remotes(config, self._repository.path)
            if remote.cluster_gateways and remote.sync and not remote.ignore
        ]

    async def _tree_now(self) -> str:
        """Give the tree of the branch, "" when there is none."""
        tip = self._repository.branch.tip or ""
        if tip != self._tree[0]:
            words = ("rev-parse", f"{tip}^{{tree}}")
            self._tree = tip, await asyncio.to_thread(self._repository.git.line, *words)
        return self._tree[1]

    async def _exchange(self, gateway: RemoteSettings, peer: _Peer) -> None:
        try:
            if peer.fetch_at <= time.monotonic():
                await self._fetch(gateway, peer)
            await self._push(gateway, peer)
        except (ShoalError, OSError) as error:
            wait = self._pace.first_wait * 2 ** min(peer.failures, 16)
            peer.not_before = time.monotonic() + min(wait, self._pace.longest_wait)
            peer.failures += 1
            if peer.failures == 1:
                self._complain(error)
        else:
            peer.failures = 0

    async def _fetch(self, gateway: RemoteSettings, peer: _Peer) -> None:
        """Get the other's branch, and merge it."""
        if self._may(gateway, "pull"):
            there = f"refs/remotes/{gateway.name}"
            words = (f"+{_BRANCH}*:{there}/git-annex*", f"+{_SYNCED}*:{there}/synced/git-annex*")
            await self._git(gateway, "fetch", "--no-tags", gateway.name, *words)
            await self._freshen()
        peer.fetch_at = time.monotonic() + self._pace.fetch

    async def _push(self, gateway: RemoteSettings, peer: _Peer) -> None:
        """Give the other our branch. When it has something that we have not, that comes first."""
        tree = await self._tree_now()
        if gateway.read_only or not self._may(gateway, "push"):
            peer.shared = tree
        if tree == peer.shared:
            return
        try:
            await self._git(gateway, "push", gateway.name, f"{_BRANCH}:{_SYNCED}")
        except ShareFailed:
            await self._fetch(gateway, peer)
            tree = await self._tree_now()
            await self._git(gateway, "push", gateway.name, f"{_BRANCH}:{_SYNCED}")
        peer.shared = tree

    def _may(self, gateway: RemoteSettings, what: str) -> bool:
        return self._repository.config.remote(gateway.name).get_bool(f"annex-{what}", True)

    async def _git(self, gateway: RemoteSettings, *words: str) -> None:
        """Run git, which may have to reach another machine, with an end to its time."""
        git = self._repository.git.with_environment(GIT_TERMINAL_PROMPT="0")
        process = await asyncio.create_subprocess_exec(
            *git.words(words[0], "--quiet", *words[1:]),
            env=clean_environment(git.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_MOST_PATIENCE):
                _, said = await process.communicate()
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            if isinstance(error, TimeoutError):
                raise ShareFailed(gateway.name, "it took too long") from error
            raise
        if process.returncode != 0:
            raise ShareFailed(gateway.name, said.decode("utf-8", "replace"))
