"""A remote over the P2P protocol: our own server at the other end, and servers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from shoal.errors import KeyNotPresent, RemoteRefused, RemoteUnavailable, ShoalError
from shoal.remotes.base import (
    AlreadyPresent,
    Caller,
    LeaveLocked,
    Remote,
    RemoteInfo,
    StoreResult,
)
from shoal.remotes.content import WholeContent
from shoal.remotes.local import LocalRemote
from shoal.remotes.p2pconnection import P2PConnection
from shoal.remotes.p2ppool import Bypass
from shoal.remotes.p2pstream import P2PStreamRemote
from shoal.server.p2p_session import serve_p2p
from shoal.transport.memory import MemoryStream, memory_streams
from shoal.transport.stream import ByteStream
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE, THERE, key_of, make_annex
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote, content_from
from tests.unit.remotes.contract import CALLER, LARGE, SMALL, RemoteContract, begin, put, read

INFO = RemoteInfo(HERE, "node")
CLUSTER = UUID("acaaaaaa-0000-8000-8000-00000000000c")


class Session(ByteStream):
    """Our end; to close it is to wait for the other, as for a process."""

    def __init__(self, inner: MemoryStream, server: asyncio.Task[None]) -> None:
        self._inner = inner
        self._server = server
        self.sent: list[bytes] = []

    async def receive(self) -> bytes:
        return await self._inner.receive()

    async def receive_into(self, buffer: memoryview) -> int:
        return await self._inner.receive_into(buffer)

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))
        await self._inner.send(data)

    def has_more(self) -> bool:
        return self._inner.has_more()

    async def more(self) -> None:
        await self._inner.more()

    async def aclose(self) -> None:
        await self._inner.aclose()
        await self._server


class Server:
    """Serves a remote on as many connections as are asked for, within this process."""

    def __init__(self, remote: Remote, piece: int | None = None) -> None:
        self.remote = remote
        self.tasks: list[asyncio.Task[None]] = []
        self.streams: list[MemoryStream] = []
        self.bypasses: list[Bypass] = []
        self.sessions: list[Session] = []
        self._piece = piece

    async def dial(self, bypass: Bypass) -> P2PConnection:
        ours, theirs = memory_streams(piece=self._piece)
        self.streams.append(theirs)
        self.bypasses.append(bypass)
        self.tasks.append(asyncio.create_task(self._serve(theirs)))
        self.sessions.append(Session(ours, self.tasks[-1]))
        connection = P2PConnection(self.sessions[-1], HERE, "node")
        await connection.greet(bypass)
        return connection

    def spy_on(self, sent: list[bytes]) -> None:
        """Have all that the client sends from now on put into `sent`, piece by piece."""
        for session in self.sessions:
            session.sent = sent

    async def _serve(self, stream: MemoryStream) -> None:
        with suppress(ShoalError):
            await serve_p2p(self.remote, stream, client=THERE)
        await stream.aclose()


class TestOverOurServer(RemoteContract):
    """All that is true of a repository is true of it at the end of a connection."""

    piece: int | None = None

    @asynccontextmanager
    async def opened(self, directory: Path) -> AsyncIterator[Remote]:
        make_annex(directory / "repo", bare=True).close()
        local = LocalRemote(str(directory / "repo"), HERE, name="node")
        server = Server(local, self.piece)
        remote = P2PStreamRemote(INFO, server.dial)
        yield remote
        await remote.aclose()
        await asyncio.gather(*server.tasks)
        await local.aclose()


class TestInSmallPieces(TestOverOurServer):
    """Nothing depends on how the bytes are split."""

    piece = 4099


@in_loop
async def test_connections_are_kept() -> None:
    server = Server(MemoryRemote(HERE))
    remote = P2PStreamRemote(INFO, server.dial)
    for data in (SMALL, LARGE):
        await put(remote, data)
        assert await read(remote, key_of(data)) == data
    assert len(server.streams) == 1
    await remote.aclose()


@in_loop
async def test_small_content_is_sent_in_one_piece_and_its_connection_is_free_at_once() -> None:
    server = Server(MemoryRemote(HERE))
    remote = P2PStreamRemote(INFO, server.dial)
    sent: list[bytes] = []
    key = key_of(SMALL)
    await remote.check_present(key)
    server.spy_on(sent)
    result = await remote.store_whole(key, WholeContent(SMALL))
    assert result == StoreResult(True)
    assert sent[1:] == [b"DATA %d\n%sVALID\n" % (len(SMALL), SMALL)]
    async with remote.retrieve(key) as content:
        assert content.whole == SMALL
        assert await content.confirm()
        assert await remote.check_present(key)
    assert len(server.streams) == 1
    await remote.aclose()


@in_loop
async def test_a_connection_that_ended_while_idle_is_not_used() -> None:
    server = Server(MemoryRemote(HERE))
    remote = P2PStreamRemote(INFO, server.dial)
    key = await put(remote, SMALL)
    await server.streams[0].aclose()
    assert await remote.check_present(key, caller=CALLER)
    assert len(server.streams) == 2
    await remote.aclose()


@in_loop
async def test_gateways_to_avoid_are_named_once_per_connection() -> None:
    server = Server(MemoryRemote(HERE))
    remote = P2PStreamRemote(INFO, server.dial)
    some = Caller(THERE, frozenset({UUID("11111111-1111-4111-8111-111111111111")}))
    for caller in (some, CALLER, some, CALLER):
        await remote.check_present(key_of(SMALL), caller=caller)
    assert server.bypasses == [some.bypass, frozenset()]
    await remote.aclose()


@in_loop
async def test_a_connection_left_in_mid_download_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """When more is to come than is worth waiting for."""
    monkeypatch.setattr("shoal.remotes.p2ppool._DRAINED", 1_000_000)
    server = Server(MemoryRemote(HERE))
    remote = P2PStreamRemote(INFO, server.dial)
    key = await put(remote, LARGE)
    async with remote.retrieve(key, caller=CALLER) as content:
        async for _ in content.stream():
            break
    await server.tasks[0]
    assert await read(remote, key) == LARGE
    await remote.aclose()


@in_loop
async def test_what_is_left_locked_stays_locked() -> None:
    """git-annex-shell gives a lock up as soon as the connection ends."""
    there = MemoryRemote(HERE)
    server = Server(there)
    remote = P2PStreamRemote(INFO, server.dial)
    key = await put(remote, SMALL)
    with pytest.raises(LeaveLocked):
        async with remote.lock_content(key, caller=CALLER):
            raise LeaveLocked("gone")
    assert not (await remote.remove(key, caller=CALLER)).removed
    await remote.aclose()
    await asyncio.gather(*server.tasks)
    assert (await there.remove(key)).removed


@in_loop
async def test_a_lock_whose_connection_ended_was_not_kept() -> None:
    server = Server(MemoryRemote(HERE))
    remote = P2PStreamRemote(INFO, server.dial)
    key = await put(remote, SMALL)
    with pytest.raises(RemoteUnavailable):
        async with remote.lock_content(key, caller=CALLER):
            await server.streams[0].aclose()
    await remote.aclose()


class Scripted:
    """Answers with prepared lines, whatever it is asked."""

    def __init__(self, *conversations: Sequence[bytes], server: UUID = HERE) -> None:
        self._conversations = list(conversations)
        self._server = server
        self.tasks: list[asyncio.Task[None]] = []
        self.heard: list[bytes] = []

    async def dial(self, bypass: Bypass) -> P2PConnection:
        ours, theirs = memory_streams()
        answers = self._conversations.pop(0)
        self.tasks.append(asyncio.create_task(self._talk(theirs, answers)))
        connection = P2PConnection(ours, self._server, "node")
        try:
            await connection.greet(bypass)
        except RemoteUnavailable:
            await connection.aclose()
            raise
        return connection

    async def _talk(self, stream: MemoryStream, answers: Sequence[bytes]) -> None:
        await stream.send(b"AUTH-SUCCESS %s\n" % self._server.encode())
        for answer in answers:
            self.heard.append(await stream.receive())
            await stream.send(answer)
        self.heard.append(await stream.receive())
        await stream.aclose()


def scripted(*conversations: Sequence[bytes]) -> P2PStreamRemote:
    return P2PStreamRemote(INFO, Scripted(*conversations).dial)


@in_loop
async def test_an_answer_that_makes_no_sense_is_no_answer() -> None:
    for nonsense in (b"VALID\n", b"PUT-FROM 0\n", b"ERROR out of order\n", b"\n", b""):
        remote = scripted([b"VERSION 4\n", nonsense or b"x" * 40_000])
        with pytest.raises(RemoteUnavailable):
            await remote.check_present(key_of(SMALL), caller=CALLER)
        await remote.aclose()


@in_loop
async def test_a_small_content_is_offered_again_when_the_server_left() -> None:
    """The real one does while another client stores the same key."""
    key, content = key_of(SMALL), WholeContent(SMALL)
    left = [b"VERSION 4\n", b"PUT-FROM 0\n"]
    remote = scripted(left, [b"VERSION 4\n", b"ALREADY-HAVE\n"])
    assert await remote.store_whole(key, content) == AlreadyPresent()
    await remote.aclose()
    remote = scripted(left, left)
    with pytest.raises(RemoteUnavailable):
        await remote.store_whole(key, content)
    await remote.aclose()


@in_loop
async def test_an_old_server_is_spoken_to_as_it_understands() -> None:
    key = key_of(SMALL)
    old = Scripted([b"ERROR unknown command\n", b"SUCCESS\n"])
    remote = P2PStreamRemote(INFO, old.dial)
    assert await remote.check_present(key, caller=CALLER)
    with pytest.raises(RemoteUnavailable, match="version 0"):
        await remote.remove(key, before=1000)
    await remote.aclose()


@in_loop
async def test_version_0_says_nothing_about_what_is_absent() -> None:
    """It sends no bytes, as for an empty content: only the next question tells."""
    remote = scripted([b"ERROR unknown command\n", b"DATA 0\n", b"FAILURE\n"])
    with pytest.raises(KeyNotPresent):
        async with remote.retrieve(key_of(SMALL), caller=CALLER):
            pass
    await remote.aclose()


@in_loop
async def test_a_server_that_ends_instead_of_removing_is_asked_what_is_there() -> None:
    key = key_of(SMALL)
    remote = scripted([b"VERSION 4\n"], [b"VERSION 4\n", b"SUCCESS\n"])
    assert not (await remote.remove(key, caller=CALLER)).removed
    await remote.aclose()
    remote = scripted([b"VERSION 4\n"], [b"VERSION 4\n", b"FAILURE\n"])
    with pytest.raises(RemoteUnavailable):
        await remote.remove(key, caller=CALLER)
    await remote.aclose()


@in_loop
async def test_an_old_gateway_is_not_asked_for_a_cluster() -> None:
    """It cannot hear by which gateways a request came, and would ask them again."""
    for version in (b"VERSION 1\n", b"ERROR unknown command\n"):
        old = Scripted([version], server=CLUSTER)
        remote = P2PStreamRemote(RemoteInfo(CLUSTER, "nyc-cluster"), old.dial)
        with pytest.raises(RemoteUnavailable, match="too old for a cluster"):
            await remote.check_present(key_of(SMALL), caller=Caller(THERE, frozenset({THERE})))
        assert old.heard[0] == b"VERSION 4\n"
        await remote.aclose()
        await asyncio.gather(*old.tasks)
        assert old.heard[1] == b""


@in_loop
async def test_a_gateway_reads_the_clocks_of_its_nodes_before_a_timed_removal() -> None:
    """The real one needs that in the same session, or its nodes get a time of its own clock."""
    key = key_of(SMALL)
    real = Scripted([b"VERSION 4\n", b"TIMESTAMP 7\n", b"SUCCESS\n"], server=CLUSTER)
    remote = P2PStreamRemote(RemoteInfo(CLUSTER, "nyc-cluster"), real.dial)
    assert (await remote.remove(key, before=20, caller=CALLER)).removed
    await remote.aclose()
    assert real.heard[1].splitlines()[-1] == b"GETTIMESTAMP"
    assert real.heard[2] == b"REMOVE-BEFORE 20 %s\n" % bytes(key)


@in_loop
async def test_another_repository_is_not_spoken_to() -> None:
    async def dial(bypass: Bypass) -> P2PConnection:
        ours, theirs = memory_streams()
        await theirs.send(b"AUTH-SUCCESS %s\n" % THERE.encode())
        connection = P2PConnection(ours, HERE, "node")
        try:
            await connection.greet(bypass)
        finally:
            await connection.aclose()
        return connection

    remote = P2PStreamRemote(INFO, dial)
    with pytest.raises(RemoteUnavailable, match="expected repository"):
        await remote.check_present(key_of(SMALL))
    await remote.aclose()


@in_loop
async def test_what_others_have_is_listed() -> None:
    key = key_of(SMALL)
    uuids = b"%s %s" % (HERE.encode(), THERE.encode())
    remote = scripted(
        [b"VERSION 4\n", b"ALREADY-HAVE-PLUS %s\n" % uuids],
    )
    assert await remote.begin_store(key, caller=CALLER) == AlreadyPresent((HERE, THERE))
    await remote.aclose()
    remote = scripted([b"VERSION 4\n", b"FAILURE-PLUS %s\n" % uuids])
    result = await remote.remove(key, caller=CALLER)
    assert (result.removed, result.removed_from) == (False, (HERE, THERE))
    await remote.aclose()


@in_loop
async def test_a_refusal_is_told() -> None:
    remote = scripted([b"VERSION 4\n", b"ERROR this repository is read-only\n"])
    with pytest.raises(RemoteRefused, match="read-only"):
        await remote.begin_store(key_of(SMALL), caller=CALLER)
    await remote.aclose()


@in_loop
async def test_fewer_bytes_than_there_should_be_are_never_stored() -> None:
    there = MemoryRemote(HERE)
    server = Server(there)
    remote = P2PStreamRemote(INFO, server.dial)
    async with await begin(remote, key_of(SMALL)) as upload:
        content = content_from(SMALL[:-3])
        content.size = len(SMALL)
        assert not (await upload.store(content)).stored
    await server.tasks[0]
    assert not await there.check_present(key_of(SMALL))
    await remote.aclose()
