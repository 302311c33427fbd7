"""Requests over plain connections: what is taken for an answer, and which connections are kept."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shoal.transport.http_answer import HttpFailure, Piece
from shoal.transport.http_connection import QuickAnswer, parse_answer
from shoal.transport.http_plain import Body, PlainHttp, render_head
from shoal.transport.sockets import AddressInfo, SocketStream
from tests.support.gateway import free_port
from tests.support.loop import in_loop, until
from tests.support.scripted_http import Asked, Cut, ScriptedServer, answer, scripted

HEAD = b"HTTP/1.1 200 OK\r\nX: y\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
REQUEST = render_head("GET", "/git-annex/u/v4/key/K", [("Host", "x")])
BIG = os.urandom(3_000_000)


def chunked(data: bytes, size: int) -> bytes:
    """Give an answer with `data` in chunks of `size` bytes."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return CHUNKED + body + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("got", "body"),
    [
        (HEAD + b"Content-Length: 0\r\n\r\n", b""),
        (HEAD + b"content-length:  3 \r\n\r\nabc", b"abc"),
        (CHUNKED + b"0\r\n\r\n", b""),
        (CHUNKED + b"3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789"),
    ],
)
def test_answers_that_are_told(got: bytes, body: bytes) -> None:
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
        HEAD + b"Content-Length: 3\r\n\r\nabcd",
        HEAD + b"Content-Length: -3\r\n\r\n",
        CHUNKED + b"\r\n\r\n",
        CHUNKED + b"0\r\n\r\nmore",
        HEAD + b"Content-Length: 999999\r\n\r\n" + bytes(1 << 18),
    ],
)
def test_answers_that_are_not_told(got: bytes) -> None:
    with pytest.raises(ValueError, match=r"plain|length|chunk|more"):
        parse_answer(got)


class Rig:
    """Asks a server."""

    def __init__(self, port: int) -> None:
        self.plain = PlainHttp("127.0.0.1", port, self._make)
        self.told: list[QuickAnswer | None] = []
        self.sockets = 0

    def _make(self, info: AddressInfo) -> socket.socket:
        self.sockets += 1
        return socket.socket(info[0], info[1], info[2])

    async def get(
        self, head: bytes = REQUEST, body: Body = None, *, chunked: bool = False
    ) -> tuple[int, bytes]:
        async with self.plain.request(head, body, 30, chunked=chunked) as found:
            return found.status, b"".join([bytes(piece) async for piece in found.chunks()])

    async def lost(self) -> None:
        """Wait until no connection is left."""
        await until(lambda: not self.plain._all)

    def ask(self) -> bool:
        return self.plain.ask(REQUEST, self.told.append)

    async def answers(self, count: int = 1) -> list[bytes | None]:
        await until(lambda: len(self.told) >= count)
        told, self.told[:] = [*self.told], []
        return [None if one is None else one.body for one in told]


@asynccontextmanager
async def asking(server: ScriptedServer) -> AsyncIterator[Rig]:
    async with scripted(server):
        rig = Rig(server.port)
        try:
            yield rig
        finally:
            rig.plain.close()


def echo(asked: Asked) -> bytes:
    return answer(asked.target.encode())


@in_loop
async def test_a_connection_is_used_again_by_all_kinds_of_requests() -> None:
    server = ScriptedServer(echo)
    async with asking(server) as rig:
        assert not rig.ask()  # there is no connection yet
        for _ in range(2):
            assert await rig.get() == (200, b"/git-annex/u/v4/key/K")
            assert rig.ask()
            assert await rig.answers() == [b"/git-annex/u/v4/key/K"]
    assert server.connections == rig.sockets == 1
    assert rig.told == []


@in_loop
async def test_requests_at_once_have_connections_of_their_own() -> None:
    server = ScriptedServer(echo)
    async with asking(server) as rig:
        await asyncio.gather(*[rig.get() for _ in range(3)])
        assert rig.sockets == 3
        assert [rig.ask() for _ in range(4)] == [True, True, True, False]
        assert len(await rig.answers(3)) == 3


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537, len(BIG)])
@pytest.mark.parametrize("kind", ["sized", "small chunks", "large chunks", "until the end"])
@in_loop
async def test_bodies_of_all_sizes(kind: str, size: int) -> None:
    data = BIG[:size]
    replies: dict[str, bytes | Cut] = {
        "sized": answer(data),
        "small chunks": chunked(data, 8192),
        "large chunks": chunked(data, 700_000),
        "until the end": Cut(HEAD + b"\r\n" + data),
    }
    server = ScriptedServer(lambda asked: replies[kind])
    async with asking(server) as rig:
        for _ in range(2):
            assert await rig.get() == (200, data)
    assert rig.sockets == (2 if kind == "until the end" else 1)


