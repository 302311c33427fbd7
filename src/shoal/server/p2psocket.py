"""Serve a repository to the clients that connect to a socket and know a token."""

from __future__ import annotations

import asyncio
import hmac
import os
import socket
from collections.abc import Awaitable, Callable, Iterable

from shoal.errors import ShoalError
from shoal.p2p.messages import Auth, AuthFailure, AuthSuccess
from shoal.p2p.server import End, ServerSession
from shoal.remotes.base import Remote
from shoal.remotes.spool import Reserve, usual_reserve
from shoal.server.p2p_session import serve_p2p
from shoal.server.p2pgit import GitService
from shoal.server.patience import STALL
from shoal.transport.stdio import FdStream
from shoal.transport.stream import ByteStream
from shoal.values.uuid import UUID

_SERVED = 100  # connections at a time, as with git-annex
_WAITING = 100  # connections beyond those
_LOGIN_TIME = 60.0  # seconds until a client must have shown its token
_NO_DESCRIPTORS = 1.0  # seconds until the next try when connections cannot be accepted


class SocketServer:
    """Serves what `remote` gives to clients that know one of `tokens`, which are asked for
    again for each connection. `report` is told in one sentence of what failed; `git` makes
    what serves git itself on one connection. `reserve` and `stall`: see serve_p2p()."""

    def __init__(
        self,
        remote: Callable[[], Awaitable[Remote]],
        tokens: Callable[[], Iterable[str]],
        report: Callable[[str], None] = lambda text: None,
        *,
        git: Callable[[], GitService] | None = None,
        reserve: Reserve = usual_reserve,
        stall: float = STALL,
        served: int = _SERVED,
        waiting: int = _WAITING,
    ) -> None:
        self._remote = remote
        self._tokens = tokens
        self._report = report
        self._git = git
        self._reserve = reserve
        self._stall = stall
        self._turn = asyncio.Semaphore(served)
        self._most = served + waiting
        self._clients: set[asyncio.Task[None]] = set()

    async def serve(self, listening: socket.socket) -> None:
        """Serve until cancelled; the clients' connections are then closed."""
        listening.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    client, _ = await loop.sock_accept(listening)
                except OSError as error:  # too many open files
                    self._report(f"cannot accept a connection: {error.strerror}")
                    await asyncio.sleep(_NO_DESCRIPTORS)
                    continue
                self._admit(client)
        finally:
            for task in self._clients:
                task.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    def _admit(self, client: socket.socket) -> None:
        if len(self._clients) >= self._most:
            client.close()
            self._report("dropped a connection, too busy")
            return
        fd = client.detach()
        task = asyncio.create_task(self._attend(FdStream(fd, fd)), name="serve a P2P socket")
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _attend(self, stream: FdStream) -> None:
        async with stream, self._turn:
            try:
                remote = await self._remote()
                session = ServerSession(remote.info.uuid, login=True)
                async with asyncio.timeout(_LOGIN_TIME):
                    client = await log_in(session, stream, self._tokens())
                if client is not None:
                    await self._serve(remote, stream, session, client)
            except TimeoutError:
                self._report("a client did not show a token in time")
            except (ShoalError, OSError) as error:
                self._report(str(error))

    async def _serve(
        self, remote: Remote, stream: FdStream, session: ServerSession, client: UUID
    ) -> None:
        git = self._git() if self._git is not None else None
        await serve_p2p(
            remote,
            stream,
            client=client,
            report=self._report,
            begun=(session, None),
            git=git,
            reserve=self._reserve,
            stall=self._stall,
        )


async def log_in(session: ServerSession, stream: ByteStream, tokens: Iterable[str]) -> UUID | None:
    """Wait until the client shows one of `tokens`; give what it calls itself, or None when it
    leaves before. A wrong token may be followed by the right one.

    Raises RemoteProtocolError, ConnectionError.
    """
    allowed = [os.fsencode(token) for token in tokens]
    while True:
        event = session.next_event()
        if isinstance(event, Auth):
            if _is_among(event.token, allowed):
                session.answer(AuthSuccess(session.server))
                return event.client
            session.answer(AuthFailure())
        elif isinstance(event, End):
            return None
        if output := session.take_output():
            await stream.send(output)
        if event is None:
            session.feed(await stream.receive())


def _is_among(token: bytes, allowed: Iterable[bytes]) -> bool:
    """Compare with all of them, so that the time this takes tells nothing."""
    return sum(hmac.compare_digest(token, one) for one in allowed) > 0
