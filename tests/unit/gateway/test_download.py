"""Downloads from a cluster that go on when a node fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from shoal.errors import RemoteUnavailable
from shoal.remotes.base import NOBODY, Caller
from shoal.remotes.content import Chunk, Content, Region
from shoal.values.key import Key
from tests.support.fake_cluster import IMPATIENT, FakeCluster, NodeRemote
from tests.support.loop import in_loop, pass_time
from tests.support.memory_remote import gather

DATA = bytes(range(256)) * 2000


@pytest.mark.parametrize("after", [0, 1, 100_000, len(DATA) - 1])
@pytest.mark.parametrize("offset", [0, 77])
@in_loop
async def test_another_node_goes_on_where_one_broke_off(after: int, offset: int) -> None:
    rig = FakeCluster()
    key = rig.give(DATA, 1, 2, 3)
    for remote in rig.remotes:
        remote.fail("retrieve", after=after)
    rig.remotes[1].heal()
    async with rig.cluster.retrieve(key, offset) as content:
        assert content.size == len(DATA) - offset
        assert await gather(content) == DATA[offset:]
    assert rig.idle


@in_loop
async def test_content_of_several_nodes_is_not_vouched_for() -> None:
    """The first node did not come to say whether its bytes were good."""
    rig = FakeCluster(2)
    key = rig.give(DATA, 1, 2)
    for remote in rig.remotes:
        remote.fail("retrieve", after=100)
    rig.remotes[0].faults.clear()
    async with rig.cluster.retrieve(key) as content:
        assert await gather(content) == DATA
        assert await content.confirm() is False


@in_loop
async def test_content_of_the_second_node_alone_is_vouched_for() -> None:
    rig = FakeCluster(2)
    key = rig.give(DATA, 1, 2)
    rig.remotes[1].fail("retrieve", after=0)
    async with rig.cluster.retrieve(key) as content:
        assert await gather(content) == DATA
        assert await content.confirm() is True


@in_loop
async def test_content_that_changed_at_the_node_is_not_vouched_for() -> None:
    rig = FakeCluster(1)
    key = rig.give(DATA, 1)
    rig.remotes[0].changing.add(key)
    async with rig.cluster.retrieve(key) as content:
        assert await gather(content) == DATA
        assert await content.confirm() is False


@in_loop
async def test_nobody_has_the_rest() -> None:
    rig = FakeCluster(2)
    key = rig.give(DATA, 1, 2)
    for remote in rig.remotes:
        remote.fail("retrieve", after=1000)
    async with rig.cluster.retrieve(key) as content:
        with pytest.raises(RemoteUnavailable, match="n2: the test says so; n1: the test says so"):
            await gather(content)
        assert await content.confirm() is False
    assert rig.idle


@in_loop
async def test_a_node_that_stalls_is_replaced() -> None:
    rig = FakeCluster(2, limits=IMPATIENT)
    key = rig.give(DATA, 1, 2)
    gates = [remote.hold("retrieve", after=1000) for remote in rig.remotes]
    rig.remotes[0].heal()
    async with rig.cluster.retrieve(key) as content:
        reading = asyncio.create_task(gather(content))
        await gates[1].reached()
        await pass_time(15)
        assert await reading == DATA
    assert rig.nodes[0].state.shunned
    for gate in gates:
        gate.open()
    await rig.patience.aclose()


@in_loop
async def test_a_node_that_does_not_open_is_replaced() -> None:
    rig = FakeCluster(2, limits=IMPATIENT)
    key = rig.give(DATA, 1, 2)
    gate = rig.remotes[1].hold("retrieve")

    async def read() -> bytes:
        async with rig.cluster.retrieve(key) as content:
            return await gather(content)

    reading = asyncio.create_task(read())
    await gate.reached()
    await pass_time(15)
    assert await reading == DATA
    gate.open()
    await rig.patience.aclose()
    assert rig.idle


@in_loop
async def test_a_node_with_content_of_another_size_does_not_take_over() -> None:
    rig = FakeCluster(3)
    key = rig.give(DATA, 1, 2, 3)
    rig.remotes[2].fail("retrieve", after=1000)
    rig.remotes[1].objects[key] = DATA + b"more"
    async with rig.cluster.retrieve(key) as content:
        assert await gather(content) == DATA


@in_loop
async def test_a_slow_reader_is_no_stall_of_the_node() -> None:
    rig = FakeCluster(1, limits=IMPATIENT)
    key = rig.give(DATA, 1)
    async with rig.cluster.retrieve(key) as content:
        got = b""
        async for chunk in content.stream():
            if not got:
                await pass_time(15)
            got += bytes(chunk)
    assert got == DATA
    assert rig.nodes[0].state.failures == 0


@in_loop
async def test_a_reader_that_stops_leaves_nothing_open() -> None:
    rig = FakeCluster(1)
    key = rig.give(DATA, 1)
    async with rig.cluster.retrieve(key) as content:
        async for _ in content.stream():
            break
    assert rig.idle


@in_loop
async def test_cancelled_at_any_moment() -> None:
    async def read(rig: FakeCluster, key: Key) -> None:
        async with rig.cluster.retrieve(key) as content:
            await gather(content)

    for turns in range(40):
        rig = FakeCluster(2)
        key = rig.give(DATA, 1, 2)
        rig.remotes[1].fail("retrieve", after=100)
        reading = asyncio.create_task(read(rig, key))
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})
        assert rig.idle


class FileRemote(NodeRemote):
    """Offers its content as a region of a file, and fails when asked to stream it.

    The file has what the test puts there, in `file`.
    """

    file: Path

    def retrieve(
        self, key: Key, offset: int = 0, *, file: str = "", caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Content]:
        return self._retrieve_region(key, offset)

    @asynccontextmanager
    async def _retrieve_region(self, key: Key, offset: int) -> AsyncIterator[Content]:
        yield FileContent(self.file, self.objects[key], offset)


class FileContent(Content):
    """A file that can be read by others."""

    broken = False

    def __init__(self, file: Path, data: bytes, offset: int) -> None:
        self._data = data
        self.offset = offset
        self.size = len(data) - offset
        self.region = Region(str(file), offset, self.size)

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        if FileContent.broken:
            FileContent.broken = False  # the next node does better
            raise RemoteUnavailable("n", "the file is gone")
        yield self._data[self.offset + skip :]


@pytest.mark.parametrize(
    ("sent", "there", "vouched"),
    [
        (0, None, True),  # nothing came from the first node
        (1000, DATA, True),
        (1000, DATA[:1000], True),  # the rest is gone, but not what was sent
        (1000, DATA[:999], False),
        (1000, DATA[:500] + b"!" + DATA[501:], False),
        (1000, None, False),
        (len(DATA), DATA, True),
    ],
)
@pytest.mark.parametrize("offset", [0, 300])
@in_loop
async def test_a_file_that_fails_goes_on_as_a_stream_from_another_node(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sent: int,
    there: bytes | None,
    vouched: bool,
    offset: int,
) -> None:
    """A server has sent bytes of the file itself, up to byte `sent` of the key, when it asks
    for the rest. They are vouched for if they are what the other node's file has."""
    rig = FakeCluster(2, kind=FileRemote)
    key = rig.give(DATA, 1, 2)
    for number, remote in enumerate(rig.remotes, 1):
        assert isinstance(remote, FileRemote)
        remote.file = tmp_path / str(number)
    (tmp_path / "1").write_bytes(DATA)
    if there is not None:
        (tmp_path / "2").write_bytes(there)
    monkeypatch.setattr(FileContent, "broken", True)
    skip = max(0, sent - offset)
    async with rig.cluster.retrieve(key, offset) as content:
        assert content.region == Region(str(tmp_path / "2"), offset, len(DATA) - offset)
        rest = b"".join([bytes(chunk) async for chunk in content.stream(skip)])
        assert rest == DATA[offset + skip :]
        assert await content.confirm() is vouched
    assert rig.idle
