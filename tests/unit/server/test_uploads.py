"""PUT and PUTOFFSET: what is stored, what is kept for a resume, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from itertools import pairwise

import pytest

from shoal.errors import ContentLocked, NotEnoughSpace, RemoteRefused, ShoalError
from shoal.remotes.base import NOBODY, AlreadyPresent, Caller, StoreResult, Upload
from shoal.remotes.content import SMALL, Chunk, Content, StreamContent, WholeContent
from shoal.server.options import Limits
from shoal.server.uploads import Turns, Uploads
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.loop import in_loop, until
from tests.support.memory_remote import MemoryRemote, key_of
from tests.support.served import Answer, TestServer, read_answer, request_bytes, serving

LENGTH = "X-git-annex-data-length"
STORED = b'{"plusuuids":[],"stored":true}'
NOT_STORED = b'{"plusuuids":[],"stored":false}'
CONTENT = b"http fixture content 001 ..............."


def chunked(body: bytes, size: int = 7, end: bytes = b"0\r\n\r\n") -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


async def put(
    server: TestServer,
    key: Key,
    body: bytes,
    headers: Mapping[str, object] | None = None,
    **parameters: object,
) -> Answer:
    given = {LENGTH: len(body), **(headers or {})}
    return await server.ask("POST", server.path("put", key=key, **parameters), body, given)


async def begin_to_put(
    server: TestServer, key: Key, body: bytes, length: int
) -> asyncio.StreamWriter:
    """Send the head of a put and `length` bytes of its body."""
    _, writer = await server.connect()
    headers = {LENGTH: len(body), "Content-Length": len(body)}
    writer.write(request_bytes("POST", server.path("put", key=key), body[:length], headers))
    await writer.drain()
    return writer


@pytest.mark.parametrize("size", [0, 1, 40, 100_000, 5_000_000])
@pytest.mark.parametrize("version", [0, 1, 2, 3, 4])
@in_loop
async def test_stored(size: int, version: int) -> None:
    remote = MemoryRemote()
    content = b"x" * size
    key = key_of(content)
    async with serving(remote) as server:
        answer = await put(server, key, content, version=version, associatedfile="a%2Fb%20c.txt")
    assert answer.body == (STORED if version >= 2 else b'{"stored":true}')
    assert remote.objects == {key: content}
    assert remote.files == ["a/b c.txt"]


@in_loop
async def test_a_chunked_body() -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    async with serving(remote) as server:
        headers = {LENGTH: len(CONTENT), "Transfer-Encoding": "chunked"}
        answer = await put(server, key, chunked(CONTENT), headers)
        assert answer.body == STORED
    assert remote.objects == {key: CONTENT}


@in_loop
async def test_wrong_content_is_not_stored() -> None:
    remote = MemoryRemote()
    async with serving(remote) as server:
        answer = await put(server, key_of(CONTENT), CONTENT.upper())
    assert answer.body == NOT_STORED
    assert (remote.objects, remote.partial) == ({}, {})


@pytest.mark.parametrize("version", [1, 4])
@in_loop
async def test_already_present_whatever_the_body(version: int) -> None:
    remote = MemoryRemote(stored_in=(UUID("n1"), UUID("n2")))
    key = remote.put(CONTENT)
    async with serving(remote) as server:
        reader, writer = await server.connect()
        path = server.path("put", version, key=key)
        writer.write(request_bytes("POST", path, b"zzz", {LENGTH: 3}))
        plus = b'"plusuuids":["n1","n2"],' if version > 1 else b""
        assert (await read_answer(reader)).body == b'{%b"stored":true}' % plus
        writer.write(request_bytes("POST", server.path("checkpresent", key=key)))
        assert (await read_answer(reader)).body == b'{"present":true}'
    assert remote.objects == {key: CONTENT}


@in_loop
async def test_already_present_with_a_body_that_never_ends() -> None:
    remote = MemoryRemote()
    key = remote.put(CONTENT)
    async with serving(remote) as server:
        reader, writer = await server.connect()
        headers = {LENGTH: 10**9, "Content-Length": 10**9}
        writer.write(request_bytes("POST", server.path("put", key=key), b"zzz", headers))
        answer = await read_answer(reader)
        assert answer.body == STORED
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("cut", [0, 1, 30, 39])
@in_loop
async def test_a_body_that_is_shorter_than_announced_is_kept_for_a_resume(cut: int) -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    async with serving(remote) as server:
        answer = await put(server, key, CONTENT[:cut], {LENGTH: 40})
        assert answer.body == NOT_STORED
        offset = await server.post("putoffset", key=key)
        assert offset.body == b'{"offset":%d}' % cut
        answer = await put(server, key, CONTENT[cut:], offset=cut)
        assert answer.body == STORED
    assert remote.objects == {key: CONTENT}


@pytest.mark.parametrize("how", ["content-length", "chunked"])
@in_loop
async def test_a_body_that_is_longer_than_announced(how: str) -> None:
    remote = MemoryRemote()
    async with serving(remote) as server:
        body, headers = CONTENT + b"more", {LENGTH: "40"}
        if how == "chunked":
            body, headers["Transfer-Encoding"] = chunked(body), "chunked"
        answer = await put(server, key_of(CONTENT), body, headers)
        assert answer.body == NOT_STORED
    assert remote.objects == {}


@in_loop
async def test_the_whole_content_with_garbage_after_it_is_not_stored() -> None:
    """Not even for a moment: the last byte is not handed on before the body ended."""
    remote = MemoryRemote()
    async with serving(remote) as server:
        reader, writer = await server.connect()
        path = server.path("put", key=key_of(CONTENT))
        headers = {LENGTH: 40, "Transfer-Encoding": "chunked"}
        writer.write(request_bytes("POST", path, chunked(CONTENT, 40, end=b""), headers))
        await asyncio.sleep(0.05)
        assert remote.objects == {}
        writer.write(b"1\r\nx\r\n0\r\n\r\n")
        assert (await read_answer(reader)).body == NOT_STORED
    assert remote.objects == {}


@pytest.mark.parametrize("start", [0, 7, 20])
@in_loop
async def test_what_the_server_has_already_is_skipped(start: int) -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    remote.partial[key] = CONTENT[:20]
    async with serving(remote) as server:
        answer = await put(server, key, CONTENT[start:], offset=start)
    assert answer.body == STORED
    assert remote.objects == {key: CONTENT}


@pytest.mark.parametrize(
    ("start", "length", "stored"), [(40, 0, True), (0, 40, True), (0, 39, False), (0, 0, False)]
)
@in_loop
async def test_when_the_server_has_all_bytes(start: int, length: int, stored: bool) -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    remote.partial[key] = CONTENT
    async with serving(remote) as server:
        answer = await put(server, key, CONTENT[start : start + length], offset=start)
    assert answer.body == (STORED if stored else NOT_STORED)


@in_loop
async def test_a_gap_before_the_body() -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    remote.partial[key] = CONTENT[:5]
    async with serving(remote) as server:
        answer = await put(server, key, CONTENT[10:], offset=10)
    assert answer.body == NOT_STORED
    assert (remote.objects, remote.partial) == ({}, {key: CONTENT[:5]})
    assert remote.idle


@pytest.mark.parametrize("rudely", [False, True])
@in_loop
async def test_a_client_that_goes_away_leaves_its_bytes(rudely: bool) -> None:
    remote = MemoryRemote()
    data = bytes(SMALL + 1)
    key = key_of(data)
    async with serving(remote) as server:
        writer = await begin_to_put(server, key, data, 30)
        await until(lambda: bool(remote.receiving))
        if rudely:
            writer.transport.abort()
        else:
            writer.close()
        await server.app.idle()
        assert remote.idle
        assert len(remote.partial[key]) in {0, 30}
        assert (await put(server, key, data)).body == STORED


@in_loop
async def test_a_small_body_that_breaks_off_leaves_its_bytes() -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    async with serving(remote) as server:
        writer = await begin_to_put(server, key, CONTENT, 30)
        writer.close()
        await until(lambda: key in remote.partial)
        await server.app.idle()
        assert remote.idle
        assert remote.partial[key] == CONTENT[:30]
        assert (await put(server, key, CONTENT)).body == STORED


@in_loop
async def test_a_remote_is_not_busy_while_a_small_body_comes() -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    async with serving(remote) as server:
        slow = await begin_to_put(server, key, CONTENT, 30)
        assert (await put(server, key, CONTENT)).body == STORED
        assert remote.idle
        slow.close()


def test_only_so_many_small_bodies_are_in_memory() -> None:
    uploads = Uploads(Limits())
    assert not uploads.may_gather(SMALL + 1)
    count = 0
    with ExitStack() as stack:
        while uploads.may_gather(SMALL):
            stack.enter_context(uploads.gathering(SMALL))
            count += 1
        assert count * SMALL == 8 << 20
    assert uploads.may_gather(SMALL)


@in_loop
async def test_a_client_that_falls_silent_is_given_up() -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    async with serving(remote, limits=Limits(stall=0.1)) as server:
        reader, writer = await server.connect()
        headers = {LENGTH: 40, "Content-Length": 40}
        path = server.path("put", key=key)
        writer.write(request_bytes("POST", path, CONTENT[:30], headers))
        answer = await read_answer(reader)
        assert answer.body == NOT_STORED
        assert answer.headers["connection"] == "close"
    assert remote.partial == {key: CONTENT[:30]}
    assert remote.idle


@pytest.mark.parametrize("at_once", [False, True])
@in_loop
async def test_a_body_whose_chunks_are_garbage(at_once: bool) -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    async with serving(remote) as server:
        reader, writer = await server.connect()
        headers = {LENGTH: 40, "Transfer-Encoding": "chunked"}
        writer.write(request_bytes("POST", server.path("put", key=key), b"5\r\nhello", headers))
        await until(lambda: at_once or bool(remote.receiving))
        writer.write(b"zz\r\n")
        answer = await read_answer(reader)
        assert (answer.status, answer.body) in {
            (200, NOT_STORED),
            (400, b"this is no HTTP request"),
        }
        assert await reader.read() == b""
    assert remote.objects == {}
    assert remote.idle


@in_loop
async def test_the_body_is_asked_for_when_it_is_wanted() -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    headers = {LENGTH: 40, "Content-Length": 40, "Expect": "100-continue"}
    async with serving(remote) as server:
        reader, writer = await server.connect()
        writer.write(request_bytes("POST", server.path("put", key=key), b"", headers))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(CONTENT)
        assert (await read_answer(reader)).body == STORED
        writer.write(request_bytes("POST", server.path("put", key=key), b"", headers))
        answer = await read_answer(reader)  # present now: no body is wanted
        assert answer.body == STORED
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("present", [True, False])
@in_loop
async def test_data_present(present: bool) -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    if present:
        remote.put(CONTENT)
    async with serving(remote) as server:
        answer = await put(server, key, b"ignored", data_present="true")
    assert answer.body == (STORED if present else NOT_STORED)
    assert remote.calls == [("store_present", key)]


@in_loop
async def test_data_present_is_unknown_to_version_3() -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    async with serving(remote) as server:
        answer = await put(server, key, CONTENT, version=3, data_present="true")
    assert answer.body == STORED
    assert remote.objects == {key: CONTENT}


@pytest.mark.parametrize("header", [None, "x", "-1", ""])
@in_loop
async def test_the_length_is_required(header: str | None) -> None:
    remote = MemoryRemote()
    async with serving(remote) as server:
        headers = {} if header is None else {LENGTH: header}
        path = server.path("put", key=key_of(CONTENT))
        answer = await server.ask("POST", path, CONTENT, headers)
    assert answer.status == 400
    assert LENGTH.encode() in answer.body
    assert remote.calls == []


@pytest.mark.parametrize("endpoint", ["put", "putoffset"])
@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (None, 409, "transfer already in progress, or unable to take transfer lock"),
        (NotEnoughSpace("not enough free space"), 507, "not enough free space"),
        (RemoteRefused("annex.securehashesonly blocked it"), 500, "blocked it"),
        (ContentLocked(), 423, "content is locked"),
    ],
)
@in_loop
async def test_a_refusal_before_the_body(
    endpoint: str, error: Exception | None, status: int, text: str
) -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    if error is None:
        remote.receiving.add(key)
    else:
        remote.fail("begin_store", error)
    async with serving(remote) as server:
        if endpoint == "put":
            answer = await put(server, key, CONTENT)
        else:
            answer = await server.post("putoffset", key=key)
    assert answer.status == status
    assert text in answer.body.decode()
    assert remote.objects == {}


@in_loop
async def test_a_remote_that_fails_in_the_middle() -> None:
    remote = MemoryRemote(name="node1")
    key = key_of(CONTENT)
    remote.fail("store", after=10)
    async with serving(remote) as server:
        answer = await put(server, key, CONTENT)
        assert (answer.status, answer.body) == (502, b'remote "node1" is not available')
        assert (await put(server, key, CONTENT)).body == STORED


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@in_loop
async def test_putoffset_of_a_key_that_is_there(version: int) -> None:
    remote = MemoryRemote(stored_in=(UUID("n1"),))
    key = remote.put(CONTENT)
    async with serving(remote) as server:
        answer = await server.post("putoffset", version=version, key=key)
    plus = b',"plusuuids":["n1"]' if version >= 2 else b""
    assert answer.body == b'{"alreadyhave":true%b}' % plus


@in_loop
async def test_putoffset_leaves_nothing_behind() -> None:
    remote = MemoryRemote()
    key = key_of(CONTENT)
    async with serving(remote) as server:
        for _ in range(3):
            assert (await server.post("putoffset", key=key)).body == b'{"offset":0}'
    assert remote.idle
    assert remote.partial == {}


@in_loop
async def test_a_large_body_is_read_at_the_pace_of_the_remote() -> None:
    remote = MemoryRemote()
    content = b"y" * 40_000_000
    key = key_of(content)
    gate = remote.hold("store", after=1_000_000)
    async with serving(remote) as server:
        reader, writer = await server.connect()
        headers = {LENGTH: len(content)}
        path = server.path("put", key=key)
        writer.write(request_bytes("POST", path, content, headers))
        await gate.reached()
        sent = asyncio.ensure_future(writer.drain())
        done, _ = await asyncio.wait([sent], timeout=0.2)
        assert not done  # the server stopped reading
        gate.open()
        assert (await read_answer(reader)).body == STORED
        await sent
    assert remote.objects == {key: content}


def test_many_uploads_share_the_memory_for_bodies() -> None:
    uploads = Uploads(Limits())
    with ExitStack() as stack:
        batches = [stack.enter_context(uploads.one_more()) for _ in range(300)]
        assert batches[0] == 1 << 20
        assert batches == sorted(batches, reverse=True)
        assert batches[-1] == 64 * 1024
        assert sum(batches) < 64 << 20
    with uploads.one_more() as batch:
        assert batch == 1 << 20


class Noting(MemoryRemote):
    """Notes how large the chunks of uploads are."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    async def begin_store(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> Upload | AlreadyPresent:
        begun = await super().begin_store(key, file=file, caller=caller)
        return begun if isinstance(begun, AlreadyPresent) else NotingUpload(self, begun)


