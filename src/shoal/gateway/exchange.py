"""Exchanging the git-annex branch with one other gateway of a cluster, by git.

The branch is pushed to synced/git-annex there, as git-annex itself does when it syncs; whoever
is there merges it. What is pushed is remembered as a tree: merges of merges, that change no
file, would go to and fro for ever.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from shoal.errors import ShoalError
from shoal.git.process import clean_environment
from shoal.remotes.settings import RemoteSettings, configured_remotes

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_BRANCH: Final = "refs/heads/git-annex"
_SYNCED: Final = "refs/heads/synced/git-annex"
_MOST_PATIENCE: Final = 120.0  # seconds for one push or fetch
_DECLINED: Final = "hook declined"  # what git says of a push that a hook refused
_FROM_THERE: Final = "remote: "


class ShareFailed(ShoalError):
    """The git-annex branch could not be exchanged with another gateway."""

    def __init__(self, remote: str, cause: str) -> None:
        super().__init__(f'cannot share the git-annex branch with remote "{remote}": {cause}')


class ShareRefused(ShareFailed):
    """The other gateway does not want this branch as it is, as with annex.cluster-lockdown."""


def gateways_to_tell(repository: Repository) -> list[RemoteSettings]:
    """Give the other gateways with which a repository shares its branch."""
    config = repository.config
    if not config.get_bool("shoal.share-log", True):
        return []
    return [
        remote
        for remote in configured_remotes(config, repository.path)
        if remote.cluster_gateways and remote.sync and not remote.ignore
    ]


def may_push(repository: Repository, gateway: RemoteSettings) -> bool:
    """Tell whether git config lets the branch be pushed to a gateway."""
    return not gateway.read_only and _may(repository, gateway, "push")


def _may(repository: Repository, gateway: RemoteSettings, what: str) -> bool:
    return repository.config.remote(gateway.name).get_bool(f"annex-{what}", True)


class Exchange:
    """The branch of one repository, as others have it and as they get it."""

    def __init__(self, repository: Repository, freshen: Callable[[], Awaitable[None]]) -> None:
        """`freshen` notices changes of the repository, and merges what was pushed to it."""
        self._repository = repository
        self._freshen = freshen
        self._tree = ("", "")  # the branch's tip and its tree

    async def tree(self) -> str:
        """Give the tree of the branch, "" when there is none."""
        tip = self._repository.branch.tip or ""
        if tip != self._tree[0]:
            words = ("rev-parse", f"{tip}^{{tree}}")
            self._tree = tip, await asyncio.to_thread(self._repository.git.line, *words)
        return self._tree[1]

    async def fetch(self, gateway: RemoteSettings) -> None:
        """Get the other's branch, and merge it."""
        if _may(self._repository, gateway, "pull"):
            there = f"refs/remotes/{gateway.name}"
            words = (f"+{_BRANCH}*:{there}/git-annex*", f"+{_SYNCED}*:{there}/synced/git-annex*")
            await self._git(gateway, "fetch", "--no-tags", gateway.name, *words)
            await self._freshen()

    async def push(self, gateway: RemoteSettings, shared: str) -> str:
        """Give the other our branch, unless its tree is `shared`; give the tree that it has now.

        When it has something that we have not, that comes first.
        """
        tree = await self.tree()
        if tree == shared or not may_push(self._repository, gateway):
            return tree
        try:
            await self._push(gateway)
        except ShareRefused:
            raise
        except ShareFailed:
            await self.fetch(gateway)
            tree = await self.tree()
            await self._push(gateway)
        return tree

    async def _push(self, gateway: RemoteSettings) -> None:
        await self._git(gateway, "push", gateway.name, f"{_BRANCH}:{_SYNCED}")

    async def _git(self, gateway: RemoteSettings, *words: str) -> None:
        """Run git, which may have to reach another machine, with an end to its time."""
        git = self._repository.git.with_environment(GIT_TERMINAL_PROMPT="0", LC_ALL="C")
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
            raise _failure(gateway.name, said.decode("utf-8", "replace"))


def _failure(remote: str, said: str) -> ShareFailed:
    """Give the error for what git said."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if any(_DECLINED in line for line in lines):
        there = [line.removeprefix(_FROM_THERE) for line in lines if line.startswith(_FROM_THERE)]
        return ShareRefused(remote, " ".join(there) or "a hook there declined it")
    return ShareFailed(remote, lines[-1].removeprefix("fatal: ") if lines else "git said nothing")
