"""GET and HEAD: whole, in part, and when something goes wrong in the middle."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from shoal.remotes.content import Content
from shoal.server.options import Limits
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote, content_from, key_of
from tests.support.served import FileRemote, TestServer, read_answer, request_bytes, serving

SIZES = [0, 1, 2, 65_535, 65_536, 65_537, 300_000, 9_000_000]
BIG = 6_000_000


def data_of(size: int) -> bytes:
    return os.urandom(size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [MemoryRemote, FileRemote])
@in_loop
async def test_the_whole_content(tmp_path: Path, kind: type[MemoryRemote], size: int) -> None:
    data = data_of(size)
    remote = FileRemote(folder=tmp_path) if kind is FileRemote else MemoryRemote()
    key = remote.keep(data) if isinstance(remote, FileRemote) else remote.put(data)
    async with serving(remote) as server:
        for path in (server.path(f"key/{key}"), server.path(f"key/{key}", None)):
            answer = await server.ask("GET", path)
            assert answer.status == 200
            assert answer.body == data
            assert answer.headers["x-git-annex-data-length"] == str(size)
            assert answer.headers["content-length"] == str(size)
            assert answer.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("offset", [0, 1, 6, 299_999, 300_000, 10**12])
@pytest.mark.parametrize("kind", [MemoryRemote, FileRemote])
@in_loop
async def test_from_an_offset_on(tmp_path: Path, kind: type[MemoryRemote], offset: int) -> None:
    data = data_of(300_000)
    remote = FileRemote(folder=tmp_path) if kind is FileRemote else MemoryRemote()
    key = remote.keep(data) if isinstance(remote, FileRemote) else remote.put(data)
    async with serving(remote) as server:
        answer = await server.get(key, offset=offset)
    assert answer.body == data[offset:]
    assert answer.headers["x-git-annex-data-length"] == str(len(data[offset:]))


@in_loop
async def test_offsets_that_are_none() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        for wrong in ("-1", "x", "1_0", ""):
            answer = await server.get(key, offset=wrong)
            assert (answer.status, answer.body[-18:]) == (400, b"offset parse error")
    assert remote.calls == []


@in_loop
async def test_an_absent_key_is_not_found() -> None:
    async with serving(MemoryRemote()) as server:
        answer = await server.get(key_of(b"absent"))
    assert answer.status == 404
    assert b"does not have the content" in answer.body


@in_loop
async def test_head_has_the_headers_only() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        answer = await server.ask("HEAD", server.path(f"key/{key}", None))
        assert answer.headers["content-length"] == "5"
        assert answer.headers["x-git-annex-data-length"] == "5"
        assert answer.headers["accept-ranges"] == "bytes"
        absent = await server.ask("HEAD", server.path(f"key/{key_of(b'absent')}", None))
        assert absent.status == 404


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, 200_000),
        ("bytes=100-150000", 100, 150_001),
        ("bytes=-7", 199_993, 200_000),
        ("bytes=199999-999999999", 199_999, 200_000),
    ],
)
@pytest.mark.parametrize("kind", [MemoryRemote, FileRemote])
@in_loop
async def test_a_range(
    tmp_path: Path, kind: type[MemoryRemote], wanted: str, start: int, stop: int
) -> None:
    data = data_of(200_000)
    remote = FileRemote(folder=tmp_path) if kind is FileRemote else MemoryRemote()
    key = remote.keep(data) if isinstance(remote, FileRemote) else remote.put(data)
    async with serving(remote) as server:
        answer = await server.ask("GET", server.path(f"key/{key}", None), headers={"Range": wanted})
    assert answer.status == 206
    assert answer.body == data[start:stop]
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/200000"


@in_loop
async def test_a_range_outside_of_the_content() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        path = server.path(f"key/{key}", None)
        answer = await server.ask("GET", path, headers={"Range": "bytes=5-"})
    assert answer.status == 416
    assert answer.headers["content-range"] == "bytes */5"


@in_loop
async def test_the_protocol_itself_knows_no_ranges() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        path = server.path(f"key/{key}")
        answer = await server.ask("GET", path, headers={"Range": "bytes=1-2"})
    assert (answer.status, answer.body) == (200, b"hello")


@pytest.mark.parametrize("size", [1, 5, 65_536, 65_537, 300_000])
@pytest.mark.parametrize("kind", [MemoryRemote, FileRemote])
@in_loop
async def test_content_that_changed_lacks_its_last_byte(
    tmp_path: Path, kind: type[MemoryRemote], size: int
) -> None:
    data = data_of(size)
    remote = FileRemote(folder=tmp_path) if kind is FileRemote else MemoryRemote()
    key = remote.keep(data) if isinstance(remote, FileRemote) else remote.put(data)
    remote.changing.add(key)
    async with serving(remote) as server:
        answer = await server.get(key)
    assert not answer.complete
    assert answer.body == data[:-1]
    assert answer.headers["x-git-annex-data-length"] == str(size)


@pytest.mark.parametrize("there", [0, 40_000, 65_000, 1_000_000, BIG - 1])
@in_loop
async def test_a_file_that_fails_is_replaced_by_the_stream(tmp_path: Path, there: int) -> None:
    remote = FileRemote(folder=tmp_path)
    data = data_of(BIG if there > 65_000 else 65_001)
    key = remote.keep(data)
    os.truncate(remote.file(key), there)
    async with serving(remote) as server:
        answer = await server.get(key)
    assert answer.body == data
    assert [content.skipped for content in remote.opened] == [there]


@in_loop
async def test_a_file_that_is_gone_is_replaced_by_the_stream(tmp_path: Path) -> None:
    remote = FileRemote(folder=tmp_path)
    data = data_of(BIG)
    key = remote.keep(data)
    remote.file(key).unlink()
    async with serving(remote) as server:
        assert (await server.get(key)).body == data


@pytest.mark.parametrize("after", [0, 1, 70_000, 299_999])
@in_loop
async def test_a_source_that_breaks_off_closes_the_connection(after: int) -> None:
    remote = MemoryRemote()
    data = data_of(300_000)
    key = remote.put(data)
    remote.fail("retrieve", after=max(after, 1))
    async with serving(remote) as server:
        answer = await server.get(key)
        assert not answer.complete
        assert data.startswith(answer.body)
        assert (await server.get(key)).body == data


@pytest.mark.parametrize("announced", [4, 6, 100])
@in_loop
async def test_a_size_that_is_not_true(monkeypatch: pytest.MonkeyPatch, announced: int) -> None:
    def offer(data: bytes, **_: object) -> Content:
        return content_from(data, size=announced)

    monkeypatch.setattr("tests.support.memory_remote.content_from", offer)
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        answer = await server.get(key)
    assert not answer.complete
    assert b"hello".startswith(answer.body)


@in_loop
async def test_content_of_unknown_size(monkeypatch: pytest.MonkeyPatch) -> None:
    def offer(data: bytes, **_: object) -> Content:
        return content_from(data, size=None, chunk=100)

    monkeypatch.setattr("tests.support.memory_remote.content_from", offer)
    remote = MemoryRemote()
    key = remote.put(b"hello" * 100)
    async with serving(remote) as server:
        answer = await server.get(key)
        assert answer.body == b"hello" * 100
        assert "x-git-annex-data-length" not in answer.headers
        head = await server.ask("HEAD", server.path(f"key/{key}"))
        assert head.status == 200
        remote.fail("retrieve", after=120)
        assert not (await server.get(key)).complete


async def _slowly(server: TestServer, request: bytes) -> socket.socket:
    """Send a request on a socket with a small buffer, and read nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", server.port))
    await loop.sock_sendall(client, request)
    return client


