"""Byte streams over TCP connections, and how those are made."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from shoal.transport.stdio import FdStream

_CONNECT = 30.0  # seconds to connect to a host
_NEXT_ADDRESS = 0.25  # seconds after which the host's next address is tried, too
_SHORT = 64 << 10  # bytes that are read at once: for more, the allocator would map memory

AddressInfo = tuple[int, int, int, str, tuple[str, int]]
MakeSocket = Callable[[AddressInfo], socket.socket]
"""Makes a socket for an address; raises OSError when that must not be used."""


class SocketStream(FdStream):
    """A stream over a connected socket, which it takes over."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = connected.detach()
        super().__init__(number, number)

    def receive_at_once(self) -> bytes | None:
        try:
            return os.read(self._read_fd, _SHORT)
        except BlockingIOError:
            return None
        except OSError:  # whatever broke it, nothing more will come
            return b""

    def close(self) -> None:
        """Close the connection now. May be called twice."""
        self._close(self._read_fd)


async def connect(host: str, port: int, make_socket: MakeSocket) -> SocketStream:
    """Connect to the first of a host's addresses that answers.

    Raises OSError; TimeoutError when none answers in time.
    """
    from aiohappyeyeballs import start_connection

    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_CONNECT):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if not found:
            raise OSError("the host has no address")
        return SocketStream(
            await start_connection(
                found, happy_eyeballs_delay=_NEXT_ADDRESS, socket_factory=make_socket
            )
        )
