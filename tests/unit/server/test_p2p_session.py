"""Serving a remote on a stream: content in both directions, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from shoal.errors import (
    NotEnoughSpace,
    RemoteProtocolError,
    RemoteRefused,
    RemoteUnavailable,
    ShoalError,
    TransferInProgress,
)
from shoal.remotes.base import NOBODY, AlreadyPresent, Caller
from shoal.remotes.content import Content
from shoal.server.p2p_session import serve_p2p
from shoal.transport.memory import memory_streams
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.line_client import CLIENT, session
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote, content_from, key_of
from tests.support.served import FileRemote

NODE = UUID("aaaaaaaa-0000-4000-8000-000000000001")
DATA = bytes(range(256)) * 5000
KEY = key_of(DATA)
UNSIZED = Key.parse(b"URL--http&c%%x")


@in_loop
async def test_content_goes_both_ways() -> None:
    remote = MemoryRemote()
    async with session(remote) as client:
        assert await client.put(KEY, DATA) == "SUCCESS"
        assert remote.objects == {KEY: DATA}
        assert await client.get(KEY) == (DATA, "VALID")
        assert await client.get(KEY, 100) == (DATA[100:], "VALID")
        assert await client.get(KEY, len(DATA) + 7) == (b"", "VALID")
        assert await client.ask(f"CHECKPRESENT {KEY}") == "SUCCESS"
    assert remote.files == ["a_file", "", "", ""]
    assert remote.callers[0] == Caller(CLIENT, frozenset(), 4)
    assert remote.idle


class _AtHand(MemoryRemote):
    """All of its content is at hand."""

    def read_at_once(
        self, key: Key, offset: int, most: int, *, caller: Caller = NOBODY
    ) -> bytes | None:
        data = self.objects.get(key, b"")[offset:]
        return data if key in self.objects and len(data) <= most else None


@in_loop
async def test_content_that_is_at_hand_goes_out_in_one_piece() -> None:
    remote = _AtHand()
    key = remote.put(b"at hand")
    async with session(remote) as client:
        await client.stream.send(b"GET 3  %s\n" % bytes(key))
        assert await client.stream.receive() == b"DATA 4\nhandVALID\n"
        await client.stream.send(b"SUCCESS\n")
        assert await client.get(key, 7) == (b"", "VALID")
        assert remote.calls == []
        assert await client.ask(f"GET 0  {KEY}") == "DATA 0"
        assert await client.line() == b"INVALID"
        await client.stream.send(b"FAILURE\n")
        assert remote.calls == [("retrieve", KEY)]
    async with session(remote, version=0) as client:
        await client.stream.send(b"GET 0  %s\n" % bytes(key))
        assert await client.stream.receive() == b"DATA 7\nat hand"
        await client.stream.send(b"SUCCESS\n")
        assert await client.ask(f"CHECKPRESENT {key}") == "SUCCESS"


@in_loop
async def test_the_remote_learns_for_whom_it_works() -> None:
    remote = MemoryRemote()
    async with session(remote, version=2) as client:
        await client.stream.send(b"BYPASS gw1 gw2\n")
        await client.ask(f"CHECKPRESENT {KEY}")
    assert remote.callers == [Caller(CLIENT, frozenset({UUID("gw1"), UUID("gw2")}), 2)]


@in_loop
async def test_files_are_sent_as_files(tmp_path: Path) -> None:
    remote = FileRemote(folder=tmp_path)
    key = remote.keep(DATA)
    async with session(remote) as client:
        assert await client.get(key, 1000) == (DATA[1000:], "VALID")
        remote.changing.add(key)
        assert await client.get(key) == (DATA, "INVALID")
    assert [content.skipped for content in remote.opened] == [None, None]  # not read by us


@in_loop
async def test_a_file_that_shrank_ends_the_session(tmp_path: Path) -> None:
    remote = FileRemote(folder=tmp_path)
    key = remote.keep(DATA)
    remote.file(key).write_bytes(DATA[:1000])
    async with session(remote, ends=RemoteUnavailable) as client:
        assert await client.ask(f"GET 0  {key}") == f"DATA {len(DATA)}"
        assert await client.read(len(DATA)) == DATA[:1000]


@dataclass
class _Unsized(MemoryRemote):
    """Its content does not say how large it is."""

    breaks: bool = False

    def retrieve(
        self, key: Key, offset: int = 0, *, file: str = "", caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Content]:
        return self._unsized(key, offset)

    @asynccontextmanager
    async def _unsized(self, key: Key, offset: int) -> AsyncIterator[Content]:
        if self.breaks:
            self.fail("retrieve", after=10)
        async with super().retrieve(key, offset) as content:
            content.size = None
            yield content


@in_loop
async def test_content_of_unknown_size_is_measured_first() -> None:
    remote = _Unsized(objects={UNSIZED: b"from a URL", KEY: DATA})
    async with session(remote) as client:
        assert await client.get(UNSIZED) == (b"from a URL", "VALID")
        assert await client.get(UNSIZED, 5) == (b"a URL", "VALID")
        assert await client.get(KEY, 5) == (DATA[5:], "VALID")
        remote.breaks = True
        assert (await client.ask(f"GET 0  {UNSIZED}")).startswith("ERROR ")
        await client.stream.send(b"ERROR expected DATA\n")
        assert await client.ask(f"CHECKPRESENT {UNSIZED}") == "SUCCESS"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RemoteUnavailable("node", "/srv/node is gone"), 'remote "node" is not available'),
        (RemoteRefused("cannot open /srv/node/x: no"), "cannot open (path): no"),
        (OSError(5, "Input/output error", "/srv/node"), "the server could not do that "
         "(Input/output error)"),
    ],
)  # fmt: skip
@in_loop
async def test_what_is_not_known_is_an_error(error: Exception, text: str) -> None:
    """Neither FAILURE, nor the DATA 0 of what is absent; and no path of the server's."""
    remote = MemoryRemote()
    key = remote.put(DATA)
    async with session(remote) as client:
        for verb, line in (
            ("check_present", f"CHECKPRESENT {key}"),
            ("remove", f"REMOVE {key}"),
            ("remove", f"REMOVE-BEFORE 5 {key}"),
            ("timestamp", "GETTIMESTAMP"),
            ("retrieve", f"GET 0  {key}"),
            ("begin_store", f"PUT  {key}"),
        ):
            remote.fail(verb, error)
            assert await client.ask(line) == f"ERROR {text}"
        remote.fail("lock_content", error)
        assert await client.ask(f"LOCKCONTENT {key}") == "FAILURE"
        assert await client.ask(f"CHECKPRESENT {key}") == "SUCCESS"
    assert client.reports == [text] * 7


