"""git itself over a P2P session: fetches and pushes (CONNECT), and news of refs (NOTIFYCHANGE).

git runs as for any other transport, with the repository's own hooks and settings. Source:
git-annex's P2P protocol design page.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from shoal.git.refwatch import PAUSE, RefWatch
from shoal.git.repository import Repository
from shoal.p2p.messages import ConnectDone, Data
from shoal.p2p.receiver import Chunk
from shoal.p2p.server import Event
from shoal.transport.stdio import ProcessStream
from shoal.transport.stream import ByteStream

_LAST_WORDS = 2.0  # seconds in which a client may end by itself when git has ended


class GitService:
    """What one connection gets of the git repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._watch: RefWatch | None = None
        self._untold: deque[str] = deque()

    async def change(self) -> str | None:
        """Give the new value of a ref that changed since the first call, if there is one that
        was not given yet; wait for a moment before looking. Raises GitError.

        They are given one by one: git-annex fetches only when it knows none of the objects that
        it is told of at once.
        """
        if self._watch is None:
            self._watch = await asyncio.to_thread(RefWatch, self._repository)
        if not self._untold:
            await asyncio.sleep(PAUSE)
            self._untold.extend(await asyncio.to_thread(self._watch.changes))
        return self._untold.popleft() if self._untold else None

    async def relay(
        self, service: bytes, event: Callable[[], Awaitable[Event]], client: ByteStream
    ) -> None:
        """Let the client talk with `service`, a name of git's, until that ends.

        `event` gives what the client says. Raises OSError when git cannot be run, and
        ConnectionError when the client has gone.
        """
        env = {name: value for name, value in os.environ.items() if name != "GIT_PROTOCOL"}
        words = ["git", os.fsdecode(service).removeprefix("git-"), self._repository.path]
        async with await ProcessStream.start(words, env=env) as git:
            listening = asyncio.create_task(_to_git(event, git))
            try:
                while data := await git.receive():
                    await client.send(bytes(Data(len(data))) + data)
                await client.send(bytes(ConnectDone(await git.wait())))
                # To close while bytes of the client are unread would reset the connection.
                await asyncio.wait({listening}, timeout=_LAST_WORDS)
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)


async def _to_git(event: Callable[[], Awaitable[Event]], git: ProcessStream) -> None:
    """Hand on what the client says, until it says or lets see that this was all."""
    while isinstance(said := await event(), Data | Chunk):
        if isinstance(said, Chunk):
            with suppress(ConnectionError):  # git has ended: the client will hear
                await git.send(said.data)
    git.end_sending()
