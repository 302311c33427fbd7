"""One source for several readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from shoal.errors import RemoteUnavailable
from shoal.gateway import fanout as module
from shoal.gateway.fanout import DEPTH, Branch, Fanout
from shoal.remotes.content import CHUNK_SIZE, Chunk, Content, StreamContent
from tests.support.loop import in_loop
from tests.support.memory_remote import content_from, gather


class Counting(Content):
    """Gives whole batches, and counts them."""

    def __init__(self, batches: int, fail: Exception | None = None) -> None:
        self.size = batches * CHUNK_SIZE
        self.given = 0
        self._batches = batches
        self._fail = fail

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        for number in range(self._batches):
            self.given += 1
            yield bytes([number]) * CHUNK_SIZE
        if self._fail is not None:
            raise self._fail


class Filling(Content):
    """Fills memory that others give, with batches of 1000 bytes."""

    def __init__(self, data: bytes, *, offset: int = 0, fail: Exception | None = None) -> None:
        self.offset = offset
        self.size = len(data) - offset
        self.batch = 1000
        self.filler = self
        self.buffers: set[int] = set()  # whose memory was filled
        self._data = data
        self._at = offset
        self._fail = fail

    async def fill(self, buffer: memoryview) -> int:
        await asyncio.sleep(0)
        self.buffers.add(id(buffer.obj))
        piece = self._data[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        if not piece and self._fail is not None:
            raise self._fail
        return len(piece)

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        raise AssertionError("the stream was read")
        yield b""


@in_loop
async def test_every_branch_gets_everything_from_its_own_offset() -> None:
    data = bytes(range(256)) * 40
    fanout = Fanout(content_from(data, offset=100, chunk=999))
    branches = [fanout.branch(offset) for offset in (100, 101, 5000, len(data), len(data) + 5)]
    assert [branch.size for branch in branches] == [10140, 10139, 5240, 0, 0]
    _, *got = await asyncio.gather(fanout.pump(), *map(gather, branches))
    assert got == [data[100:], data[101:], data[5000:], b"", b""]
    assert all(branch.at_end for branch in branches)


@in_loop
async def test_small_chunks_are_joined_and_large_ones_are_not_copied() -> None:
    small = [b"x" * 1000] * 5
    large = bytes(CHUNK_SIZE)

    async def chunks() -> AsyncIterator[Chunk]:
        yield large
        for chunk in small:
            yield memoryview(bytearray(chunk))

    fanout = Fanout(StreamContent(chunks(), size=None))
    branch = fanout.branch(0)
    pump = asyncio.create_task(fanout.pump())
    got = [chunk async for chunk in branch.stream()]
    await pump
    assert got[0] is large
    assert got[1:] == [b"".join(small)]


@in_loop
async def test_a_slow_source_is_passed_on_without_filling_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_FLUSH_AFTER", 0.0)
    gate = asyncio.Event()

    async def chunks() -> AsyncIterator[Chunk]:
        yield b"first"
        await gate.wait()
        yield b"second"

    fanout = Fanout(StreamContent(chunks(), size=11))
    stream = fanout.branch(0).stream()
    pump = asyncio.create_task(fanout.pump())
    assert await anext(stream) == b"first"
    gate.set()
    assert await anext(stream) == b"second"
    assert [chunk async for chunk in stream] == []
    await pump


@in_loop
async def test_the_source_is_read_no_faster_than_the_slowest_branch() -> None:
    source = Counting(50)
    fanout = Fanout(source)
    fast, slow = fanout.branch(0), fanout.branch(0)
    pump = asyncio.create_task(fanout.pump())
    reading = asyncio.create_task(gather(fast))
    for _ in range(200):
        await asyncio.sleep(0)
    assert source.given <= DEPTH + 1
    stream = slow.stream()
    assert await anext(stream) == bytes(CHUNK_SIZE)
    for _ in range(200):
        await asyncio.sleep(0)
    assert source.given <= DEPTH + 1  # the batch in hand is not free yet
    slow.leave()
    assert len(await reading) == source.size
    await pump
    assert source.given == 50


@in_loop
async def test_nobody_reads_any_more() -> None:
    """The source is not read to its end for nobody."""
    source = Counting(50)
    fanout = Fanout(source)
    branch = fanout.branch(0)
    fanout.helper()
    pump = asyncio.create_task(fanout.pump())
    stream = branch.stream()
    await anext(stream)
    branch.leave()
    await pump
    assert source.given < 50


@in_loop
async def test_what_came_before_the_source_broke_is_given() -> None:
    """So that all of it is kept for a resume."""
    data = b"0123456789" * 10
    error = ConnectionResetError("client gone")

    async def chunks() -> AsyncIterator[Chunk]:
        yield data
        raise error

    fanout = Fanout(StreamContent(chunks(), size=1000))
    branches = [fanout.branch(0), fanout.branch(7)]
    got = [bytearray(), bytearray()]

    async def read(branch: Branch, into: bytearray) -> None:
        async for chunk in branch.stream():
            into += chunk

    reading = [asyncio.create_task(read(b, g)) for b, g in zip(branches, got, strict=True)]
    with pytest.raises(ConnectionResetError):
        await fanout.pump()
    for task in reading:
        with pytest.raises(RemoteUnavailable, match="the upload broke off"):
            await task
    assert got == [data, data[7:]]
    assert fanout.broke_off


@pytest.mark.parametrize("size", [5, 7])
@in_loop
async def test_a_source_that_lies_about_its_size_broke_off(size: int) -> None:
    async def chunks() -> AsyncIterator[Chunk]:
        yield b"123456"

    fanout = Fanout(StreamContent(chunks(), size=size))
    branch = fanout.branch(0)
    reading = asyncio.create_task(gather(branch))
    with pytest.raises(RemoteUnavailable, match="another size than it announced"):
        await fanout.pump()
    with pytest.raises(RemoteUnavailable):
        await reading


@pytest.mark.parametrize("valid", [True, False])
@in_loop
async def test_branches_hear_whether_the_source_vouches(valid: bool) -> None:
    fanout = Fanout(content_from(b"abc", valid=valid))
    branch = fanout.branch(0)
    pump = asyncio.create_task(fanout.pump())
    assert await gather(branch) == b"abc"
    assert await branch.confirm() is valid
    await pump


@in_loop
async def test_an_error_while_vouching_is_no_voucher() -> None:
    """All bytes came: whoever can verify them by hash may keep them."""

    class Unsure(Counting):
        async def confirm(self) -> bool:
            raise ConnectionResetError

    fanout = Fanout(Unsure(1))
    branch = fanout.branch(0)
    pump = asyncio.create_task(fanout.pump())
    assert len(await gather(branch)) == CHUNK_SIZE
    assert await branch.confirm() is False
    assert not fanout.broke_off
    with pytest.raises(ConnectionResetError):
        await pump


@in_loop
async def test_an_empty_content() -> None:
    fanout = Fanout(content_from(b""))
    branch = fanout.branch(0)
    await fanout.pump()
    assert await gather(branch) == b""
    assert await branch.confirm() is True


# Sources that fill memory of ours


@in_loop
async def test_memory_is_filled_again_when_no_branch_needs_it() -> None:
    data = b"".join(number.to_bytes(4, "big") for number in range(25_100))
    source = Filling(data, offset=100)
    fanout = Fanout(source)
    branches = [fanout.branch(offset) for offset in (100, 101, 5000, len(data))]
    _, *got = await asyncio.gather(fanout.pump(), *map(gather, branches))
    assert got == [data[100:], data[101:], data[5000:], b""]
    assert len(source.buffers) <= DEPTH + 1


@in_loop
async def test_memory_is_not_filled_under_who_left_in_the_middle() -> None:
    """Such as a node whose disk hangs: a thread may write the batch much later."""
    data = b"".join(number.to_bytes(4, "big") for number in range(25_000))
    source = Filling(data)
    fanout = Fanout(source)
    staying, leaving, helper = fanout.branch(0), fanout.branch(0), fanout.helper()
    pump = asyncio.create_task(fanout.pump())
    chunks = leaving.stream()
    await anext(chunks)
    held = await anext(chunks)
    chunks_of_helper = helper.stream()
    held_by_helper = await anext(chunks_of_helper)
    leaving.leave()
    leaving.leave()
    helper.leave()
    assert await gather(staying) == data
    await pump
    assert bytes(held) == data[1000:2000]
    assert bytes(held_by_helper) == data[:1000]


@in_loop
async def test_what_was_filled_before_the_source_broke_is_given() -> None:
    data = bytes(2500)
    fanout = Fanout(Filling(data, fail=ConnectionResetError("client gone")))
    branch = fanout.branch(7)
    got = bytearray()

    async def read() -> None:
        async for chunk in branch.stream():
            got.extend(chunk)

    reading = asyncio.create_task(read())
    with pytest.raises(ConnectionResetError):
        await fanout.pump()
    with pytest.raises(RemoteUnavailable, match="the upload broke off"):
        await reading
    assert got == data[7:]


@in_loop
async def test_a_source_that_fills_too_little() -> None:
    source = Filling(bytes(1500))
    source.size = 1501
    fanout = Fanout(source)
    reading = asyncio.create_task(gather(fanout.branch(0)))
    with pytest.raises(RemoteUnavailable, match="another size than it announced"):
        await fanout.pump()
    with pytest.raises(RemoteUnavailable):
        await reading


@in_loop
async def test_memory_is_not_filled_for_nobody() -> None:
    source = Filling(bytes(50_000))
    fanout = Fanout(source)
    branch = fanout.branch(0)
    pump = asyncio.create_task(fanout.pump())
    stream = branch.stream()
    await anext(stream)
    branch.leave()
    await pump
    assert len(source.buffers) <= DEPTH + 1
    assert await source.fill(memoryview(bytearray(1000)))  # there is more


# Threads that take batches


@in_loop
async def test_a_thread_takes_what_is_there_without_the_loop() -> None:
    data = b"".join(number.to_bytes(4, "big") for number in range(25_000))
    fanout = Fanout(Filling(data))
    branches = [fanout.branch(0), fanout.branch(0), fanout.branch(1500)]
    pump = asyncio.create_task(fanout.pump())
    got = await asyncio.gather(*map(_take_in_threads, branches))
    await pump
    assert [b"".join(pieces) for pieces in got] == [data, data, data[1500:]]


async def _take_in_threads(branch: Branch) -> list[bytes]:
    batches = branch.batches
    assert batches is not None
    taken: list[bytes] = []
    while await batches.ready():
        await asyncio.to_thread(lambda: taken.extend(map(bytes, batches.some())))
    return taken


@in_loop
async def test_who_waits_for_a_slow_source_has_not_stalled() -> None:
    """Not even when there is more to take, and it did not get to that yet."""
    now = 0.0
    branches: list[Branch] = []
    stalled: list[float] = []

    async def chunks() -> AsyncIterator[Chunk]:
        nonlocal now
        for _ in range(2):
            await asyncio.sleep(0)  # the branch waits
            now += 100
            yield bytes(CHUNK_SIZE)
            stalled.append(branches[0].stalled_for())  # there is more
        await asyncio.sleep(0)
        now += 100

    fanout = Fanout(StreamContent(chunks(), size=2 * CHUNK_SIZE), lambda: now)
    branches.append(fanout.branch(0))
    taking = asyncio.create_task(gather(branches[0]))
    await asyncio.sleep(0)
    await fanout.pump()
    stalled.append(branches[0].stalled_for())  # it has ended
    assert len(await taking) == 2 * CHUNK_SIZE
    assert stalled == [0, 0, 0]
    now += 1
    assert branches[0].stalled_for() == 1


@in_loop
async def test_a_thread_takes_only_some_before_others_have_their_turn() -> None:
    source = Filling(bytes(1000 * 50))
    fanout = Fanout(source)
    branch = fanout.branch(0)
    pump = asyncio.create_task(fanout.pump())
    count = 0
    most = 0
    while await branch.ready():
        now = 0
        for _ in branch.some():
            now += 1
            await asyncio.sleep(0.001)  # the source has time to fill more
        most = max(most, now)
        count += now
    await pump
    assert count == 50
    assert DEPTH <= most < 50 // 3


@in_loop
async def test_who_left_takes_nothing_more() -> None:
    """A thread that a disk held up finds out when it asks for the next batch."""
    fanout = Fanout(Filling(bytes(5000)))
    leaving, staying = fanout.branch(0), fanout.branch(0)
    pump = asyncio.create_task(fanout.pump())
    assert await leaving.ready()
    batches = leaving.some()
    assert next(batches) == bytes(1000)
    leaving.leave()
    assert list(batches) == []
    assert await gather(staying) == bytes(5000)
    await pump
