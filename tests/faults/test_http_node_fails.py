"""Bytes that pass from a server on another machine to a client, or back, while one of them fails.

A server here serves a remote over HTTP, which another server here serves.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from shoal.remotes.base import RemoteInfo
from shoal.remotes.p2phttp import P2PHttpRemote
from shoal.server.options import Limits
from shoal.transport.addresses import AllowedAddresses
from shoal.transport.http_client import HttpClient, HttpOptions
from tests.support.loop import in_loop, until
from tests.support.memory_remote import MemoryRemote, key_of
from tests.support.scripted_http import Asked, Cut, ScriptedServer, answer, scripted
from tests.support.served import (
    CLIENT,
    FileRemote,
    TestServer,
    read_answer,
    request_bytes,
    serving,
)

DATA = os.urandom(9_000_000)
KEY = key_of(DATA)


@asynccontextmanager
async def passing_on(port: int, limits: Limits | None = None) -> AsyncIterator[TestServer]:
    """Serve what is served on `port`."""
    http = HttpClient(HttpOptions(AllowedAddresses.parse("all")))
    url = f"annex+http://127.0.0.1:{port}/git-annex/"
    info = RemoteInfo(MemoryRemote().uuid, "node")
    remote = P2PHttpRemote(url, info, client=CLIENT, http=http)
    try:
        async with serving(remote, limits=limits) as server:
            yield server
    finally:
        await remote.aclose()
        await http.aclose()


@dataclass
class Chain:
    """The node's content, the node, and the server in front of it."""

    memory: FileRemote
    node: TestServer
    front: TestServer


@asynccontextmanager
async def chain(folder: Path, limits: Limits | None = None) -> AsyncIterator[Chain]:
    memory = FileRemote(folder=folder)
    async with serving(memory) as node, passing_on(node.port, limits) as front:
        yield Chain(memory, node, front)


@pytest.mark.parametrize("size", [1, 2, 65_537, 1_048_577, len(DATA)])
@in_loop
async def test_content_passes_unchanged_both_ways(tmp_path: Path, size: int) -> None:
    data = DATA[:size]
    key = key_of(data)
    async with chain(tmp_path) as via:
        assert b'"stored":true' in (await via.front.put(key, data)).body
        assert via.memory.objects[key] == data
        via.memory.keep(data)
        assert (await via.front.get(key)).body == data
        assert (await via.front.get(key, offset=size // 2)).body == data[size // 2 :]


@pytest.mark.parametrize("after", [1, 70_000, 5_000_000, len(DATA) - 1])
@in_loop
async def test_a_node_that_breaks_off_is_seen_to_have_broken_off(
    tmp_path: Path, after: int
) -> None:
    async with serving(MemoryRemote()) as node, passing_on(node.port) as front:
        memory = node.site.remotes[node.uuid]
        assert isinstance(memory, MemoryRemote)
        memory.put(DATA)
        memory.fail("retrieve", after=after)
        got = await front.get(KEY)
        assert not got.complete
        assert DATA.startswith(got.body)
        assert (await front.get(KEY)).body == DATA


@in_loop
async def test_content_that_changes_at_the_node_lacks_its_last_byte(tmp_path: Path) -> None:
    async with chain(tmp_path) as via:
        via.memory.keep(DATA)
        via.memory.changing.add(KEY)
        got = await via.front.get(KEY)
        assert not got.complete
        assert got.body == DATA[:-1]


@pytest.mark.parametrize("announced", [len(DATA) - 1, len(DATA) + 1])
@in_loop
async def test_a_node_whose_headers_contradict_each_other(announced: int) -> None:
    """One of them says how long the content is, the other how much is sent."""

    def reply(asked: Asked) -> bytes | Cut:
        if "/key/" not in asked.target:
            return answer(b'{"present":true}')
        return answer(DATA, X_git_annex_data_length=announced)

    async with scripted(ScriptedServer(reply)) as node, passing_on(node.port) as front:
        got = await front.get(KEY)
        assert not got.complete
        assert int(got.headers["x-git-annex-data-length"]) == announced


@pytest.mark.parametrize("reads", [1, 200_000, 3_000_000])
@in_loop
async def test_a_client_that_goes_away_costs_nobody_anything(tmp_path: Path, reads: int) -> None:
    async with chain(tmp_path) as via:
        via.memory.keep(DATA)
        open_files = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            reader, writer = await via.front.connect()
            writer.write(request_bytes("GET", via.front.path(f"key/{KEY}")))
            await reader.readexactly(reads)
            writer.transport.abort()
            await via.front.app.idle()
            await via.node.app.idle()
        assert (await via.front.get(KEY)).body == DATA
        await until(lambda: len(os.listdir("/proc/self/fd")) <= open_files + 4)


@in_loop
async def test_a_client_that_takes_nothing_is_given_up(tmp_path: Path) -> None:
    async with chain(tmp_path, Limits(stall=0.3)) as via:
        big = os.urandom(1 << 20) * 40
        key = via.memory.keep(big)
        _, writer = await via.front.connect()
        assert isinstance(writer.transport, asyncio.Transport)
        writer.transport.pause_reading()
        writer.write(request_bytes("GET", via.front.path(f"key/{key}")))
        await until(lambda: bool(via.memory.opened))
        await via.front.app.idle()
        await via.node.app.idle()


@pytest.mark.parametrize("sent", [0, 100_000, 5_000_000, len(DATA) - 1])
@in_loop
async def test_an_upload_that_breaks_off_is_stored_nowhere(tmp_path: Path, sent: int) -> None:
    async with chain(tmp_path) as via:
        _, writer = await via.front.connect()
        length = {"X-git-annex-data-length": len(DATA)}
        head = request_bytes("POST", via.front.path("put", key=KEY), DATA, length)
        writer.write(head[: len(head) - len(DATA) + sent])
        await writer.drain()
        writer.close()
        await via.front.app.idle()
        await via.node.app.idle()
        assert KEY not in via.memory.objects
        for _ in range(1000):
            got = await via.front.put(KEY, DATA)
            if got.status != 409:  # the end of the first upload may not be noticed yet
                break
            await asyncio.sleep(0.01)
        assert b'"stored":true' in got.body
        assert via.memory.objects[KEY] == DATA


@pytest.mark.parametrize("after", [1, 5_000_000])
@in_loop
async def test_a_node_that_goes_in_the_middle_of_an_upload(after: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/put?" in head:
                await reader.readexactly(after)
                writer.transport.abort()
                return
            writer.write(answer(b'{"offset":0}'))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener, passing_on(listener.sockets[0].getsockname()[1]) as front:
        reader, writer = await front.connect()
        length = {"X-git-annex-data-length": len(DATA)}
        writer.write(request_bytes("POST", front.path("put", key=KEY), DATA, length))
        got = await read_answer(reader)
        assert b'"stored":true' not in got.body
        assert got.status != 200 or not got.complete or b'"stored":false' in got.body
