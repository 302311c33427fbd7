"""Repositories behind peer-to-peer networks: `p2p-annex::NETWORK:ADDRESS`, `tor-annex::ONION:PORT`.

The program git-annex-p2p-NETWORK, run with the address, leads to the peer with its standard
input and output; to a hidden service it is the tor daemon of this machine. The peer serves
who knows a token. Source: git-annex's design page of generic P2P transports.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Final

from shoal.errors import ConfigError, RemoteProtocolError, RemoteUnavailable
from shoal.git.diskreserve import reserve_of
from shoal.git.p2pcreds import P2PCredentials
from shoal.p2p.messages import Auth, AuthFailure, AuthSuccess, Data, Message
from shoal.p2p.parsing import Unknown
from shoal.p2p.receiver import Chunk, Receiver
from shoal.remotes.p2pconnection import Ended, P2PConnection
from shoal.remotes.p2ppool import Bypass, kept_of
from shoal.remotes.p2pstream import P2PStreamRemote
from shoal.transport.socks import SocksRefused, socks_connect
from shoal.transport.stdio import FdStream, ProcessStream
from shoal.values.p2paddress import NetAddress, P2PAddress, TorAddress, parse_address
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.remotes.base import RemoteInfo

TOR_PROXY: Final = ("127.0.0.1", 9050)  # where tor listens, and git-annex connects
_PATIENCE: Final = 120.0  # seconds that tor has to find a hidden service


async def connect(
    address: P2PAddress, name: str, tor_proxy: tuple[str, int] = TOR_PROXY
) -> FdStream:
    """Connect to a peer; nothing is said yet. `name` is the remote's, for errors.

    Raises RemoteUnavailable.
    """
    if isinstance(address, TorAddress):
        return await _through_tor(address, name, tor_proxy)
    if shutil.which(address.program) is None:
        raise RemoteUnavailable(name, f"{address.program} is not installed in PATH")
    try:
        return await ProcessStream.start([address.program, address.address])
    except OSError as error:
        raise RemoteUnavailable(name, f"cannot run {address.program}: {error.strerror}") from error


async def _through_tor(address: TorAddress, name: str, proxy: tuple[str, int]) -> FdStream:
    where = f"{proxy[0]} port {proxy[1]}"
    try:
        async with asyncio.timeout(_PATIENCE):
            return await socks_connect(proxy, address.onion, address.port)
    except ConnectionRefusedError as error:
        raise RemoteUnavailable(
            name, f"tor is not running here: nothing listens on {where}"
        ) from error
    except SocksRefused as error:
        raise RemoteUnavailable(name, f"tor could not connect: {error}") from error
    except TimeoutError as error:
        raise RemoteUnavailable(name, "tor could not connect: it took too long") from error
    except OSError as error:
        raise RemoteUnavailable(name, f"cannot talk to tor on {where}: {error.strerror}") from error


class Dialer:
    """Opens connections to one peer."""

    def __init__(
        self, repository: Repository, address: P2PAddress, info: RemoteInfo,
        tor_proxy: tuple[str, int] = TOR_PROXY,
    ) -> None:  # fmt: skip
        self._credentials = P2PCredentials(repository)
        self._client = repository.uuid
        self._address = address
        self._info = info
        self._tor_proxy = tor_proxy

    async def __call__(self, bypass: Bypass) -> P2PConnection:
        name = self._info.name
        stream = await connect(self._address, name, self._tor_proxy)
        connection = P2PConnection(stream, self._info.uuid, name)
        token = os.fsencode(self._credentials.token_for(self._address))
        try:
            await connection.greet(bypass, Auth(self._client, token))
        except Ended as error:
            await connection.aclose()
            raise RemoteUnavailable(name, await _why(self._address, stream)) from error
        except BaseException:
            await connection.aclose()
            raise
        return connection


async def _why(address: P2PAddress, stream: FdStream) -> str:
    """Say why a connection ended before the session began."""
    status = await stream.wait() if isinstance(stream, ProcessStream) else 0
    if isinstance(address, NetAddress) and status:
        return f"{address.program} could not connect: it ended with status {status}"
    return "it ended the connection before the session began"


class Peer:
    """A connection to a peer, for what is no session of a P2PConnection."""

    def __init__(self, stream: FdStream) -> None:
        self._stream = stream
        self._receiver = Receiver()

    async def send(self, *pieces: bytes) -> None:
        """Send bytes. Raises ConnectionError when the peer has gone."""
        for piece in pieces:
            await self._stream.send(piece)

    async def event(self) -> Message | Unknown | Chunk | None:
        """Wait for a message, or for bytes that follow a Data; None when nothing more will come.

        Raises RemoteProtocolError.
        """
        while (event := self._receiver.next_event()) is None:
            data = await self._stream.receive()
            if not data:
                return None
            self._receiver.feed(data)
        if isinstance(event, Data):
            self._receiver.expect_payload(event.length)
        return event


@contextlib.asynccontextmanager
async def introduced(
    address: P2PAddress, client: UUID, token: str, tor_proxy: tuple[str, int] = TOR_PROXY
) -> AsyncIterator[tuple[Peer, UUID | None]]:
    """Connect to the peer at `address` and show it a token. Gives also which repository it is,
    None when it refuses the token.

    Raises RemoteUnavailable, also when the connection breaks while it is used.
    """
    name = str(address)
    stream = await connect(address, name, tor_proxy)
    async with stream:
        peer = Peer(stream)
        try:
            await peer.send(bytes(Auth(client, os.fsencode(token))))
            answer = await peer.event()
            if isinstance(answer, AuthSuccess | AuthFailure):
                yield peer, answer.server if isinstance(answer, AuthSuccess) else None
                return
        except (ConnectionError, RemoteProtocolError) as error:
            raise RemoteUnavailable(name, str(error)) from error
    raise RemoteUnavailable(name, await _why(address, stream))


async def ask_who(
    address: P2PAddress, client: UUID, token: str, tor_proxy: tuple[str, int] = TOR_PROXY
) -> UUID | None:
    """Ask the peer at `address` which repository it is; None when it refuses the token.

    Raises RemoteUnavailable.
    """
    async with introduced(address, client, token, tor_proxy) as (_, server):
        return server


def p2p_remote(
    repository: Repository,
    location: str,
    info: RemoteInfo,
    tor_proxy: tuple[str, int] = TOR_PROXY,
) -> P2PStreamRemote:
    """Make the remote at the address `location`. Nothing is contacted yet.

    Raises ConfigError for an address that cannot be understood.
    """
    try:
        address = parse_address(location)
    except ValueError as error:
        raise ConfigError(f'the remote "{info.name}" has a bad url: {error}') from error
    dialer = Dialer(repository, address, info, tor_proxy)
    return P2PStreamRemote(
        info,
        dialer,
        reserve=partial(reserve_of, repository),
        kept=partial(kept_of, repository.config),
    )
