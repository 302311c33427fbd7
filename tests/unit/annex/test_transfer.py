"""A transfer streams from one remote to another, resumes, and retries while it gets on."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.annex.transfer import Retries, Transfer, Transferred
from shoal.errors import KeyNotPresent, RemoteRefused, RemoteUnavailable
from shoal.remotes.base import Caller
from shoal.values.uuid import UUID
from tests.support.localnode import Node
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote

HERE, A, B = UUID("u-here"), UUID("u-a"), UUID("u-b")
CONTENT = bytes(range(256)) * 1000


def pair() -> tuple[MemoryRemote, MemoryRemote]:
    return MemoryRemote(A, "a"), MemoryRemote(B, "b")


class Naps:
    """Records sleeps instead of sleeping."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


@in_loop
async def test_a_whole_transfer() -> None:
    source, target = pair()
    key = source.put(CONTENT)
    seen: list[int] = []
    done = await Transfer(key, source, target, HERE, "f.txt").run(seen.append)
    assert done == Transferred(True)
    assert target.objects[key] == CONTENT
    assert seen == sorted(seen)
    assert seen[-1] == len(CONTENT)
    assert source.files == target.files == ["f.txt"]
    assert target.idle


@in_loop
async def test_a_file_that_is_copied_in_the_kernel_makes_progress(tmp_path: Path) -> None:
    nodes = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        nodes.append(Node(tmp_path / name))
    memory, (source, target) = MemoryRemote(A, "a"), (node.remote for node in nodes)
    key = memory.put(CONTENT)
    await Transfer(key, memory, source, HERE).run()
    seen: list[int] = []
    assert (await Transfer(key, source, target, HERE).run(seen.append)).stored
    assert seen == [len(CONTENT)]
    for node in nodes:
        await node.remote.aclose()


@in_loop
async def test_the_end_is_told_when_nothing_was_left_to_send() -> None:
    source, target = pair()
    key = source.put(CONTENT)
    target.partial[key] = CONTENT
    seen: list[int] = []
    assert (await Transfer(key, source, target, HERE).run(seen.append)).stored
    assert seen == [len(CONTENT)]


@in_loop
async def test_what_is_there_is_not_sent() -> None:
    source, target = pair()
    key = source.put(CONTENT)
    target.put(CONTENT)
    target.stored_in = (UUID("u-node"),)
    done = await Transfer(key, source, target, HERE).run()
    assert done == Transferred(True, already=True, stored_in=(UUID("u-node"),))
    assert source.calls == []


@in_loop
async def test_each_side_hears_for_whom_it_works() -> None:
    source, target = pair()
    key = source.put(CONTENT)
    await Transfer(key, source, target, HERE).run()
    assert {call.uuid for call in (*source.callers, *target.callers)} - {None} == {HERE}
    here = MemoryRemote(HERE, "here")
    await Transfer(key, target, here, HERE).run()
    assert here.callers[0] == Caller(B)
    assert target.callers[-1] == Caller(HERE)


@in_loop
async def test_a_transfer_that_broke_off_resumes() -> None:
    source, target = pair()
    key = source.put(CONTENT)
    source.fail("retrieve", after=100_000)
    seen: list[int] = []
    done = await Transfer(key, source, target, HERE).run(seen.append)
    assert done.stored
    assert target.objects[key] == CONTENT
    assert seen == sorted(seen)
    assert [verb for verb, _ in source.calls] == ["retrieve", "retrieve"]


@in_loop
async def test_an_attempt_that_gets_no_further_is_the_last() -> None:
    source, target = pair()
    key = source.put(CONTENT)
    source.fail("retrieve", after=1000, times=None)
    with pytest.raises(RemoteUnavailable):
        await Transfer(key, source, target, HERE).run(retries=Retries(forward=5))
    # The first attempt moved 1000 bytes, the second no more than that.
    assert [verb for verb, _ in source.calls] == ["retrieve"] * 2
    assert len(target.partial[key]) == 2000
    assert target.idle


@in_loop
async def test_retries_wait_longer_each_time() -> None:
    source, target = pair()
    key = source.put(CONTENT)
    target.fail("begin_store", times=3)
    naps = Naps()
    done = await Transfer(key, source, target, HERE).run(
        retries=Retries(forward=5, any=3, delay=2.0), sleep=naps
    )
    assert done.stored
    assert naps.taken == [2.0, 4.0, 8.0]


@in_loop
async def test_without_retries_the_first_failure_counts() -> None:
    source, target = pair()
    key = source.put(CONTENT)
    target.fail("begin_store")
    with pytest.raises(RemoteUnavailable):
        await Transfer(key, source, target, HERE).run()


@in_loop
async def test_an_absent_key_and_a_refusal_are_not_retried() -> None:
    source, target = pair()
    key = source.put(CONTENT)
    source.objects.clear()
    naps = Naps()
    with pytest.raises(KeyNotPresent):
        await Transfer(key, source, target, HERE).run(retries=Retries(any=9), sleep=naps)
    source.put(CONTENT)
    target.read_only = True
    with pytest.raises(RemoteRefused):
        await Transfer(key, source, target, HERE).run(retries=Retries(any=9), sleep=naps)
    assert naps.taken == []
    assert target.idle


@in_loop
async def test_content_that_is_not_the_keys_is_not_stored() -> None:
    source, target = pair()
    key = source.put(CONTENT)
    source.objects[key] = CONTENT[:-1] + b"x"
    done = await Transfer(key, source, target, HERE).run()
    assert done == Transferred(False, error="Verification of content failed")
    assert target.objects == {}
