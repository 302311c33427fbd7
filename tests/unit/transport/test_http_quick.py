"""Short HTTP requests without tasks: what is taken for an answer, and what becomes of the rest."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shoal.transport.http_quick import AddressInfo, QuickAnswer, QuickHttp, parse_answer
from tests.support.gateway import free_port
from tests.support.loop import in_loop
from tests.support.scripted_http import Cut, ScriptedServer, answer, scripted

HEAD = b"HTTP/1.1 200 OK\r\nX: y\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
REQUEST = b"GET /git-annex/u/v4/key/K HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("got", "body"),
    [
        (HEAD + b"Content-Length: 0\r\n\r\n", b""),
        (HEAD + b"content-length:  3 \r\n\r\nabc", b"abc"),
        (CHUNKED + b"0\r\n\r\n", b""),
        (CHUNKED + b"3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789"),
    ],
)
def test_whole_answers(got: bytes, body: bytes) -> None:
    found = parse_answer(got)
    assert found is not None
    assert (found.body, found.headers["x"]) == (body, "y")
    for cut in range(len(got)):
        assert parse_answer(got[:cut]) is None


@pytest.mark.parametrize(
    "got",
    [
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"nonsense",
        HEAD + b"\r\nabc",
        HEAD + b"Content-Length: 3\r\n\r\nabcd",
        HEAD + b"Content-Length: -3\r\n\r\n",
        HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
        CHUNKED + b"\r\n\r\n",
        CHUNKED + b"-3\r\nabc\r\n",
        CHUNKED + b"0x3\r\nabc\r\n",
        CHUNKED + b"3\r\nabcd\r\n",
        CHUNKED + b"0\r\nTrailer: x\r\n\r\n",
        CHUNKED + b"0\r\n\r\nmore",
        HEAD + b"Content-Length: 999999\r\n\r\n" + bytes(1 << 18),
    ],
)
def test_what_is_no_answer(got: bytes) -> None:
    with pytest.raises(ValueError, match=r"plain|length|encoding|chunk|more"):
        parse_answer(got)


class Rig:
    """Asks a scripted server."""

    def __init__(self, port: int) -> None:
        self.quick = QuickHttp("127.0.0.1", port, self._make)
        self.told: list[QuickAnswer | None] = []
        self.sockets = 0
        self.forbidden = False

    def _make(self, info: AddressInfo) -> socket.socket:
        if self.forbidden:
            raise PermissionError("not there")
        self.sockets += 1
        return socket.socket(info[0], info[1], info[2])

    def ask(self) -> bool:
        return self.quick.ask(REQUEST, self.told.append)

    async def connected(self) -> None:
        """Wait until a question is taken."""
        for _ in range(30_000):
            if self.ask():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("there is no connection")

    async def answers(self, count: int = 1) -> list[bytes | None]:
        for _ in range(30_000):
            if len(self.told) >= count:
                break
            await asyncio.sleep(0.001)
        told, self.told[:] = [*self.told], []
        return [None if one is None else one.body for one in told]


@asynccontextmanager
async def asking(server: ScriptedServer) -> AsyncIterator[Rig]:
    async with scripted(server):
        rig = Rig(server.port)
        yield rig
        await rig.quick.aclose()


@in_loop
async def test_a_connection_is_used_again() -> None:
    server = ScriptedServer(lambda asked: answer(asked.target.encode()))
    async with asking(server) as rig:
        assert not rig.ask()  # it has to be made first
        await rig.connected()
        assert await rig.answers() == [b"/git-annex/u/v4/key/K"]
        assert rig.ask()
        assert await rig.answers() == [b"/git-annex/u/v4/key/K"]
    assert server.connections == rig.sockets == 1


@pytest.mark.parametrize(
    "bad",
    [
        Cut(),
        Cut(HEAD + b"Content-Length: 5\r\n\r\nab"),
        answer(b"gone", "404 Not Found"),
        b"nonsense\r\n\r\n",
    ],
)
@in_loop
async def test_a_connection_that_gave_no_answer_is_not_used_again(bad: bytes | Cut) -> None:
    server = ScriptedServer(lambda asked: answer(b"good"), [bad])
    async with asking(server) as rig:
        await rig.connected()
        assert await rig.answers() == [None]
        assert not rig.ask()
        await rig.connected()
        assert await rig.answers() == [b"good"]
    assert server.connections == 2


@in_loop
async def test_a_server_that_wants_to_close_is_asked_on_another_connection() -> None:
    server = ScriptedServer(lambda asked: answer(b"good", Connection="close"))
    async with asking(server) as rig:
        await rig.connected()
        assert await rig.answers() == [b"good"]
        assert not rig.ask()


@in_loop
async def test_a_slow_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.transport.http_quick._LONGEST", 0.2)
    server = ScriptedServer(lambda asked: HEAD)
    async with asking(server) as rig:
        await rig.connected()
        assert await rig.answers() == [None]
        assert not rig.ask()


@in_loop
async def test_an_idle_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.transport.http_quick._IDLE", 0.05)
    server = ScriptedServer(lambda asked: answer(b"good"))
    async with asking(server) as rig:
        await rig.connected()
        assert await rig.answers() == [b"good"]
        await asyncio.sleep(0.1)
        assert not rig.ask()


@in_loop
async def test_who_waits_at_the_end_is_told() -> None:
    server = ScriptedServer(lambda asked: HEAD)
    async with asking(server) as rig:
        await rig.connected()
        await rig.quick.aclose()
        assert rig.told == [None]
        assert not rig.ask()


@in_loop
async def test_a_host_that_cannot_be_reached_is_left_alone_for_a_while() -> None:
    rig = Rig(free_port())
    for forbidden in (False, True):
        rig.forbidden = forbidden
        for _ in range(20):
            assert not rig.ask()
            await asyncio.sleep(0.005)
    assert rig.sockets == 1
    await rig.quick.aclose()
