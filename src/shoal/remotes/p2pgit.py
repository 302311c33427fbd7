"""git itself with a peer: what fetches and pushes say goes over a P2P session (CONNECT).

Source: git-annex's P2P protocol design page; what is said when was checked against
git-annex 10.20261026.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from shoal.errors import RemoteProtocolError, RemoteRefused
from shoal.p2p.messages import Connect, ConnectDone, Data, Error
from shoal.p2p.receiver import Chunk
from shoal.remotes.p2psocket import Peer
from shoal.transport.stdio import FdStream

_LAST_WORDS = 5.0  # seconds in which a service may end after git has


async def relay(peer: Peer, service: str, git: FdStream) -> int:
    """Let a git command, over two pipes, talk with `service` at a peer that let us in; give the
    exit code of the service; 1 when it does not end soon after the command has gone.

    Raises ConnectionError, RemoteProtocolError and RemoteRefused.
    """
    await peer.send(bytes(Connect(service.encode())))
    speaking = asyncio.create_task(_from_git(peer, git))
    listening = asyncio.create_task(_to_git(peer, git))
    try:
        await asyncio.wait({speaking, listening}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({listening}, timeout=_LAST_WORDS)
        return listening.result() if listening.done() else 1
    finally:
        for task in (speaking, listening):
            task.cancel()
        await asyncio.gather(speaking, listening, return_exceptions=True)


async def _from_git(peer: Peer, git: FdStream) -> None:
    """Hand on what git says, until it has gone. One that has said all may still listen."""
    with suppress(ConnectionError):  # the peer has gone: who listens to it will notice
        while data := await git.receive():
            await peer.send(bytes(Data(len(data))), data)
    await git.unheard()


async def _to_git(peer: Peer, git: FdStream) -> int:
    """Hand on what the service says, until it ends."""
    while not isinstance(said := await peer.event(), ConnectDone):
        match said:
            case Chunk(data):
                await git.send(data)
            case None:
                raise ConnectionError("it ended the connection before git had ended")
            case Data():
                pass
            case Error(text):
                raise RemoteRefused(f"the peer refused: {text}")
            case _:
                raise RemoteProtocolError(f"it said {said} instead of git's answer")
    with suppress(TimeoutError):  # git-annex says it twice
        async with asyncio.timeout(_LAST_WORDS):
            while await peer.event() is not None:
                pass
    return said.code