async def _read_all(client: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    got = b""
    while piece := await loop.sock_recv(client, 1 << 20):
        got += piece
    return got


@pytest.mark.parametrize("kind", [MemoryRemote, FileRemote])
@in_loop
async def test_a_client_that_reads_slowly_gets_everything(
    tmp_path: Path, kind: type[MemoryRemote]
) -> None:
    data = data_of(BIG)
    remote = FileRemote(folder=tmp_path) if kind is FileRemote else MemoryRemote()
    key = remote.keep(data) if isinstance(remote, FileRemote) else remote.put(data)
    async with serving(remote) as server:
        path = server.path(f"key/{key}")
        client = await _slowly(server, request_bytes("GET", path, headers={"Connection": "close"}))
        with client:
            await asyncio.sleep(0.1)
            assert (await _read_all(client)).endswith(b"\r\n\r\n" + data)


@pytest.mark.parametrize("kind", [MemoryRemote, FileRemote])
@in_loop
async def test_a_client_that_takes_nothing_is_given_up(
    tmp_path: Path, kind: type[MemoryRemote]
) -> None:
    data = data_of(20_000_000)
    remote = FileRemote(folder=tmp_path) if kind is FileRemote else MemoryRemote()
    key = remote.keep(data) if isinstance(remote, FileRemote) else remote.put(data)
    async with serving(remote, limits=Limits(stall=0.3), jobs=1) as server:
        path = server.path(f"key/{key}")
        with await _slowly(server, request_bytes("GET", path)):
            await server.app.idle()  # the only slot is free again


@pytest.mark.parametrize("kind", [MemoryRemote, FileRemote])
@in_loop
async def test_a_client_that_goes_away(tmp_path: Path, kind: type[MemoryRemote]) -> None:
    data = data_of(20_000_000)
    remote = FileRemote(folder=tmp_path) if kind is FileRemote else MemoryRemote()
    key = remote.keep(data) if isinstance(remote, FileRemote) else remote.put(data)
    async with serving(remote, jobs=1) as server:
        open_files = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            client = await _slowly(server, request_bytes("GET", server.path(f"key/{key}")))
            await asyncio.get_running_loop().sock_recv(client, 1000)
            client.close()
            await server.app.idle()
        assert (await server.get(key)).body == data
        assert len(os.listdir("/proc/self/fd")) <= open_files + 2


@in_loop
async def test_a_connection_is_used_again(tmp_path: Path) -> None:
    remote = FileRemote(folder=tmp_path)
    contents = [data_of(size) for size in (10, 100_000, 0, 70_000)]
    keys = [remote.keep(data) for data in contents]
    async with serving(remote) as server:
        reader, writer = await server.connect()
        for key in keys:  # all at once
            writer.write(request_bytes("GET", server.path(f"key/{key}")))
        assert [(await read_answer(reader)).body for _ in keys] == contents


@in_loop
async def test_an_old_client_gets_the_content_and_the_end() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        reader, writer = await server.connect()
        writer.write(f"GET {server.path(f'key/{key}', None)} HTTP/1.0\r\n\r\n".encode())
        assert (await reader.read()).endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize(("accept", "status"), [("text/html", 406), ("*/*", 200)])
@in_loop
async def test_what_the_client_accepts(accept: str, status: int) -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        path = server.path(f"key/{key}", None)
        answer = await server.ask("GET", path, headers={"Accept": accept})
    assert answer.status == status
