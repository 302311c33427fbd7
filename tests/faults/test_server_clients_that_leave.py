"""Clients that go away at any byte of any request: nothing hangs, and nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from shoal.server.options import Limits
from tests.support.loop import in_loop, until
from tests.support.memory_remote import MemoryRemote, key_of
from tests.support.served import FileRemote, TestServer, read_answer, request_bytes, serving

ROUNDS = 1000
LENGTH = "X-git-annex-data-length"


def requests(server: TestServer, dice: random.Random, remote: FileRemote) -> list[bytes]:
    """Give one whole request of each kind."""
    content = dice.randbytes(dice.choice([0, 10, 3_000, 200_000]))
    key = key_of(content)
    there = dice.choice(list(remote.objects))
    pieces = [content[start : start + 1000] for start in range(0, len(content), 1000)]
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    keep = b'10\r\n{"unlock":false}\r\n1\r\n\n\r\nf\r\n{"unlock":true}\r\n1\r\n\n\r\n0\r\n\r\n'
    sent_in_chunks = {"Transfer-Encoding": "chunked"}
    return [
        request_bytes("POST", server.path("put", key=key), content, {LENGTH: len(content)}),
        request_bytes(
            "POST", server.path("put", key=key), chunked, {LENGTH: len(content), **sent_in_chunks}
        ),
        request_bytes("POST", server.path("putoffset", key=key)),
        request_bytes("GET", server.path(f"key/{there}")),
        request_bytes("GET", server.path(f"key/{there}", None), headers={"Range": "bytes=5-"}),
        request_bytes("POST", server.path("checkpresent", key=there)),
        request_bytes("POST", server.path("gettimestamp")),
        request_bytes("POST", server.path("lockcontent", key=there)),
        request_bytes("POST", server.path("keeplocked", lockid="none"), keep, sent_in_chunks),
        request_bytes("POST", server.path("remove", key=key)),
    ]


async def one_client(server: TestServer, dice: random.Random, request: bytes) -> None:
    """Send some of a request, read some of the answer, and go away in some way."""
    reader, writer = await server.connect()
    writer.write(request[: dice.randrange(len(request) + 1)])
    match dice.randrange(4):
        case 0:
            await asyncio.sleep(0)
        case 1:
            await asyncio.wait([asyncio.ensure_future(reader.read(100))], timeout=0.01)
        case 2:
            await asyncio.sleep(dice.random() / 500)
    if dice.random() < 0.5:
        writer.transport.abort()
    else:
        writer.close()


@pytest.mark.parametrize("seed", [1, 2])
@in_loop
async def test_nothing_is_left(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    dice = random.Random(seed)
    remote = FileRemote(folder=tmp_path_factory.mktemp("files"))
    kept = [remote.keep(dice.randbytes(size)) for size in (1, 5_000, 300_000, 3_000_000)]
    async with serving(remote, limits=Limits(locked_files=50), jobs=4) as server:
        files = len(os.listdir("/proc/self/fd"))
        for _ in range(ROUNDS // 20):
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    request = dice.choice(requests(server, dice, remote))
                    group.create_task(one_client(server, dice, request))
        await server.app.idle()
        for key in kept:
            assert (await server.get(key)).body == remote.objects[key]
        content = dice.randbytes(1000)
        answer = await server.put(key_of(content), content)
        assert answer.body == b'{"plusuuids":[],"stored":true}'
        assert not remote.receiving
        assert remote.locks.total() == len(server.app.locks) <= 50
        await until(lambda: len(os.listdir("/proc/self/fd")) <= files + 2)
        stored = remote.objects.keys() - set(kept)
        assert all(key_of(remote.objects[key]) == key for key in stored)
    assert remote.idle  # the locks have ended with the server
    assert caplog.records == []  # no bug was seen, and nothing to fill a log with


@in_loop
async def test_a_client_that_takes_its_time_with_each_byte() -> None:
    remote = MemoryRemote()
    content = b"hello world"
    key = key_of(content)
    async with serving(remote) as server:
        reader, writer = await server.connect()
        path = server.path("put", key=key)
        for byte in request_bytes("POST", path, content, {LENGTH: len(content)}):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await read_answer(reader)).body == b'{"plusuuids":[],"stored":true}'
    assert remote.objects == {key: content}
