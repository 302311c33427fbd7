"""Storing one content on several nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from shoal.errors import NotEnoughSpace, RemoteUnavailable
from shoal.gateway.node import Node
from shoal.gateway.patience import Limits, NodeTimeout, Patience
from shoal.gateway.spread import Results, spread
from shoal.remotes.base import NOBODY, AlreadyPresent, Caller, StoreResult, Upload
from shoal.remotes.content import CHUNK_SIZE, Chunk, Content, StreamContent
from shoal.values.backend import Verifier, verifier
from shoal.values.key import Key
from tests.support.fake_cluster import NodeRemote, node_uuid
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote, MemoryUpload, content_from, key_of

DATA = bytes(range(256)) * 1000
KEY = key_of(DATA)

LIMITS = Limits(stall=0.1, finish=0.2, grace=0.1)  # of the rig's clock, but for grace


class SlowAtTheEnd(NodeRemote):
    """Its uploads can be held up at `finish`, when all bytes are there."""

    async def begin_store(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> Upload | AlreadyPresent:
        upload = await super().begin_store(key, file=file, caller=caller)
        assert isinstance(upload, MemoryUpload)
        return _SlowUpload(self, key)


class _SlowUpload(MemoryUpload):
    def __init__(self, remote: MemoryRemote, key: Key) -> None:
        super().__init__(remote, key)
        self._node = remote

    async def store(self, content: Content) -> StoreResult:
        return await super().store(_Ending(content, self._node))


class _Ending(StreamContent):
    def __init__(self, content: Content, node: MemoryRemote) -> None:
        super().__init__(content.stream(), size=content.size, offset=content.offset)
        self.digest = content.digest
        self._content = content
        self._node = node

    async def confirm(self) -> bool:
        await self._node.called("finish", None, NOBODY)
        return await self._content.confirm()


@dataclass
class Rig:
    """Nodes with an upload of KEY open on each."""

    count: int = 2
    patience: Patience = field(default_factory=lambda: Patience(LIMITS))
    partial: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.remotes = [SlowAtTheEnd(node_uuid(n), f"n{n}") for n in range(1, self.count + 1)]
        for number, data in self.partial.items():
            self.remotes[number - 1].partial[KEY] = data
        self.now = 1000.0
        self.results: Results = {}
        self.uploads: dict[Node, Upload] = {}

    async def spread(self, content: Content, check: Verifier | None = None) -> None:
        for remote in self.remotes:
            upload = await remote.begin_store(KEY)
            assert isinstance(upload, Upload)
            self.uploads[Node(remote, self.patience)] = upload
        try:
            await spread(
                self.uploads, content, check, self.patience, self.results, lambda: self.now
            )
        finally:
            for upload in self.uploads.values():
                await upload.aclose()

    def result(self, number: int) -> StoreResult | Exception:
        return self.results[node_uuid(number)]

    def holders(self) -> list[str]:
        return [remote.name for remote in self.remotes if remote.objects.get(KEY) == DATA]


@in_loop
async def test_all_nodes_store() -> None:
    rig = Rig(3)
    await rig.spread(content_from(DATA, chunk=10_000), verifier(KEY))
    assert rig.holders() == ["n1", "n2", "n3"]
    assert rig.results == {node_uuid(n): StoreResult(True) for n in (1, 2, 3)}


@in_loop
async def test_nobody_hashes_what_all_nodes_verify_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check = verifier(KEY)
    assert check is not None
    monkeypatch.setattr(_SlowUpload, "uses_digest", False)
    rig = Rig(2)
    await rig.spread(content_from(DATA), check)
    assert rig.holders() == ["n1", "n2"]
    assert not check.matches()  # it was not fed


@in_loop
async def test_each_node_goes_on_from_its_own_offset() -> None:
    rig = Rig(3, partial={1: DATA[:150_000], 2: DATA[:60_000], 3: DATA[:40_000]})
    await rig.spread(content_from(DATA, offset=40_000, chunk=7_777), verifier(KEY))
    assert rig.holders() == ["n1", "n2", "n3"]


@in_loop
async def test_a_node_that_has_all_but_the_end() -> None:
    rig = Rig(2, partial={1: DATA})
    await rig.spread(content_from(DATA, chunk=7_777), verifier(KEY))
    assert rig.holders() == ["n1", "n2"]


@in_loop
async def test_a_failing_node_leaves_and_the_others_go_on() -> None:
    rig = Rig(3)
    rig.remotes[0].fail("store", after=1000)
    rig.remotes[1].fail("store", NotEnoughSpace("full"))
    await rig.spread(content_from(DATA, chunk=10_000), verifier(KEY))
    assert rig.holders() == ["n3"]
    assert isinstance(rig.result(1), RemoteUnavailable)
    assert isinstance(rig.result(2), NotEnoughSpace)
    assert rig.remotes[0].partial[KEY] == DATA[:1000]


@in_loop
async def test_an_error_of_the_system_is_a_nodes_failure_and_shows_no_path() -> None:
    rig = Rig(2)
    rig.remotes[0].fail("store", OSError(5, "Input/output error", "/srv/secret"), after=5)
    await rig.spread(content_from(DATA, chunk=10_000), verifier(KEY))
    assert rig.holders() == ["n2"]
    assert str(rig.result(1)) == 'remote "n1" is not available (Input/output error)'


@in_loop
async def test_a_stalling_node_is_given_up() -> None:
    rig = Rig(2)
    gate = rig.remotes[0].hold("store", after=1000)
    storing = asyncio.create_task(rig.spread(content_from(DATA, chunk=10_000), verifier(KEY)))
    await gate.reached()
    rig.now += 0.05
    await asyncio.sleep(0.05)
    assert not storing.done()
    rig.now += 0.2
    await storing
    assert rig.holders() == ["n2"]
    assert str(rig.result(1)) == 'remote "n1" is not available (it took nothing for 0.1 s)'
    assert next(iter(rig.uploads)).state.failures == 1
    gate.open()


@in_loop
async def test_a_node_that_stalls_at_the_very_end_is_given_up_later() -> None:
    """Flushing and verifying may take longer than taking a batch."""
    rig = Rig(2)
    gate = rig.remotes[0].hold("finish")
    storing = asyncio.create_task(rig.spread(content_from(DATA, chunk=10_000), verifier(KEY)))
    await gate.reached()
    rig.now += 0.15
    await asyncio.sleep(0.05)
    assert not storing.done()
    rig.now += 0.1
    await storing
    assert rig.holders() == ["n2"]
    assert isinstance(rig.result(1), NodeTimeout)
    gate.open()


@in_loop
async def test_a_slow_source_is_no_stall_of_the_nodes() -> None:
    rig = Rig(2)

    async def chunks() -> AsyncIterator[Chunk]:
        yield DATA[:10]
        rig.now += 100
        await asyncio.sleep(0.05)
        yield DATA[10:]

    await rig.spread(StreamContent(chunks(), size=len(DATA)), verifier(KEY))
    assert rig.holders() == ["n1", "n2"]


@in_loop
async def test_when_the_source_breaks_off_all_nodes_keep_what_came() -> None:
    async def chunks() -> AsyncIterator[Chunk]:
        yield DATA[:50_000]
        raise ConnectionResetError("client gone")

    rig = Rig(2, partial={2: DATA[:20_000]})
    with pytest.raises(ConnectionResetError):
        await rig.spread(StreamContent(chunks(), size=len(DATA)), verifier(KEY))
    assert [remote.partial[KEY] for remote in rig.remotes] == [DATA[:50_000]] * 2
    assert all(isinstance(result, RemoteUnavailable) for result in rig.results.values())
    assert [node.state.failures for node in rig.uploads] == [0, 0]  # it was not their fault


@in_loop
async def test_when_it_is_cancelled_all_nodes_keep_what_came() -> None:
    gate = asyncio.Event()

    async def chunks() -> AsyncIterator[Chunk]:
        yield DATA[:CHUNK_SIZE]
        gate.set()
        await asyncio.Event().wait()

    rig = Rig(2)
    task = asyncio.create_task(rig.spread(StreamContent(chunks(), size=len(DATA))))
    await gate.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(remote.idle for remote in rig.remotes)
    assert rig.results == {}


@in_loop
async def test_the_source_is_not_read_on_when_no_node_is_left() -> None:
    given = 0

    async def chunks() -> AsyncIterator[Chunk]:
        nonlocal given
        for _ in range(100):
            given += 1
            yield bytes(CHUNK_SIZE)

    rig = Rig(2)
    for remote in rig.remotes:
        remote.fail("store")
    await rig.spread(StreamContent(chunks(), size=100 * CHUNK_SIZE), verifier(KEY))
    assert given < 10
    assert all(isinstance(result, RemoteUnavailable) for result in rig.results.values())


@in_loop
async def test_an_idle_source_does_not_hold_up_a_failure() -> None:
    """The client may be waiting for the answer before it sends more."""

    async def chunks() -> AsyncIterator[Chunk]:
        yield b"x"
        await asyncio.Event().wait()

    rig = Rig(1)
    rig.remotes[0].fail("store")
    await rig.spread(StreamContent(chunks(), size=100))
    assert isinstance(rig.result(1), RemoteUnavailable)


@in_loop
async def test_wrong_content_is_stored_nowhere() -> None:
    rig = Rig(2)
    await rig.spread(content_from(b"!" * len(DATA)), verifier(KEY))
    assert rig.results == {
        node_uuid(n): StoreResult(False, error="Verification of content failed") for n in (1, 2)
    }


class CountingVerifier:
    """Counts how many bytes are hashed."""

    def __init__(self, key: Key) -> None:
        found = verifier(key)
        assert found is not None
        self.hashed = 0
        self._verifier = found

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        self.hashed += len(data)
        self._verifier.update(data)

    def matches(self) -> bool:
        return self._verifier.matches()


@pytest.mark.parametrize("chunk", [1000, 100_000, len(DATA)])
@in_loop
async def test_the_bytes_are_hashed_once_for_all_nodes(chunk: int) -> None:
    rig = Rig(3)
    counting = CountingVerifier(KEY)
    await rig.spread(content_from(DATA, chunk=chunk), counting)
    assert counting.hashed == len(DATA)
    assert rig.holders() == ["n1", "n2", "n3"]


@in_loop
async def test_a_resumed_node_is_not_told_a_digest_of_other_bytes() -> None:
    """Its first part came from somewhere else, and may be wrong."""
    rig = Rig(2, partial={1: b"!" * 1000})
    await rig.spread(content_from(DATA), verifier(KEY))
    assert rig.holders() == ["n2"]
    assert rig.result(1) == StoreResult(False, error="Verification of content failed")


@in_loop
async def test_a_bug_in_one_store_leaves_the_others_results() -> None:
    rig = Rig(2)
    rig.remotes[0].fail("store", ZeroDivisionError())
    await rig.spread(content_from(DATA), verifier(KEY))
    assert isinstance(rig.result(1), ZeroDivisionError)
    assert rig.result(2) == StoreResult(True)