class NotingUpload(Upload):
    def __init__(self, remote: Noting, upload: Upload) -> None:
        self._remote = remote
        self._upload = upload
        self.offset = upload.offset

    async def store(self, content: Content) -> StoreResult:
        async def noted() -> AsyncIterator[Chunk]:
            async for chunk in content.stream():
                self._remote.sizes.append(len(chunk))
                yield chunk

        passed = StreamContent(noted(), size=content.size, offset=content.offset)
        return await self._upload.store(passed)

    async def aclose(self) -> None:
        await self._upload.aclose()


@pytest.mark.parametrize("batch", [1000, 64 * 1024, 1 << 20])
@in_loop
async def test_pieces_of_a_body_are_no_larger_than_wanted(batch: int) -> None:
    remote = Noting()
    content = bytes(range(256)) * 8_000
    async with serving(remote, limits=Limits(batch=batch)) as server:
        answer = await put(server, key_of(content), content)
        assert answer.body == STORED
    assert remote.objects == {key_of(content): content}
    assert max(remote.sizes) <= max(batch, 64 * 1024)
    assert sum(remote.sizes) == len(content)


# Fairness


@in_loop
async def test_small_bodies_take_turns_and_others_come_in_between() -> None:
    turns = Turns()
    order: list[object] = []

    async def store(number: int) -> None:
        await turns.take()
        order.append(number)

    async def other() -> None:
        for _ in range(4):
            order.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(*map(store, range(3)), other())
    assert [one for one in order if one != "other"] == [0, 1, 2]
    places = [place for place, one in enumerate(order) if one != "other"]
    assert all(later - before > 1 for before, later in pairwise(places))


@in_loop
async def test_who_goes_away_leaves_the_turn_to_the_next() -> None:
    turns = Turns()
    await turns.take()
    first, second = (asyncio.create_task(turns.take()) for _ in range(2))
    await asyncio.sleep(0)  # the first has the turn, and does not know it yet
    first.cancel()
    async with asyncio.timeout(60):
        await second
        await turns.take()


@in_loop
async def test_an_error_at_once_is_answered() -> None:
    class Full(MemoryRemote):
        def store_at_once(
            self, key: Key, content: WholeContent, *, file: str = "", caller: Caller = NOBODY
        ) -> ShoalError:
            return NotEnoughSpace("no room at all")

    async with serving(Full()) as server:
        answer = await put(server, key_of(CONTENT), CONTENT)
    assert answer.status == 507
    assert b"no room at all" in answer.body
