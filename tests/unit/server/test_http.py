"""Connections: what is too much, too slow or no HTTP at all, and what stays of them: nothing."""

from __future__ import annotations

import asyncio

import pytest

from shoal.server.http import Server
from shoal.server.options import Limits
from tests.support.loop import in_loop, pass_time
from tests.support.memory_remote import MemoryRemote
from tests.support.served import read_answer, request_bytes, serving

_TWO_LENGTHS = b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\n" + _TWO_LENGTHS, 400),
    ],
)
@in_loop
async def test_what_is_refused(request_text: bytes, status: int) -> None:
    async with serving(MemoryRemote()) as server:
        reader, writer = await server.connect()
        writer.write(request_text)
        answer = await read_answer(reader)
        assert answer.status == status
        assert answer.body in {
            b"this is no HTTP request",
            b"the request line or a header is too long",
        }
        assert await reader.read() == b""


@in_loop
async def test_long_names_are_not_too_long() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    name = "%C3%A9" * 4000 + ".txt"
    async with serving(remote) as server:
        answer = await server.get(key, associatedfile=name)
        assert answer.body == b"hello"
    assert remote.files == ["é" * 4000 + ".txt"]


@pytest.mark.parametrize("sent", [b"", b"POST /git-annex", b"GET / HTTP/1.1\r\nHost:"])
@in_loop
async def test_a_request_that_does_not_come_is_not_waited_for(sent: bytes) -> None:
    async with serving(MemoryRemote(), limits=Limits(idle=0.1)) as server:
        reader, writer = await server.connect()
        writer.write(sent)
        assert await reader.read() == b""


@in_loop
async def test_an_idle_connection_is_closed() -> None:
    async with serving(MemoryRemote(), limits=Limits(idle=20)) as server:
        reader, writer = await server.connect()
        writer.write(request_bytes("POST", server.path("gettimestamp")))
        assert (await read_answer(reader)).status == 200
        await pass_time(25)
        assert await reader.read() == b""


@in_loop
async def test_requests_one_after_another_on_one_connection() -> None:
    remote = MemoryRemote()
    async with serving(remote) as server:
        reader, writer = await server.connect()
        for number in range(100):
            remote.clock = number
            writer.write(request_bytes("POST", server.path("gettimestamp"), b"ignored"))
            assert (await read_answer(reader)).body == b'{"timestamp":%d}' % number


@in_loop
async def test_requests_cut_anywhere() -> None:
    async with serving(MemoryRemote()) as server:
        reader, writer = await server.connect()
        for byte in request_bytes("POST", server.path("gettimestamp")):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await read_answer(reader)).status == 200


@in_loop
async def test_an_upgrade_is_not_taken() -> None:
    async with serving(MemoryRemote()) as server:
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        answer = await server.ask("POST", server.path("gettimestamp"), b"", headers)
        assert answer.status == 200


class _Transport(asyncio.Transport):
    """Where nothing goes."""

    max_size = 1

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def close(self) -> None:
        pass


@in_loop
async def test_much_is_read_at_once_only_while_much_comes() -> None:
    async with serving(MemoryRemote()) as server:
        connection = Server(server.app, Limits())()
        transport = _Transport()
        connection.connection_made(transport)
        connection.data_received(b"POST /git-annex HTTP/1.1\r\nHost: x\r\n")
        few = transport.max_size
        connection.data_received(b"Transfer-Encoding: chunked\r\n\r\n20000\r\n" + bytes(few))
        assert transport.max_size > few
        connection.data_received(bytes(0x20000 - few) + b"\r\n")
        assert transport.max_size > few
        connection.data_received(b"0\r\n\r\n")
        assert transport.max_size == few
        connection.connection_lost(None)