@in_loop
async def test_what_comes_before_the_answer_is_passed_over() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    async with asking(ScriptedServer(lambda asked: early + answer(b"good"))) as rig:
        assert await rig.get() == (200, b"good")


@pytest.mark.parametrize(
    "bad",
    [
        Cut(),
        Cut(HEAD),
        Cut(HEAD + b"Content-Length: 5\r\n\r\nab"),
        Cut(CHUNKED + b"5\r\nab"),
        Cut(CHUNKED + b"2\r\nab\r\n"),
        CHUNKED + b"zz\r\n",
        b"nonsense\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
    ],
    ids=lambda bad: str(bad)[:60],
)
@in_loop
async def test_a_connection_that_gave_no_answer_is_not_used_again(bad: bytes | Cut) -> None:
    server = ScriptedServer(echo, [answer(), bad, answer(), bad])
    async with asking(server) as rig:
        await rig.get()
        with pytest.raises(HttpFailure) as caught:
            await rig.get()
        assert caught.value.disconnected is (bad == Cut())
        await rig.get()
        assert rig.sockets == 2
        assert rig.ask()
        assert await rig.answers() == [None]
        assert not rig.ask()


@in_loop
async def test_a_head_without_an_end() -> None:
    async with asking(ScriptedServer(lambda asked: HEAD + b"X: " + bytes(100_000))) as rig:
        with pytest.raises(HttpFailure, match="too long"):
            await rig.get()


@in_loop
async def test_more_than_an_answer_ends_the_connection() -> None:
    async with asking(ScriptedServer(lambda asked: answer(b"good") + b"more")) as rig:
        assert await rig.get() == (200, b"good")
        assert not rig.ask()
        assert await rig.get() == (200, b"good")
    assert rig.sockets == 2


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error"])
@in_loop
async def test_only_status_200_is_told(status: str) -> None:
    async with asking(ScriptedServer(lambda asked: answer(b"no", status))) as rig:
        assert await rig.get() == (int(status[:3]), b"no")
        assert rig.ask()
        assert await rig.answers() == [None]
        assert not rig.ask()


@in_loop
async def test_a_server_that_wants_to_close_is_asked_on_another_connection() -> None:
    server = ScriptedServer(echo, [answer(), answer(b"good", Connection="close")])
    async with asking(server) as rig:
        await rig.get()
        assert rig.ask()
        assert await rig.answers() == [b"good"]
        assert not rig.ask()
        server.script = [answer(b"good", Connection="close")]
        assert await rig.get() == (200, b"good")
        assert not rig.ask()


@in_loop
async def test_what_comes_unasked_ends_the_connection() -> None:
    unasked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"good"))
        await unasked.wait()
        writer.write(answer(b"more"))
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        rig = Rig(listener.sockets[0].getsockname()[1])
        assert await rig.get() == (200, b"good")
        unasked.set()
        await rig.lost()


@in_loop
async def test_a_server_that_closes_an_idle_connection_is_noticed() -> None:
    async with asking(ScriptedServer(script=[Cut(answer(b"good"))])) as rig:
        assert await rig.get() == (200, b"good")
        await rig.lost()
        assert not rig.ask()


@in_loop
async def test_a_body_that_is_not_read_to_its_end_ends_the_connection() -> None:
    server = ScriptedServer(lambda asked: answer(BIG))
    async with asking(server) as rig:
        async with rig.plain.request(REQUEST, None, 30) as found:
            async for _ in found.chunks():
                break
        await asyncio.wait_for(server.closed.wait(), 30)
        assert not rig.ask()


async def pieces_of(data: bytes, size: int) -> AsyncIterator[Piece]:
    """Give `data` in memory that is used again."""
    buffer = bytearray(size)
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        buffer[: len(piece)] = piece
        yield memoryview(buffer)[: len(piece)]


def posting(length: int) -> bytes:
    return render_head("POST", "/", [("Content-Length", str(length))])


@pytest.mark.parametrize("size", [1000, 1_000_000, len(BIG)])
@in_loop
async def test_a_body_is_sent_as_it_is(size: int) -> None:
    server = ScriptedServer(echo)
    async with asking(server) as rig:
        for body in (BIG, pieces_of(BIG, size)):
            assert await rig.get(posting(len(BIG)), body) == (200, b"/")
    assert [asked.body == BIG for asked in server.asked] == [True, True]
    assert rig.sockets == 1


