"""Listening to a client: large content, what it never sends, and that it goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from shoal.errors import RemoteUnavailable
from shoal.remotes.base import NOBODY, AlreadyPresent, Caller, StoreResult, Upload
from shoal.remotes.content import Chunk, Content, StreamContent
from shoal.server.p2p_session import serve_p2p
from shoal.transport.memory import memory_streams
from shoal.values.key import Key
from tests.support.line_client import session
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote, key_of

DATA = bytes(range(256)) * 5000
KEY = key_of(DATA)


class _Filled(MemoryRemote):
    """Its uploads read into memory of their own where they can; `batches` tells how much."""

    batches: list[int]

    async def begin_store(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> Upload | AlreadyPresent:
        upload = await super().begin_store(key, file=file, caller=caller)
        if isinstance(upload, AlreadyPresent):
            return upload
        return _FilledUpload(self, upload)


class _Taken(StreamContent):
    """Content that comes by way of its reader's memory."""

    def __init__(self, chunks: AsyncIterator[Chunk], source: Content) -> None:
        super().__init__(chunks, size=source.size, offset=source.offset)
        self._source = source

    async def confirm(self) -> bool:
        return await self._source.confirm()


class _FilledUpload(Upload):
    def __init__(self, remote: _Filled, upload: Upload) -> None:
        self._remote = remote
        self._upload = upload
        self.offset = upload.offset

    async def store(self, content: Content) -> StoreResult:
        filler = content.filler
        if filler is None:
            return await self._upload.store(content)

        async def chunks() -> AsyncIterator[Chunk]:
            buffer = memoryview(bytearray(filler.batch))
            while count := await filler.fill(buffer):
                self._remote.batches.append(count)
                yield buffer[:count]

        return await self._upload.store(_Taken(chunks(), content))

    async def aclose(self) -> None:
        await self._upload.aclose()


HUGE = bytes(range(251)) * 10_000


@in_loop
async def test_large_content_is_read_into_memory_of_its_reader() -> None:
    remote = _Filled()
    remote.batches = []
    async with session(remote) as client:
        assert await client.put(key_of(HUGE), HUGE) == "SUCCESS"
        assert await client.put(KEY, DATA) == "SUCCESS"
    assert remote.objects == {key_of(HUGE): HUGE, KEY: DATA}
    assert remote.batches == [1 << 20, 1 << 20, len(HUGE) - (2 << 20)]


@in_loop
async def test_large_content_that_breaks_off_is_kept_as_far_as_it_came() -> None:
    remote = _Filled()
    remote.batches = []
    async with session(remote, ends=RemoteUnavailable) as client:
        assert await client.ask(f"PUT  {key_of(HUGE)}") == "PUT-FROM 0"
        await client.stream.send(b"DATA %d\n" % len(HUGE))
        await client.stream.send(HUGE[:1_200_000])
    assert remote.partial[key_of(HUGE)] == HUGE[:1_200_000]
    assert remote.idle


@in_loop
async def test_an_upload_that_fails_early_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shoal.server.p2pconversation._DRAIN_LIMIT", 200_000)
    remote = MemoryRemote()
    remote.fail("store", after=10)
    async with session(remote, ends=RemoteUnavailable) as client:
        assert await client.ask(f"PUT  {KEY}") == "PUT-FROM 0"
        await client.stream.send(b"DATA %d\n" % len(DATA))
        with pytest.raises(ConnectionError):
            await client.stream.send(DATA)


@in_loop
async def test_a_client_that_goes_away_in_an_upload() -> None:
    remote = MemoryRemote()
    async with session(remote, ends=RemoteUnavailable) as client:
        assert await client.ask(f"PUT  {KEY}") == "PUT-FROM 0"
        await client.stream.send(b"DATA %d\n" % len(DATA))
        await client.stream.send(DATA[:70_000])
    assert remote.partial[KEY] == DATA[:70_000]
    assert remote.idle
    assert KEY not in remote.objects


@in_loop
async def test_a_client_that_goes_away_before_it_vouches() -> None:
    remote = MemoryRemote()
    async with session(remote, ends=RemoteUnavailable) as client:
        assert await client.ask(f"PUT  {KEY}") == "PUT-FROM 0"
        await client.stream.send(b"DATA %d\n" % len(DATA))
        await client.stream.send(DATA)
    assert KEY not in remote.objects
    assert remote.idle


@pytest.mark.parametrize("came", ["", f"DATA {len(DATA)}\n", f"DATA {len(DATA)}\nsome", "whole"])
@in_loop
async def test_a_client_that_sends_nothing_more_of_a_content_has_gone(came: str) -> None:
    """The network may be cut without a sign: for ever would its locks be held."""
    remote = MemoryRemote()
    here, there = memory_streams(limit=2 * len(DATA))
    if came == "whole":  # but for the word that vouches for it
        await here.send(f"VERSION 4\nPUT  {KEY}\nDATA {len(DATA)}\n".encode() + DATA)
    else:
        await here.send(f"VERSION 4\nPUT  {KEY}\n{came}".encode())
    with pytest.raises(RemoteUnavailable):
        await serve_p2p(remote, there, stall=0.01)
    assert remote.idle
    assert KEY not in remote.objects


@in_loop
async def test_a_client_that_asks_for_nothing_is_waited_for() -> None:
    remote = MemoryRemote()
    here, there = memory_streams()
    serving = asyncio.create_task(serve_p2p(remote, there, stall=0.001))
    await here.send(f"CHECKPRESENT {KEY}\n".encode())
    await asyncio.sleep(0.05)
    assert not serving.done()
    await here.end()
    await serving
