"""Connections through a SOCKS5 proxy, such as the one of the tor daemon (RFC 1928)."""

from __future__ import annotations

import asyncio
import socket
import struct

from shoal.transport.stdio import FdStream

_VERSION = 5
_NO_LOGIN = 0
_CONNECT = 1
_NAME = 3
_ADDRESS_SIZES = {1: 4, 4: 16}  # bytes, by type
_REFUSALS = {
    1: "the proxy failed",
    2: "the proxy does not allow it",
    3: "the network cannot be reached",
    4: "the host cannot be reached",
    5: "the connection was refused",
    6: "it took too long",
    7: "the proxy cannot connect",
    8: "the proxy does not know such addresses",
}


class SocksRefused(OSError):
    """The proxy answered, and did not connect."""


async def socks_connect(proxy: tuple[str, int], host: str, port: int) -> FdStream:
    """Connect to `host`, whose name the proxy resolves.

    Raises SocksRefused, and ConnectionRefusedError or another OSError without a proxy.
    """
    loop = asyncio.get_running_loop()
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        await loop.sock_connect(opened, proxy)
        await loop.sock_sendall(opened, bytes((_VERSION, 1, _NO_LOGIN)))
        if await _receive(opened, 2) != bytes((_VERSION, _NO_LOGIN)):
            raise SocksRefused("the proxy wants a login")
        name = host.encode("idna")
        head = bytes((_VERSION, _CONNECT, 0, _NAME, len(name)))
        await loop.sock_sendall(opened, head + name + struct.pack(">H", port))
        version, answer, _, kind = await _receive(opened, 4)
        if version != _VERSION or answer:
            raise SocksRefused(_REFUSALS.get(answer, f"the proxy answered {answer}"))
        size = _ADDRESS_SIZES.get(kind) or (await _receive(opened, 1))[0]
        await _receive(opened, size + 2)  # from where the proxy connected
    except BaseException:
        opened.close()
        raise
    fd = opened.detach()
    return FdStream(fd, fd)


async def _receive(opened: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await asyncio.get_running_loop().sock_recv(opened, size - len(data))
        if not more:
            raise SocksRefused("the proxy ended the connection")
        data += more
    return data
