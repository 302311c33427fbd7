"""Whatever nodes and clients do, a cluster says and records what its nodes hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.errors import NotEnoughSpace, RemoteUnavailable, ShoalError
from shoal.gateway.patience import Limits
from shoal.gateway.select import Unwanted
from shoal.remotes.base import AlreadyPresent, StoreResult
from shoal.remotes.content import Chunk, StreamContent
from shoal.values.uuid import UUID
from tests.support.fake_cluster import FakeCluster, node_uuid
from tests.support.memory_remote import gather, key_of

DATA = bytes(range(256)) * 16
KEY = key_of(DATA)
HASTY = Limits(answer=0.02, stall=0.02, finish=0.02, hedge=0.005, grace=0.01)
SIZES = st.integers(0, len(DATA))


@dataclass(frozen=True)
class NodeStory:
    """What a node is like, and what goes wrong with it."""

    holds: bool
    logged: bool
    wants: bool
    partial: int
    begin: str
    store: str
    after: int


NODES = st.builds(
    NodeStory,
    holds=st.booleans(),
    logged=st.booleans(),
    wants=st.booleans(),
    partial=SIZES,
    begin=st.sampled_from(["works"] * 4 + ["down", "full"]),
    store=st.sampled_from(["works"] * 4 + ["breaks", "full", "hangs"]),
    after=SIZES,
)


@dataclass(frozen=True)
class ClientStory:
    """How the client sends: in chunks, up to some byte, and perhaps wrong content."""

    chunk: int
    until: int | None
    wrong: bool


CLIENTS = st.builds(
    ClientStory,
    chunk=st.integers(1, 2 * len(DATA)),
    until=st.one_of(st.none(), st.none(), SIZES),
    wrong=st.sampled_from([False, False, False, True]),
)


def tell(stories: list[NodeStory], unwanted: Unwanted) -> FakeCluster:
    """Make a cluster of nodes with these stories."""
    rig = FakeCluster(len(stories), limits=HASTY, unwanted=unwanted)
    wanting = {node_uuid(n) for n, story in enumerate(stories, 1) if story.wants}
    rig.records.wanted = lambda uuid, present: uuid in wanting
    for number, story in enumerate(stories, 1):
        remote = rig.remotes[number - 1]
        if story.holds:
            remote.put(DATA)
        elif story.partial:
            remote.partial[KEY] = DATA[: story.partial]
        if story.logged:
            rig.records.log.setdefault(KEY, set()).add(node_uuid(number))
        if story.begin == "down":
            remote.fail("begin_store")
        elif story.begin == "full":
            remote.fail("begin_store", NotEnoughSpace("full"))
        if story.store == "breaks":
            remote.fail("store", after=story.after)
        elif story.store == "full":
            remote.fail("store", NotEnoughSpace("full"), after=story.after)
        elif story.store == "hangs":
            remote.hold("store", after=story.after)
    return rig


def sent(client: ClientStory, offset: int) -> StreamContent:
    """Give what the client sends from `offset` on."""
    whole = b"!" * len(DATA) if client.wrong else DATA

    async def chunks() -> AsyncIterator[Chunk]:
        end = len(whole) if client.until is None else min(client.until, len(whole))
        for start in range(offset, end, client.chunk):
            await asyncio.sleep(0)
            yield whole[start : min(start + client.chunk, end)]
        if end < len(whole):
            raise RemoteUnavailable("client", "gone")

    return StreamContent(chunks(), size=len(whole) - offset, offset=offset)


async def upload(
    rig: FakeCluster, client: ClientStory
) -> StoreResult | AlreadyPresent | ShoalError:
    """Do what a server does with an upload."""
    try:
        begun = await rig.cluster.begin_store(KEY)
        if isinstance(begun, AlreadyPresent):
            return begun
        async with begun:
            return await begun.store(sent(client, begun.offset))
    except ShoalError as error:
        return error


@settings(deadline=None, max_examples=150)
@given(
    stories=st.lists(NODES, min_size=1, max_size=4),
    client=CLIENTS,
    unwanted=st.sampled_from(Unwanted),
)
def test_uploads(stories: list[NodeStory], client: ClientStory, unwanted: Unwanted) -> None:
    asyncio.run(check_upload(stories, client, unwanted))


async def check_upload(stories: list[NodeStory], client: ClientStory, unwanted: Unwanted) -> None:
    rig = tell(stories, unwanted)
    held, logged = set(rig.holders(KEY)), set(rig.logged(KEY))
    answer = await upload(rig, client)
    holders = set(rig.holders(KEY))
    assert all(remote.objects.get(KEY, DATA) == DATA for remote in rig.remotes)
    assert held <= holders
    assert holders - held <= set(rig.logged(KEY))
    assert set(rig.logged(KEY)) - logged <= holders
    assert logged <= set(rig.logged(KEY))
    if isinstance(answer, ShoalError):
        assert set(rig.logged(KEY)) - logged <= holders
    else:
        assert set(answer.stored_in) <= holders
    if isinstance(answer, AlreadyPresent):
        assert answer.stored_in
        assert held == holders
    if isinstance(answer, StoreResult):
        assert answer.stored is bool(holders - held)
        assert holders - held <= set(answer.stored_in)
    if client.wrong and not any(story.partial == len(DATA) for story in stories):
        assert holders == held
    for remote in rig.remotes:
        assert KEY not in remote.partial or client.wrong or DATA.startswith(remote.partial[KEY])
    await rig.patience.aclose()
    for node in rig.nodes:
        assert node.state.in_flight == 0


@settings(deadline=None, max_examples=100)
@given(
    breaks=st.lists(st.one_of(st.none(), SIZES), min_size=1, max_size=4),
    offset=st.integers(0, len(DATA) + 5),
)
def test_downloads(breaks: list[int | None], offset: int) -> None:
    """A download is whole when any node can give it, wherever the others break off."""
    asyncio.run(check_download(breaks, offset))


async def check_download(breaks: list[int | None], offset: int) -> None:
    rig = FakeCluster(len(breaks))
    rig.give(DATA, *range(1, len(breaks) + 1))
    for remote, after in zip(rig.remotes, breaks, strict=True):
        if after is not None:
            remote.fail("retrieve", after=after, times=None)
    whole = None
    error = None
    try:
        async with rig.cluster.retrieve(KEY, offset) as content:
            whole = await gather(content)
    except RemoteUnavailable as unavailable:
        error = unavailable
    if whole is not None:
        assert whole == DATA[offset:]
    else:
        assert None not in breaks
        assert error is not None
    assert rig.idle


@settings(deadline=None, max_examples=100)
@given(
    stories=st.lists(
        st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
        min_size=1,
        max_size=4,
    )
)
def test_presence(stories: list[tuple[bool, bool, bool, bool]]) -> None:
    """Yes only when a node has it; no only when those who should have it said no."""
    asyncio.run(check_presence(stories))


async def check_presence(stories: list[tuple[bool, bool, bool, bool]]) -> None:
    rig = FakeCluster(len(stories))
    up: set[UUID] = set()
    for number, (holds, logged, down, _) in enumerate(stories, 1):
        if holds:
            rig.remotes[number - 1].put(DATA)
        if logged:
            rig.records.log.setdefault(KEY, set()).add(node_uuid(number))
        if down:
            rig.remotes[number - 1].fail("check_present", times=None)
        else:
            up.add(node_uuid(number))
    holders, logged_at = set(rig.holders(KEY)), set(rig.logged(KEY))
    try:
        present = await rig.cluster.check_present(KEY)
    except RemoteUnavailable:
        assert not holders & up
        assert logged_at - up or not up
    else:
        assert present is bool(holders & up)
        if not present:
            assert logged_at <= up
            assert up
    assert set(rig.logged(KEY)) - logged_at <= holders