@pytest.mark.parametrize("error", [TransferInProgress(), NotEnoughSpace("full")])
@in_loop
async def test_an_upload_that_cannot_be_taken_is_refused_before_it_is_sent(
    error: ShoalError,
) -> None:
    remote = MemoryRemote()
    remote.fail("begin_store", error)
    async with session(remote) as client:
        assert await client.ask(f"PUT  {KEY}") == f"ERROR {error}"
        await client.stream.send(b"ERROR expected PUT_FROM or ALREADY_HAVE\n")
        assert await client.put(KEY, DATA) == "SUCCESS"


@in_loop
async def test_a_node_that_breaks_in_an_upload() -> None:
    remote = MemoryRemote()
    remote.fail("store", after=100_000)
    async with session(remote) as client:
        assert await client.put(KEY, DATA) == "FAILURE"
        assert len(remote.partial[KEY]) == 100_000
        assert await client.put(KEY, DATA, offset=100_000) == "SUCCESS"
    assert remote.idle


@in_loop
async def test_a_client_that_goes_away_in_a_download() -> None:
    remote = MemoryRemote()
    key = remote.put(DATA)
    async with session(remote, ends=RemoteUnavailable) as client:
        await client.ask(f"GET 0  {key}")
        await client.stream.aclose()


@in_loop
async def test_content_that_breaks_off_ends_the_session() -> None:
    """There is no other way to say it once the length was announced."""
    remote = MemoryRemote()
    key = remote.put(DATA)
    remote.fail("retrieve", after=60_000)
    async with session(remote, ends=RemoteUnavailable) as client:
        assert await client.ask(f"GET 0  {key}") == f"DATA {len(DATA)}"
        assert await client.read(len(DATA)) == DATA[:60_000]


@in_loop
async def test_changed_content_is_announced() -> None:
    remote = MemoryRemote()
    key = remote.put(DATA)
    remote.changing.add(key)
    async with session(remote) as client:
        assert await client.get(key) == (DATA, "INVALID")


@in_loop
async def test_an_offset_probe_keeps_what_is_there() -> None:
    remote = MemoryRemote(partial={KEY: DATA[:50]})
    async with session(remote) as client:
        for _ in range(2):
            assert await client.ask(f"PUT  {KEY}") == "PUT-FROM 50"
            assert await client.send(b"", "INVALID") == "FAILURE"
        assert await client.put(KEY, DATA, offset=50) == "SUCCESS"


