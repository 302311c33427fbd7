"""Content on its way into and out of a repository on this machine."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from shoal.errors import (
    LocalProtocolError,
    RemoteRefused,
    RemoteUnavailable,
)
from shoal.git.annexlogs import AnnexLogs
from shoal.git.receive import Receiving
from shoal.remotes.base import StoreResult
from shoal.remotes.content import Chunk, Content, Region, StreamContent
from shoal.remotes.local import LocalRemote
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE, key_of
from tests.support.localnode import Node, call, lock
from tests.support.loop import in_loop
from tests.support.memory_remote import content_from
from tests.unit.remotes.contract import (
    CALLER,
    LARGE,
    SMALL,
    begin,
    broken,
    put,
    read,
)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def region_of(path: Path, offset: int = 0, length: int | None = None) -> Content:
    """Give content that is a file of this machine; reading it as a stream fails."""

    async def chunks() -> AsyncIterator[Chunk]:
        raise AssertionError("the stream was read")
        yield b""

    size = path.stat().st_size - offset if length is None else length
    content = StreamContent(chunks(), size=size, offset=offset)
    content.region = Region(str(path), offset, size)
    return content


class Filling(Content):
    """Content that fills memory of the reader's. `fail` is raised after the last byte."""

    def __init__(self, data: bytes, offset: int = 0, fail: Exception | None = None) -> None:
        self.offset = offset
        self.size = len(data) - offset
        self.batch = 1 << 18
        self.filler = self
        self._data = data
        self._at = offset
        self._fail = fail

    async def fill(self, buffer: memoryview) -> int:
        buffer[:] = b"#" * len(buffer)
        await asyncio.sleep(0)
        piece = self._data[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        if not piece and self._fail is not None:
            raise self._fail
        return len(piece)

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        yield self._data[self.offset + skip :]


class Taken(Content):
    """Content that a thread takes, three batches at once, from memory that is then used again."""

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self.offset = offset
        self.size = len(data) - offset
        self.batches = self
        self._pieces = [data[at : at + (1 << 18)] for at in range(offset, len(data), 1 << 18)]

    async def ready(self) -> bool:
        return bool(self._pieces)

    def some(self) -> Iterator[Chunk]:
        memory = bytearray()
        for piece in self._pieces[:3]:
            memory[:] = piece
            yield memory
        del self._pieces[:3]

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        raise AssertionError("the stream was read")
        yield b""


class Digest:
    """A hash that somebody else makes."""

    def __init__(self, verdict: bool) -> None:
        self.verdict = verdict
        self.asked = 0

    async def matches(self) -> bool:
        self.asked += 1
        return self.verdict


# Whose content, and how it comes


@in_loop
async def test_weak_keys_are_refused_before_their_content(tmp_path: Path) -> None:
    """annex.securehashesonly."""
    node = Node(tmp_path, {"annex.securehashesonly": "true"})
    with pytest.raises(RemoteRefused, match=r"annex\.securehashesonly blocked"):
        await begin(node.remote, key_of(SMALL, b"MD5E"))
    await put(node.remote, SMALL)
    assert node.files("transfer") == []
    await node.remote.aclose()


@in_loop
async def test_a_read_only_remote_takes_nothing(node: Node) -> None:
    """But gives, and locks."""
    key = await put(node.remote, SMALL)
    remote = LocalRemote(str(node.path), HERE, read_only=True)
    assert remote.info.read_only
    for verb in ("begin_store", "store_present", "remove"):
        asked = key_of(LARGE) if verb == "begin_store" else key
        with pytest.raises(RemoteRefused, match="read-only"):
            await call(remote, verb, asked)
    assert await read(remote, key) == SMALL
    await lock(remote, key)
    await remote.aclose()
    await node.remote.aclose()


@in_loop
async def test_content_may_start_before_the_offset(node: Node) -> None:
    """What is there already is skipped; content after the offset is a bug of the caller."""
    key = key_of(LARGE)
    with pytest.raises(RemoteUnavailable):
        async with await begin(node.remote, key) as upload:
            await upload.store(broken(LARGE, 0, 1_234_567))
    async with await begin(node.remote, key) as upload:
        assert upload.offset == 1_234_567
        with pytest.raises(LocalProtocolError):
            await upload.store(content_from(LARGE, offset=2_000_000))
    async with await begin(node.remote, key) as upload:
        assert (await upload.store(content_from(LARGE, chunk=100_000))).stored
    assert await read(node.remote, key) == LARGE
    await node.remote.aclose()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("chunk", [1000, 70_000, 3_000_000])
@in_loop
async def test_borrowed_memory_is_not_kept(
    node: Node, kind: type[bytes | bytearray | memoryview], chunk: int
) -> None:
    """A chunk is only valid until the next is asked for."""
    buffer = bytearray(chunk)

    async def chunks() -> AsyncIterator[Chunk]:
        for start in range(0, len(LARGE), chunk):
            piece = LARGE[start : start + chunk]
            buffer[: len(piece)] = piece
            whole = memoryview(buffer)[: len(piece)]
            yield whole if kind is memoryview else kind(whole)
            buffer[:] = b"#" * chunk

    key = key_of(LARGE)
    async with await begin(node.remote, key) as upload:
        assert (await upload.store(StreamContent(chunks(), size=len(LARGE)))).stored
    assert await read(node.remote, key) == LARGE
    await node.remote.aclose()


@pytest.mark.parametrize("partial", [0, 1_234_567])
@in_loop
async def test_memory_is_filled_again_only_when_it_is_written(
    node: Node, monkeypatch: pytest.MonkeyPatch, partial: int
) -> None:
    write = Receiving.write

    def slow(receiving: Receiving, buffers: Sequence[Chunk]) -> None:
        time.sleep(0.005)
        write(receiving, buffers)

    monkeypatch.setattr(Receiving, "write", slow)
    key = key_of(LARGE)
    with pytest.raises(RemoteUnavailable):
        async with await begin(node.remote, key) as upload:
            await upload.store(Filling(LARGE[:partial], fail=RemoteUnavailable("it", "left")))
    async with await begin(node.remote, key) as upload:
        assert upload.offset == partial
        assert (await upload.store(Filling(LARGE, partial))).stored
    assert await read(node.remote, key) == LARGE
    await node.remote.aclose()


@in_loop
async def test_what_is_kept_for_a_resume_does_not_overtake_what_is_being_written(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else bytes would be missing in the middle, and a key without a hash would not show it."""
    write = Receiving.write

    def slow(receiving: Receiving, buffers: Sequence[Chunk]) -> None:
        time.sleep(0.02 if len(buffers) > 1 else 0)
        write(receiving, buffers)

    async def chunks() -> AsyncIterator[Chunk]:
        for start in range(0, 2_100_000, 700_000):
            yield LARGE[start : start + 700_000]
        raise RemoteUnavailable("it", "left")

    monkeypatch.setattr(Receiving, "write", slow)
    key = Key.parse(b"WORM-s%d-m1300000000--name" % len(LARGE))
    with pytest.raises(RemoteUnavailable):
        async with await begin(node.remote, key) as upload:
            await upload.store(StreamContent(chunks(), size=len(LARGE)))
    async with await begin(node.remote, key) as upload:
        assert upload.offset == 2_100_000
        assert (await upload.store(content_from(LARGE, offset=2_100_000, chunk=100_000))).stored
    assert await read(node.remote, key) == LARGE
    await node.remote.aclose()


@in_loop
async def test_content_that_fills_memory_and_starts_before_the_offset(node: Node) -> None:
    key = key_of(LARGE)
    with pytest.raises(RemoteUnavailable):
        async with await begin(node.remote, key) as upload:
            await upload.store(broken(LARGE, 0, 1_000_000))
    async with await begin(node.remote, key) as upload:
        assert (await upload.store(Filling(LARGE))).stored
    assert await read(node.remote, key) == LARGE
    await node.remote.aclose()


@pytest.mark.parametrize("partial", [0, 1_000_000])
@in_loop
async def test_content_that_threads_take(node: Node, partial: int) -> None:
    """It is hashed as it is written, or from the file when there was a part of it."""
    key = key_of(LARGE)
    for data in (LARGE[:-1] + b"?", LARGE):
        if partial:
            with pytest.raises(RemoteUnavailable):
                async with await begin(node.remote, key) as upload:
                    await upload.store(broken(LARGE, 0, partial))
        async with await begin(node.remote, key) as upload:
            assert upload.offset == partial
            result = await upload.store(Taken(data, partial))
            assert result.stored is (data == LARGE)
    assert await read(node.remote, key) == LARGE
    await node.remote.aclose()


@pytest.mark.parametrize("verdict", [True, False])
@in_loop
async def test_a_hash_made_by_others_is_believed(node: Node, verdict: bool) -> None:
    """For a whole upload; the bytes are not hashed twice."""
    key = Key.parse(b"SHA256E-s12--%s.txt" % (b"0" * 64))  # not the hash of anything here
    content = content_from(SMALL)
    digest = content.digest = Digest(verdict)
    async with await begin(node.remote, key) as upload:
        result = await upload.store(content)
    assert result.stored is verdict
    assert digest.asked == 1
    assert await node.remote.check_present(key, caller=CALLER) is verdict
    assert node.files("tmp") == []
    await node.remote.aclose()


@in_loop
async def test_a_hash_of_the_rest_says_nothing_of_the_whole(node: Node) -> None:
    """A resumed upload is hashed from the file."""
    key = key_of(LARGE)
    with pytest.raises(RemoteUnavailable):
        async with await begin(node.remote, key) as upload:
            await upload.store(broken(LARGE, 0, 1_000_000))
    async with await begin(node.remote, key) as upload:
        content = content_from(LARGE, offset=upload.offset, chunk=100_000)
        digest = content.digest = Digest(False)
        assert (await upload.store(content)).stored
    assert digest.asked == 0
    await node.remote.aclose()


@in_loop
async def test_an_offset_probe_keeps_what_is_there(node: Node) -> None:
    """No bytes and not vouched for: the sender has nothing to send."""
    key = key_of(LARGE)
    with pytest.raises(RemoteUnavailable):
        async with await begin(node.remote, key) as upload:
            await upload.store(broken(LARGE, 0, 1_000))
    async with await begin(node.remote, key) as upload:
        nothing = content_from(LARGE, offset=len(LARGE), valid=False)
        nothing.offset = upload.offset
        assert not (await upload.store(nothing)).stored
    async with await begin(node.remote, key) as upload:
        assert upload.offset == 1_000
        short = content_from(LARGE[:5_000], offset=1_000)
        short.size = len(LARGE) - 1_000
        assert await upload.store(short) == StoreResult(False, error="the content broke off")
    async with await begin(node.remote, key) as upload:
        assert upload.offset == 5_000
    await node.remote.aclose()


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
@in_loop
async def test_a_file_is_copied_without_being_read(node: Node, data: bytes) -> None:
    """And verified all the same; also when it goes on where another attempt stopped."""
    source = node.root / "source"
    key = key_of(data)
    source.write_bytes(data[:-1] + b"?")
    async with await begin(node.remote, key) as upload:
        assert not (await upload.store(region_of(source))).stored
    source.write_bytes(data)
    async with await begin(node.remote, key) as upload:
        assert upload.offset == 0
        assert (await upload.store(region_of(source))).stored
    assert await read(node.remote, key) == data
    await node.remote.aclose()


@pytest.mark.parametrize("shared", [True, False])
@in_loop
async def test_who_gives_a_file_hears_how_much_of_it_was_copied(
    node: Node, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    """Where the file system shares blocks, all at once; else piece by piece."""

    def share_blocks(source: int, target: int) -> bool:
        return shared and os.write(target, os.pread(source, len(LARGE), 0)) == len(LARGE)

    monkeypatch.setattr("shoal.git.receive.share_blocks", share_blocks)
    source = node.root / "source"
    source.write_bytes(LARGE)
    content = region_of(source)
    taken: list[tuple[int, int]] = []
    monkeypatch.setattr(content, "took", lambda *piece: taken.append(piece))
    async with await begin(node.remote, key_of(LARGE)) as upload:
        assert (await upload.store(content)).stored
    assert len(taken) == 1 or not shared
    ends = [start + count for start, count in taken]
    assert [start for start, _ in taken] == [0, *ends[:-1]]
    assert ends[-1] == len(LARGE)
    await node.remote.aclose()


@in_loop
async def test_a_hash_of_a_stream_says_nothing_of_a_file(node: Node) -> None:
    """The stream is not read, so its hash would never be ready."""
    source = node.root / "source"
    source.write_bytes(LARGE)
    content = region_of(source)
    digest = content.digest = Digest(False)
    async with await begin(node.remote, key_of(LARGE)) as upload:
        assert (await upload.store(content)).stored
    assert digest.asked == 0
    await node.remote.aclose()


@in_loop
async def test_a_file_goes_on_where_a_stream_stopped(node: Node) -> None:
    """The first part came over the network, the rest is here."""
    source = node.root / "source"
    source.write_bytes(LARGE)
    key = key_of(LARGE)
    with pytest.raises(RemoteUnavailable):
        async with await begin(node.remote, key) as upload:
            await upload.store(broken(LARGE, 0, 1_500_000))
    async with await begin(node.remote, key) as upload:
        assert (await upload.store(region_of(source, upload.offset))).stored
    assert await read(node.remote, key) == LARGE
    await node.remote.aclose()


@in_loop
async def test_a_file_that_is_gone_is_read_as_a_stream(node: Node) -> None:
    """Its content is still there, in an open file of the sender's."""
    content = content_from(SMALL)
    content.region = Region(str(node.root / "gone"), 0, len(SMALL))
    async with await begin(node.remote, key_of(SMALL)) as upload:
        assert (await upload.store(content)).stored
    await node.remote.aclose()


@in_loop
async def test_content_that_changes_is_not_vouched_for(node: Node) -> None:
    """Written in place, or replaced; but content that is removed meanwhile was right."""
    key = await put(node.remote, LARGE)
    path = Path(node.repository.objects.location(key))
    async with node.remote.retrieve(key, caller=CALLER) as content:
        assert content.region == Region(str(path), 0, len(LARGE))
        assert await content.confirm()
        path.chmod(0o644)
        with path.open("r+b") as file:
            file.write(b"changed")
        assert not await content.confirm()
    async with node.remote.retrieve(key, caller=CALLER) as content:
        path.parent.chmod(0o755)
        other = path.with_name("other")
        other.write_bytes(LARGE)
        other.rename(path)
        assert not await content.confirm()
    async with node.remote.retrieve(key, 10, caller=CALLER) as content:
        assert (await node.remote.remove(key, caller=CALLER)).removed
        found = b"".join([bytes(chunk) async for chunk in content.stream()])
        assert found == LARGE[10:]
        assert await content.confirm()
    await node.remote.aclose()


@in_loop
async def test_content_that_shrinks_breaks_off(node: Node) -> None:
    """Never less than was announced, as if that were all."""
    key = await put(node.remote, LARGE)
    path = Path(node.repository.objects.location(key))
    async with node.remote.retrieve(key, caller=CALLER) as content:
        path.chmod(0o644)
        os.truncate(path, 2_500_000)
        with pytest.raises(RemoteUnavailable, match="shorter"):
            async for _ in content.stream():
                pass
    await node.remote.aclose()


@in_loop
async def test_a_removal_at_the_same_time_leaves_no_false_log(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody removes the content after it was placed and before that is recorded."""
    key = key_of(SMALL)
    set_location = AnnexLogs.set_location
    removed: list[bool] = []

    def slow(logs: AnnexLogs, about: Key, repository: UUID, present: bool) -> bool:
        if present and not removed:
            removed.append(True)
            with node.repository.objects.lock_removal(about) as lock:
                lock.remove()
                set_location(logs, about, repository, False)
        return set_location(logs, about, repository, present)

    monkeypatch.setattr(AnnexLogs, "set_location", slow)
    async with await begin(node.remote, key) as upload:
        result = await upload.store(content_from(SMALL))
    assert not result.stored
    assert "removed" in result.error
    assert node.log(key) == f"0 {HERE}"
    await put(node.remote, SMALL)
    assert node.log(key) == f"1 {HERE}"
    await node.remote.aclose()