@in_loop
async def test_an_answer_before_the_end_of_the_body_is_taken() -> None:
    refusal = answer(b"no room", "507 Insufficient Storage")
    server = ScriptedServer(lambda asked: refusal, reads_bodies=False)
    going_on = asyncio.Event()

    async def body() -> AsyncIterator[Piece]:
        yield b"abc"
        await going_on.wait()

    async with asking(server) as rig:
        assert await rig.get(posting(99), body()) == (507, b"no room")
        assert not rig.ask()
        await asyncio.wait_for(server.closed.wait(), 30)


@in_loop
async def test_a_body_that_breaks_off_ends_the_connection() -> None:
    server = ScriptedServer(echo)

    async def body() -> AsyncIterator[Piece]:
        yield b"ab"
        raise OSError("the disk")

    async with asking(server) as rig:
        with pytest.raises(HttpFailure, match="the body broke off"):
            await rig.get(posting(4), body())
        await asyncio.wait_for(server.closed.wait(), 30)
    assert server.asked == []


@in_loop
async def test_a_server_that_goes_while_a_body_is_sent() -> None:
    server = ScriptedServer(lambda asked: Cut(), reads_bodies=False)
    async with asking(server) as rig:
        for body in (BIG * 9, pieces_of(BIG * 9, 1 << 20)):
            with pytest.raises(HttpFailure, match="the connection was closed"):
                await rig.get(posting(len(BIG) * 9), body)


class HalfSent(SocketStream):
    """A stream whose peer stops listening in the middle of a request."""

    async def send(self, data: Piece) -> None:
        await super().send(data[: len(data) // 2])
        raise BrokenPipeError


@in_loop
async def test_an_answer_to_half_a_request_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """But the server waits for the rest: nothing else must be sent to it."""
    monkeypatch.setattr("shoal.transport.sockets.SocketStream", HalfSent)
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"no room", "507 Insufficient Storage"))
        await reader.read()
        ended.set()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        rig = Rig(listener.sockets[0].getsockname()[1])
        for body in (BIG, pieces_of(BIG, len(BIG))):
            assert await rig.get(posting(len(BIG)), body) == (507, b"no room")
            await asyncio.wait_for(ended.wait(), 30)
            assert not rig.ask()
            ended.clear()


@in_loop
async def test_a_cancelled_request_ends_its_connection() -> None:
    server = ScriptedServer(silent=asyncio.Event(), otherwise=echo)
    async with asking(server) as rig:
        task = asyncio.create_task(rig.get(posting(len(BIG)), pieces_of(BIG, 1 << 20)))
        await until(lambda: bool(server.asked))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not rig.ask()
        assert not rig.plain._all


@in_loop
async def test_a_silent_server_is_not_waited_for_for_ever() -> None:
    server = ScriptedServer(silent=asyncio.Event(), otherwise=echo)
    async with asking(server) as rig:
        with pytest.raises(HttpFailure, match="no answer in time"):
            async with rig.plain.request(REQUEST, None, 0.05):
                raise AssertionError("there is no answer")


@in_loop
async def test_who_waits_too_long_to_be_told_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shoal.transport.http_connection._LONGEST_TOLD", 0.05)
    monkeypatch.setattr("shoal.transport.http_plain._SWEEP", 0.02)
    server = ScriptedServer(lambda asked: HEAD, [answer()])
    async with asking(server) as rig:
        await rig.get()
        assert rig.ask()
        assert await rig.answers() == [None]
        assert not rig.ask()


@in_loop
async def test_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.transport.http_connection._IDLE", 0.05)
    monkeypatch.setattr("shoal.transport.http_plain._SWEEP", 0.02)
    server = ScriptedServer(echo)
    async with asking(server) as rig:
        await rig.get()
        await asyncio.wait_for(server.closed.wait(), 30)
        assert not rig.ask()
        await rig.get()
        assert rig.ask()
        assert await rig.answers() == [b"/git-annex/u/v4/key/K"]


@in_loop
async def test_who_waits_at_the_end_is_told() -> None:
    server = ScriptedServer(lambda asked: HEAD, [answer()])
    async with asking(server) as rig:
        await rig.get()
        assert rig.ask()
        rig.plain.close()
        assert rig.told == [None]
        assert not rig.ask()


@in_loop
async def test_a_host_that_cannot_be_reached() -> None:
    rig = Rig(free_port())
    with pytest.raises(HttpFailure, match=r"refused|[Cc]onnect"):
        await rig.get()

    def forbidden(info: AddressInfo) -> socket.socket:
        raise PermissionError("not there")

    plain = PlainHttp("localhost", free_port(), forbidden)
    with pytest.raises(HttpFailure, match="not there"):
        async with plain.request(REQUEST, None, None):
            raise AssertionError("there is no connection")


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb"])
def test_headers_have_no_lines(value: str) -> None:
    with pytest.raises(HttpFailure, match="ends of lines"):
        render_head("GET", "/", [("X", value)])