@in_loop
async def test_a_complete_partial_file_needs_no_more_bytes() -> None:
    remote = MemoryRemote(partial={KEY: DATA})
    async with session(remote) as client:
        assert await client.put(KEY, DATA, offset=len(DATA)) == "SUCCESS"


@in_loop
async def test_who_else_has_it_is_told() -> None:
    remote = MemoryRemote(stored_in=(NODE,))
    async with session(remote) as client:
        assert await client.put(KEY, DATA) == f"SUCCESS-PLUS {NODE}"
        assert await client.ask(f"PUT  {KEY}") == f"ALREADY-HAVE-PLUS {NODE}"
        assert await client.ask(f"REMOVE {KEY}") == f"SUCCESS-PLUS {NODE}"
    async with session(remote, version=1) as client:
        assert await client.put(KEY, DATA) == "SUCCESS"
        assert await client.ask(f"PUT  {KEY}") == "ALREADY-HAVE"


@in_loop
async def test_a_lock_is_held_until_the_next_message() -> None:
    remote = MemoryRemote()
    key = remote.put(DATA)
    async with session(remote) as client:
        assert await client.ask(f"LOCKCONTENT {key}") == "SUCCESS"
        assert not remote.idle
        await client.stream.send(b"UNLOCKCONTENT\n")
        assert await client.ask(f"REMOVE {key}") == "SUCCESS"
        assert await client.ask(f"LOCKCONTENT {key}") == "FAILURE"
    assert remote.idle


@in_loop
async def test_a_lock_ends_with_its_session() -> None:
    remote = MemoryRemote()
    key = remote.put(DATA)
    async with session(remote) as client:
        assert await client.ask(f"LOCKCONTENT {key}") == "SUCCESS"
    assert remote.idle
    async with session(remote) as client:
        remote.fail("unlock")
        await client.ask(f"LOCKCONTENT {key}")
        await client.stream.send(b"UNLOCKCONTENT\n")
        assert await client.ask(f"REMOVE {key}") == "ERROR content is locked"
    assert remote.idle


@in_loop
async def test_data_present() -> None:
    remote = MemoryRemote()
    async with session(remote) as client:
        assert await client.ask(f"PUT f {KEY}") == "PUT-FROM 0"
        assert await client.ask("DATA-PRESENT") == "FAILURE"
        assert await client.ask(f"PUT f {KEY}") == "PUT-FROM 0"
        remote.objects[KEY] = DATA
        assert await client.ask("DATA-PRESENT") == "SUCCESS"
        assert await client.ask(f"PUT f {KEY}") == "ALREADY-HAVE"
        remote.objects.clear()
        assert await client.ask(f"PUT f {KEY}") == "PUT-FROM 0"
        remote.fail("store_present")
        assert (await client.ask("DATA-PRESENT")).startswith("ERROR ")
    assert remote.idle


@in_loop
async def test_nonsense_ends_the_session() -> None:
    async with session(MemoryRemote(), ends=RemoteProtocolError) as client:
        await client.stream.send(b"x" * 40_000)
        assert await client.stream.receive() == b""


@pytest.mark.parametrize("verb", ["check_present", "begin_store", "remove", "lock_content"])
@in_loop
async def test_a_cancelled_session_leaves_nothing(verb: str) -> None:
    remote = MemoryRemote()
    key = remote.put(DATA) if verb != "begin_store" else KEY
    words = {"check_present": "CHECKPRESENT", "begin_store": "PUT ", "remove": "REMOVE"}
    gate = remote.hold(verb)
    here, there = memory_streams()
    serving = asyncio.create_task(serve_p2p(remote, there))
    await here.send(f"{words.get(verb, 'LOCKCONTENT')} {key}\n".encode())
    await gate.reached()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert remote.idle


@pytest.mark.parametrize("after", [0, 100_000])
@in_loop
async def test_a_session_cancelled_in_an_upload_keeps_what_came(after: int) -> None:
    remote = MemoryRemote()
    gate = remote.hold("store", after=after)
    here, there = memory_streams(limit=2 * len(DATA))
    serving = asyncio.create_task(serve_p2p(remote, there))
    await here.send(f"PUT  {KEY}\nDATA {len(DATA)}\n".encode() + DATA)
    await gate.reached()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert remote.idle
    assert len(remote.partial.get(KEY, b"")) == after
    begun = await remote.begin_store(KEY)
    assert not isinstance(begun, AlreadyPresent)
    async with begun as upload:
        assert (await upload.store(content_from(DATA, offset=after, chunk=99_999))).stored
