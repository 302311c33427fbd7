"""Large bodies, which are read from the socket past the HTTP parser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from shoal.server import receiving as module
from shoal.server.bodies import LARGE, ParsedBody
from shoal.server.options import Limits
from shoal.server.receiving import LargeBody
from shoal.values.key import Key
from tests.support.fake_cluster import FakeCluster, node_uuid
from tests.support.localnode import Node
from tests.support.loop import in_loop, until
from tests.support.memory_remote import MemoryRemote, key_of
from tests.support.served import TestServer, read_answer, request_bytes, serving

LENGTH = "X-git-annex-data-length"
STORED = b'{"plusuuids":[],"stored":true}'
NOT_STORED = b'{"plusuuids":[],"stored":false}'
CONTENT = bytes(range(251)) * 20_000  # no two places of a buffer look the same
KEY = key_of(CONTENT)
PART = 3_000_000  # bytes of it


@pytest.fixture(autouse=True)
def taken(monkeypatch: pytest.MonkeyPatch) -> list[LargeBody]:
    """Note the bodies for which a socket was taken."""
    bodies: list[LargeBody] = []
    take = LargeBody._take_socket

    def noting(body: LargeBody) -> object:
        bodies.append(body)
        return take(body)

    monkeypatch.setattr(LargeBody, "_take_socket", noting)
    return bodies


def put_bytes(
    server: TestServer,
    body: bytes = CONTENT,
    headers: Mapping[str, object] | None = None,
    *,
    key: Key = KEY,
    **parameters: object,
) -> bytes:
    path = server.path("put", key=key, **parameters)
    return request_bytes("POST", path, body, {LENGTH: len(body), **(headers or {})})


def chunked_bytes(
    server: TestServer,
    body: bytes,
    length: int | None = None,
    *,
    end: bytes = b"0\r\n\r\n",
    offset: int = 0,
) -> bytes:
    """Give a put in chunks of 32 kB, whose body should be `length` bytes long."""
    pieces = [body[start : start + 32_000] for start in range(0, len(body), 32_000)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end
    headers = {"Transfer-Encoding": "chunked", LENGTH: len(body) if length is None else length}
    return put_bytes(server, chunks, headers, offset=offset)


def present_bytes(server: TestServer) -> bytes:
    return request_bytes("POST", server.path("checkpresent", key=KEY))


@in_loop
async def test_the_connection_goes_on_after_the_body(taken: list[LargeBody]) -> None:
    remote = MemoryRemote()
    async with serving(remote) as server:
        reader, writer = await server.connect()
        for _ in range(2):
            writer.write(put_bytes(server))
            assert (await read_answer(reader)).body == STORED
            writer.write(present_bytes(server))
            answer = await read_answer(reader)
            assert answer.body == b'{"present":true}'
            assert "connection" not in answer.headers
            assert remote.objects.pop(KEY) == CONTENT
    assert len(taken) == 2


@in_loop
async def test_requests_that_follow_at_once(taken: list[LargeBody]) -> None:
    """The first bytes of the next request come together with the last of the body."""
    remote = MemoryRemote()
    other = CONTENT[1:]
    async with serving(remote) as server:
        reader, writer = await server.connect()
        requests = [put_bytes(server), present_bytes(server), put_bytes(server, b"zzz")]
        requests += [put_bytes(server, other, key=key_of(other)), present_bytes(server)]
        writer.write(b"".join(requests))
        bodies = [(await read_answer(reader)).body for _ in range(5)]
    assert bodies == [STORED, b'{"present":true}', STORED, STORED, b'{"present":true}']
    assert remote.objects == {KEY: CONTENT, key_of(other): other}
    assert len(taken) == 2


@pytest.mark.parametrize("size", [LARGE - 1, LARGE, LARGE + 1])
@in_loop
async def test_sizes_around_the_limit(size: int, taken: list[LargeBody]) -> None:
    remote = MemoryRemote()
    content = CONTENT[:size]
    async with serving(remote) as server:
        reader, writer = await server.connect()
        writer.write(put_bytes(server, content, key=key_of(content)))
        assert (await read_answer(reader)).body == STORED
    assert remote.objects == {key_of(content): content}
    assert len(taken) == (size >= LARGE)


@in_loop
async def test_bodies_that_have_to_be_parsed(taken: list[LargeBody]) -> None:
    """Chunked ones, and those that are shorter than they should be."""
    remote = MemoryRemote()
    async with serving(remote) as server:
        reader, writer = await server.connect()
        writer.write(chunked_bytes(server, CONTENT))
        assert (await read_answer(reader)).body == STORED
        remote.objects.clear()
        writer.write(put_bytes(server, CONTENT[:-1], {LENGTH: len(CONTENT)}))
        assert (await read_answer(reader)).body == NOT_STORED
    assert remote.partial == {KEY: CONTENT[:-1]}
    assert taken == []


@in_loop
async def test_wrong_content_is_not_stored() -> None:
    remote = MemoryRemote()
    async with serving(remote) as server:
        reader, writer = await server.connect()
        writer.write(put_bytes(server, CONTENT[::-1]))
        assert (await read_answer(reader)).body == NOT_STORED
        writer.write(present_bytes(server))
        assert (await read_answer(reader)).body == b'{"present":false}'
    assert (remote.objects, remote.partial) == ({}, {})


@pytest.mark.parametrize("start", [0, 7, PART])
@in_loop
async def test_what_the_server_has_already_is_skipped(start: int) -> None:
    remote = MemoryRemote()
    remote.partial[KEY] = CONTENT[:PART]
    async with serving(remote) as server:
        reader, writer = await server.connect()
        writer.write(put_bytes(server, CONTENT[start:], offset=start))
        assert (await read_answer(reader)).body == STORED
    assert remote.objects == {KEY: CONTENT}


@pytest.mark.parametrize("rudely", [False, True])
@in_loop
async def test_a_client_that_goes_away_leaves_its_bytes(
    rudely: bool, taken: list[LargeBody]
) -> None:
    remote = MemoryRemote()
    async with serving(remote) as server:
        _, writer = await server.connect()
        writer.write(
            put_bytes(
                server, CONTENT[:PART], {"Content-Length": len(CONTENT), LENGTH: len(CONTENT)}
            )
        )
        await writer.drain()
        await until(lambda: bool(taken) and taken[0]._left == len(CONTENT) - PART)
        if rudely:
            writer.transport.abort()
        else:
            writer.close()
        await server.app.idle()
        assert remote.idle
        assert remote.partial == {KEY: CONTENT[:PART]}
        reader, writer = await server.connect()
        writer.write(put_bytes(server, CONTENT[PART:], offset=PART))
        assert (await read_answer(reader)).body == STORED
    assert remote.objects == {KEY: CONTENT}


@in_loop
async def test_a_client_that_falls_silent_is_given_up() -> None:
    remote = MemoryRemote()
    async with serving(remote, limits=Limits(stall=0.1)) as server:
        reader, writer = await server.connect()
        headers = {"Content-Length": len(CONTENT), LENGTH: len(CONTENT)}
        writer.write(put_bytes(server, CONTENT[:PART], headers))
        answer = await read_answer(reader)
        assert answer.body == NOT_STORED
        assert answer.headers["connection"] == "close"
    assert remote.partial == {KEY: CONTENT[:PART]}
    assert remote.idle


@in_loop
async def test_a_few_bytes_are_handed_on_before_a_buffer_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_HAND_ON", 0.01)
    remote = MemoryRemote()
    gate = remote.hold("store", after=1000)
    async with serving(remote) as server:
        reader, writer = await server.connect()
        headers = {"Content-Length": len(CONTENT), LENGTH: len(CONTENT)}
        writer.write(put_bytes(server, CONTENT[:1000], headers))
        await gate.reached()
        gate.open()
        writer.write(CONTENT[1000:])
        assert (await read_answer(reader)).body == STORED


@in_loop
async def test_the_body_is_asked_for_when_it_is_wanted() -> None:
    remote = MemoryRemote()
    headers = {"Content-Length": len(CONTENT), LENGTH: len(CONTENT), "Expect": "100-continue"}
    async with serving(remote) as server:
        reader, writer = await server.connect()
        writer.write(put_bytes(server, b"", headers))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(CONTENT)
        assert (await read_answer(reader)).body == STORED


@in_loop
async def test_a_remote_that_fails_in_the_middle(taken: list[LargeBody]) -> None:
    """The client still sends: it hears of it, and the connection ends."""
    remote = MemoryRemote(name="node1")
    remote.fail("store", after=1_500_000)
    async with serving(remote) as server:
        reader, writer = await server.connect()
        writer.write(put_bytes(server))
        answer = await read_answer(reader)
        assert (answer.status, answer.body) == (502, b'remote "node1" is not available')
        assert answer.headers["connection"] == "close"
        writer.close()
    assert len(taken) == 1


@in_loop
async def test_the_server_ends_in_the_middle(taken: list[LargeBody]) -> None:
    remote = MemoryRemote()
    async with serving(remote) as server:
        reader, writer = await server.connect()
        headers = {"Content-Length": len(CONTENT), LENGTH: len(CONTENT)}
        writer.write(put_bytes(server, CONTENT[:PART], headers))
        await until(lambda: bool(taken) and taken[0]._left == len(CONTENT) - PART)
    assert await reader.read() == b""
    assert remote.idle


@pytest.mark.parametrize("partial", [0, 100_000])
@in_loop
async def test_into_a_repository_on_this_machine(
    tmp_path: Path, partial: int, taken: list[LargeBody]
) -> None:
    node = Node(tmp_path)
    async with serving(node.remote) as server:
        reader, writer = await server.connect()
        if partial:
            headers = {"Content-Length": len(CONTENT), LENGTH: len(CONTENT)}
            _, leaving = await server.connect()
            leaving.write(put_bytes(server, CONTENT[:partial], headers))
            await until(lambda: bool(taken))
            leaving.close()
            await server.app.idle()
        writer.write(put_bytes(server))
        assert (await read_answer(reader)).body == STORED
        assert (await server.get(KEY)).body == CONTENT


@pytest.mark.parametrize("chunked", [False, True])
@in_loop
async def test_into_a_cluster(chunked: bool) -> None:
    cluster = FakeCluster(3)
    cluster.remotes[1].fail("store", after=2_000_000)
    cluster.remotes[2].partial[KEY] = CONTENT[:PART]
    async with serving(cluster.cluster) as server:
        reader, writer = await server.connect()
        writer.write(chunked_bytes(server, CONTENT) if chunked else put_bytes(server))
        answer = await read_answer(reader)
        names = b",".join(b'"%b"' % node_uuid(n).encode() for n in (3, 1))
        assert answer.body == b'{"plusuuids":[%b],"stored":true}' % names
    assert [remote.objects for remote in cluster.remotes] == [{KEY: CONTENT}, {}, {KEY: CONTENT}]
    assert cluster.remotes[1].partial == {KEY: CONTENT[:2_000_000]}
    assert cluster.idle


@pytest.mark.parametrize(("start", "end"), [(0, PART), (7, PART), (0, len(CONTENT) - 1)])
@in_loop
async def test_chunks_that_break_off_and_go_on(
    start: int, end: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filled by the parser: what was read is kept, what is there already is skipped."""
    cluster = FakeCluster(1)
    remote = cluster.remotes[0]
    came: list[int] = []
    read = ParsedBody._read

    async def noting(body: ParsedBody) -> bytes:
        data = await read(body)
        came.append(len(data))
        return data

    monkeypatch.setattr(ParsedBody, "_read", noting)
    async with serving(cluster.cluster) as server:
        _, leaving = await server.connect()
        leaving.write(chunked_bytes(server, CONTENT[:end], len(CONTENT), end=b""))
        await until(lambda: sum(came) == end)  # what is not read yet is lost with the connection
        leaving.close()
        await until(lambda: remote.partial == {KEY: CONTENT[:end]})
        await server.app.idle()
        reader, writer = await server.connect()
        writer.write(chunked_bytes(server, CONTENT[start:], offset=start))
        assert b'"stored":true' in (await read_answer(reader)).body
    assert remote.objects == {KEY: CONTENT}


@pytest.mark.parametrize("more", [b"x", -1])
@in_loop
async def test_chunks_of_another_length(more: bytes | int) -> None:
    cluster = FakeCluster(1)
    async with serving(cluster.cluster) as server:
        reader, writer = await server.connect()
        body = CONTENT + more if isinstance(more, bytes) else CONTENT[:more]
        writer.write(chunked_bytes(server, body, len(CONTENT)))
        assert b'"stored":false' in (await read_answer(reader)).body
    assert cluster.remotes[0].objects == {}
    assert cluster.idle
