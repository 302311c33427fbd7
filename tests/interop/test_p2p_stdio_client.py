"""Our side of the line protocol as a client, against the real `git-annex-shell p2pstdio`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shoal.p2p.client import ClientSession, Event
from shoal.p2p.messages import (
    AlreadyHave,
    AuthSuccess,
    CheckPresent,
    Data,
    DataPresent,
    Failure,
    Get,
    GetTimestamp,
    LockContent,
    Message,
    Put,
    PutFrom,
    Remove,
    RemoveBefore,
    Success,
    Timestamp,
    UnlockContent,
    Valid,
    Version,
)
from shoal.p2p.receiver import Chunk
from shoal.p2p.server import End, PayloadEnd
from shoal.transport.stdio import ProcessStream
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.loop import in_loop
from tests.support.memory_remote import key_of
from tests.support.world import World

DATA = os.urandom(1_500_000)
KEY = key_of(DATA, extension=".a b")


class Talk:
    """A client session on a stream."""

    def __init__(self, stream: ProcessStream, server: UUID) -> None:
        self.stream = stream
        self.session = ClientSession(server)

    async def hear(self) -> Event:
        while (event := self.session.next_event()) is None:
            self.session.feed(await self.stream.receive())
        return event

    async def say(self, message: Message) -> None:
        self.session.send(message)
        await self.stream.send(self.session.take_output())

    async def ask(self, message: Message) -> Event:
        await self.say(message)
        return await self.hear()

    async def put(self, key: Key, data: bytes, offset: int = 0) -> Event:
        assert await self.ask(Put(b"dir/a file %", key)) == PutFrom(offset)
        await self.say(Data(len(data) - offset))
        await self.stream.send(memoryview(data)[offset:])
        self.session.payload_sent(len(data) - offset)
        return await self.ask(Valid())

    async def get(self, key: Key, offset: int = 0) -> tuple[bytes, bool]:
        assert isinstance(await self.ask(Get(offset, b"", key)), Data)
        data = b""
        while not isinstance(event := await self.hear(), PayloadEnd):
            assert isinstance(event, Chunk)
            data += event.data
        await self.say(Success())
        return data, event.valid


@asynccontextmanager
async def talking(repo: Path, version: int) -> AsyncIterator[Talk]:
    uuid = UUID(World(repo.parent).git(repo, "config", "annex.uuid"))
    words = ["git-annex-shell", "p2pstdio", str(repo), "client", "--uuid", uuid]
    async with await ProcessStream.start(words) as stream:
        talk = Talk(stream, uuid)
        assert await talk.hear() == AuthSuccess(uuid)
        if version:
            assert await talk.ask(Version(version)) == Version(version)
        yield talk
        stream.end_sending()
        assert await talk.hear() == End(clean=True)
        assert await stream.wait() == 0


@pytest.mark.parametrize("version", range(5))
def test_every_version(world: World, version: int) -> None:
    repo = world.make("server")

    @in_loop
    async def talk() -> None:
        async with talking(repo, version) as client:
            assert await client.ask(CheckPresent(KEY)) == Failure()
            assert await client.get(KEY) == (b"", False)
            assert await client.put(KEY, DATA) == Success()
            assert await client.ask(Put(b"", KEY)) == AlreadyHave()
            assert await client.get(KEY) == (DATA, version > 0)
            assert await client.get(KEY, 1_000_000) == (DATA[1_000_000:], version > 0)
            assert await client.ask(LockContent(KEY)) == Success()
            await client.say(UnlockContent())
            if version >= 3:
                now = await client.ask(GetTimestamp())
                assert isinstance(now, Timestamp)
                assert await client.ask(RemoveBefore(now.time - 5, KEY)) == Failure()
                assert await client.ask(RemoveBefore(now.time + 500, KEY)) == Success()
            else:
                assert await client.ask(Remove(KEY)) == Success()
            assert await client.ask(LockContent(KEY)) == Failure()
            if version >= 4:
                assert await client.ask(Put(b"", KEY)) == PutFrom(0)
                assert await client.ask(DataPresent()) == Failure()

    talk()
