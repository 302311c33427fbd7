"""Short questions without tasks, to our own server and to servers that misbehave."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from shoal.errors import RemoteUnavailable, ShoalError
from shoal.p2p.messages import AuthSuccess
from shoal.remotes.base import NOBODY, Caller, RemoteInfo
from shoal.remotes.p2pconnection import P2PConnection
from shoal.remotes.p2ppool import Bypass
from shoal.remotes.p2pstream import P2PStreamRemote
from shoal.server.p2p_session import serve_p2p
from shoal.transport.memory import memory_streams
from shoal.transport.stdio import FdStream
from shoal.values.key import Key
from tests.support.annexrepo import HERE
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote, key_of

MOST = 1000
SMALL = b"small content"
LARGE = bytes(MOST + 1)
ABSENT = key_of(b"absent")
GREETING = bytes(AuthSuccess(HERE))


def stream_pair() -> tuple[FdStream, FdStream]:
    ours, theirs = socket.socketpair()
    streams = []
    for end in (ours, theirs):
        number = end.detach()
        streams.append(FdStream(number, number))
    return streams[0], streams[1]


@dataclass
class Rig:
    """A remote, and the ends of its connections that servers have."""

    served: MemoryRemote | None = field(default_factory=lambda: MemoryRemote(HERE))
    version: int = 4
    ends: list[FdStream] = field(default_factory=list)
    told: list[object] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.remote = P2PStreamRemote(RemoteInfo(HERE, "node"), self._dial)

    async def _dial(self, bypass: Bypass) -> P2PConnection:
        ours, theirs = stream_pair()
        self.ends.append(theirs)
        if self.served is None:
            await theirs.send(GREETING + b"VERSION %d\n" % self.version)
        else:
            self.tasks.append(asyncio.create_task(self._serve(self.served, theirs)))
        connection = P2PConnection(ours, HERE, "node")
        await connection.greet(bypass)
        return connection

    async def _serve(self, remote: MemoryRemote, stream: FdStream) -> None:
        with suppress(ShoalError):
            await serve_p2p(remote, stream)
        await stream.aclose()

    async def hear(self, wanted: bytes, number: int = 0) -> None:
        """Wait, as a server, for what the client says."""
        heard = b""
        async with asyncio.timeout(30):
            while not heard.endswith(wanted):
                heard += await self.ends[number].receive()

    async def answers(self, count: int = 1) -> list[object]:
        """Wait for so many answers, and give them."""
        for _ in range(30_000):
            if len(self.told) >= count:
                break
            await asyncio.sleep(0.001)
        told, self.told[:] = [*self.told], []
        return told

    def present(self, key: Key, caller: Caller = NOBODY) -> bool:
        return self.remote.present_soon(key, self.told.append, caller=caller)

    def read(self, key: Key, offset: int = 0) -> bool:
        return self.remote.read_soon(key, offset, MOST, self.told.append, caller=NOBODY)


@asynccontextmanager
async def connected(rig: Rig, connections: int = 1) -> AsyncIterator[Rig]:
    """Let the remote have idle connections."""
    pool = rig.remote._pool
    lent = [await pool.take(frozenset()) for _ in range(connections)]
    for one in lent:
        await pool.give_back(one, frozenset())
    yield rig
    for end in rig.ends:
        if not rig.tasks:
            await end.aclose()
    await rig.remote.aclose()
    await asyncio.gather(*rig.tasks)


@in_loop
async def test_answers() -> None:
    async with connected(Rig()) as rig:
        assert rig.served is not None
        key, large = rig.served.put(SMALL), rig.served.put(LARGE)
        for wanted, expected in ((key, True), (ABSENT, False), (large, True)):
            assert rig.present(wanted)
            assert rig.told == []
            assert await rig.answers() == [expected]
        for offset in (0, 5, len(SMALL), len(SMALL) + 9):
            assert rig.read(key, offset)
            assert await rig.answers() == [SMALL[offset:]]
        assert rig.read(large, 1)
        assert await rig.answers() == [LARGE[1:]]
        assert not rig.read(large)
        assert await rig.remote.check_present(key)
        assert len(rig.ends) == 1


@in_loop
async def test_absent_content_is_not_told() -> None:
    async with connected(Rig()) as rig:
        assert rig.read(ABSENT)
        assert await rig.answers() == [None]
        assert rig.present(ABSENT)
        assert await rig.answers() == [False]
        assert len(rig.ends) == 1


@in_loop
async def test_changed_content_is_not_told() -> None:
    async with connected(Rig()) as rig:
        assert rig.served is not None
        key = rig.served.put(SMALL)
        rig.served.changing.add(key)
        assert rig.read(key)
        assert await rig.answers() == [None]


@in_loop
async def test_a_server_that_gives_an_error_tells_nothing() -> None:
    async with connected(Rig()) as rig:
        assert rig.served is not None
        key = rig.served.put(SMALL)
        rig.served.fail("check_present", RemoteUnavailable("disk", "away"))
        assert rig.present(key)
        assert await rig.answers() == [None]
        assert rig.present(key)
        assert await rig.answers() == [True]
        assert len(rig.ends) == 1


@in_loop
async def test_without_a_connection_nothing_is_asked() -> None:
    rig = Rig()
    assert not rig.present(ABSENT)
    async with connected(rig):
        assert not rig.present(ABSENT, Caller(bypass=frozenset({HERE})))
        assert rig.present(ABSENT)
        assert not rig.present(ABSENT)  # another connection is worth its cost
        assert await rig.answers() == [False]


@in_loop
async def test_many_questions_wait_for_few_connections() -> None:
    async with connected(Rig(), 2) as rig:
        assert rig.served is not None
        key = rig.served.put(SMALL)
        rig.remote._pool.patience = 60.0
        for _ in range(50):
            assert rig.present(key)
            assert rig.read(key)
        answers = await rig.answers(100)
        assert (answers.count(True), answers.count(SMALL)) == (50, 50)
        assert len(rig.ends) == 2


@in_loop
async def test_who_waits_for_too_long_is_told_nothing() -> None:
    async with connected(Rig(served=None), 2) as rig:
        assert all(rig.present(ABSENT) for _ in range(5))
        assert await rig.answers(3) == [None] * 3
        for number in (0, 1):
            await rig.hear(b"CHECKPRESENT %s\n" % bytes(ABSENT), number)
            await rig.ends[number].send(b"SUCCESS\n")
        assert await rig.answers(2) == [True, True]


@in_loop
async def test_a_slow_server_is_given_up_with_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shoal.remotes.p2pquick._LONGEST", 0.01)
    async with connected(Rig(served=None)) as rig:
        assert rig.present(ABSENT)
        assert await rig.answers() == [None]
        assert not rig.present(ABSENT)
        await rig.hear(b"CHECKPRESENT %s\n" % bytes(ABSENT))
        assert await rig.ends[0].receive() == b""


@pytest.mark.parametrize(
    "said",
    [
        b"DATA 9\nSUCCESS\n",
        b"VALID\n",
        b"nonsense\n",
        b"SUCCESS-PLUS x\n",
        b"",
    ],
)
@in_loop
async def test_a_connection_that_broke_is_not_used_again(said: bytes) -> None:
    async with connected(Rig(served=None)) as rig:
        assert rig.present(ABSENT)
        await rig.hear(b"CHECKPRESENT %s\n" % bytes(ABSENT))
        await (rig.ends[0].send(said) if said else rig.ends[0].aclose())
        assert await rig.answers() == [None]
        assert not rig.present(ABSENT)


@pytest.mark.parametrize(
    ("pieces", "answer", "goes_on"),
    [
        ([b"DATA 3\nabcVALID\n"], b"abc", True),
        ([b"DA", b"TA 3\na", b"b", b"c", b"VAL", b"ID\n"], b"abc", True),
        ([b"DATA 0\nVALID\n"], b"", True),
        ([b"DATA 3\nabcINVALID\n"], None, True),
        ([b"ERROR no\n"], None, True),
        ([b"DATA 1001\n", b"x" * 10], None, False),
        ([b"DATA 3\nabcSUCCESS\n"], None, False),
        ([b"DATA 3\nab", b""], None, False),
        ([b"SUCCESS\n"], None, False),
    ],
)
@in_loop
async def test_what_servers_give(
    pieces: list[bytes], answer: bytes | None, *, goes_on: bool
) -> None:
    async with connected(Rig(served=None)) as rig:
        assert rig.read(key_of(b"abc"))
        await rig.hear(b"GET 0  %s\n" % bytes(key_of(b"abc")))
        for piece in pieces:
            assert rig.told == []
            with suppress(ConnectionError):  # it was enough
                await (rig.ends[0].send(piece) if piece else rig.ends[0].aclose())
            for _ in range(5):
                await asyncio.sleep(0)
            if rig.told:
                break
        assert await rig.answers() == [answer]
        assert rig.present(ABSENT) is goes_on


@in_loop
async def test_content_of_a_server_that_cannot_vouch_is_left_to_others() -> None:
    async with connected(Rig(served=None, version=0)) as rig:
        assert not rig.read(key_of(b"abc"))
        assert rig.present(ABSENT)
        await rig.hear(b"CHECKPRESENT %s\n" % bytes(ABSENT))
        await rig.ends[0].send(b"FAILURE\n")
        assert await rig.answers() == [False]


@in_loop
async def test_a_stream_that_tells_nothing_is_left_alone() -> None:
    ours, theirs = memory_streams()

    async def dial(bypass: Bypass) -> P2PConnection:
        await theirs.send(GREETING + b"VERSION 4\n")
        connection = P2PConnection(ours, HERE, "node")
        await connection.greet(bypass)
        return connection

    remote = P2PStreamRemote(RemoteInfo(HERE, "node"), dial)
    await remote._pool.give_back(await remote._pool.take(frozenset()), frozenset())
    told: list[object] = []
    assert not remote.present_soon(ABSENT, told.append)
    asking = asyncio.create_task(remote.check_present(ABSENT))
    await asyncio.sleep(0.01)
    await theirs.send(b"SUCCESS\n")
    assert await asking
    await remote.aclose()
    assert told == []


@in_loop
async def test_who_still_waits_at_the_end_is_told() -> None:
    rig = Rig(served=None)
    async with connected(rig, 2):
        assert all(rig.present(ABSENT) for _ in range(3))
        await rig.remote.aclose()
        assert rig.told == [None]
        await rig.ends[0].aclose()
        await rig.ends[1].aclose()
        assert await rig.answers(3) == [None] * 3


@in_loop
async def test_what_does_not_fit_into_a_pipe_breaks_the_connection() -> None:
    """Nothing of it may be sent later, in the middle of something else."""
    ours, theirs = stream_pair()
    number = os.dup(ours._read_fd)
    filler = socket.socket(fileno=number)
    filler.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            filler.send(bytes(1 << 16))
    assert not ours.send_at_once(b"more")
    filler.close()
    await ours.aclose()
    await theirs.aclose()
