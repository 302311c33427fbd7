"""Connecting through a SOCKS5 proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shoal.transport.socks import SocksRefused, socks_connect
from tests.support.loop import in_loop

HOST = "abc.onion"
ASKED = b"\x05\x01\x00\x03\x09abc.onion\x12\x67"


class Proxy:
    """Answers one client with what the test wants, then echoes."""

    def __init__(self, greeting: bytes, answer: bytes) -> None:
        self.greeting, self.answer = greeting, answer
        self.asked = b""

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(3) == b"\x05\x01\x00"
        writer.write(self.greeting)
        self.asked = await reader.read(100)
        writer.write(self.answer)
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[str, int]]:
        server = await asyncio.start_server(self.attend, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()
            yield host, port


@pytest.mark.parametrize(
    "bound", [b"\x01\x7f\x00\x00\x01\x00\x50", b"\x03\x02ab\x00\x50", b"\x04" + bytes(18)]
)
@in_loop
async def test_bytes_go_to_the_host(bound: bytes) -> None:
    proxy = Proxy(b"\x05\x00", b"\x05\x00\x00" + bound)
    async with proxy.running() as place, await socks_connect(place, HOST, 4711) as stream:
        await stream.send(b"hello")
        assert await stream.receive() == b"hello"
    assert proxy.asked == ASKED


@pytest.mark.parametrize(
    ("greeting", "answer", "cause"),
    [
        (b"\x05\xff", b"", "wants a login"),
        (b"\x05\x00", b"\x05\x04\x00\x01" + bytes(6), "the host cannot be reached"),
        (b"\x05\x00", b"\x05\xf0\x00\x01" + bytes(6), "answered 240"),
    ],
)
@in_loop
async def test_a_refusal(greeting: bytes, answer: bytes, cause: str) -> None:
    async with Proxy(greeting, answer).running() as place:
        with pytest.raises(SocksRefused, match=cause):
            await socks_connect(place, HOST, 4711)


@in_loop
async def test_a_proxy_that_leaves() -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(3)
        writer.close()

    async with await asyncio.start_server(leave, "127.0.0.1", 0) as server:
        with pytest.raises(SocksRefused, match="ended the connection"):
            await socks_connect(server.sockets[0].getsockname(), HOST, 4711)
