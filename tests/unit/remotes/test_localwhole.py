"""A whole content stored in a repository of this machine, in one step."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

from shoal.errors import NotEnoughSpace, RemoteRefused, RemoteUnavailable, TransferInProgress
from shoal.git.receive import Receiving
from shoal.remotes.base import AlreadyPresent, StoreResult
from shoal.remotes.content import WholeContent
from shoal.remotes.local import LocalRemote
from shoal.values.key import Key
from tests.support.annexrepo import HERE, key_of
from tests.support.localnode import Node
from tests.support.loop import in_loop
from tests.unit.remotes.contract import CALLER, SMALL, begin, read

KEY = key_of(SMALL)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


class Agreed:
    """Counts how often a remote agreed to take a content."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


async def store(
    remote: LocalRemote, data: bytes = SMALL, key: Key = KEY, agreed: Agreed | None = None
) -> StoreResult | AlreadyPresent:
    return await remote.store_whole(
        key, WholeContent(data), caller=CALLER, agreed=agreed or Agreed()
    )


@in_loop
async def test_it_is_logged_and_leaves_nothing_else(node: Node) -> None:
    assert await store(node.remote) == StoreResult(True)
    assert node.log(KEY) == f"1 {HERE}"
    assert node.changes == 1
    assert node.files("tmp") == node.files("transfer") == node.files("othertmp") == []
    assert await read(node.remote, KEY) == SMALL
    await node.remote.aclose()


@in_loop
async def test_what_is_there_stays_and_is_not_logged_anew(node: Node) -> None:
    await store(node.remote)
    before = os.stat(node.repository.objects.location(KEY))
    agreed = Agreed()
    assert await store(node.remote, b"not looked at", agreed=agreed) == AlreadyPresent()
    assert os.stat(node.repository.objects.location(KEY)) == before
    assert (agreed.times, node.changes) == (0, 1)
    await node.remote.aclose()


@in_loop
async def test_a_content_that_is_wrong_leaves_nothing(node: Node) -> None:
    agreed = Agreed()
    result = await store(node.remote, b"wrong", agreed=agreed)
    assert result == StoreResult(False, error="Verification of content failed")
    assert (agreed.times, node.changes) == (1, 0)
    assert node.files("tmp") == node.files("objects") == []
    assert node.log(KEY) == ""
    await node.remote.aclose()


@in_loop
async def test_one_who_is_sending_already_comes_first(node: Node) -> None:
    agreed = Agreed()
    async with await begin(node.remote, KEY):
        with pytest.raises(TransferInProgress):
            await store(node.remote, agreed=agreed)
    assert agreed.times == 0
    assert await store(node.remote) == StoreResult(True)
    await node.remote.aclose()


@in_loop
async def test_a_repository_that_is_read_only_refuses(node: Node) -> None:
    remote = LocalRemote(str(node.path), HERE, read_only=True)
    agreed = Agreed()
    with pytest.raises(RemoteRefused):
        await store(remote, agreed=agreed)
    assert agreed.times == 0
    await remote.aclose()


@in_loop
async def test_the_reserve_of_the_disk_is_kept_free(tmp_path: Path) -> None:
    node = Node(tmp_path, config={"annex.diskreserve": "1000 PB"})
    agreed = Agreed()
    with pytest.raises(NotEnoughSpace):
        await store(node.remote, agreed=agreed)
    assert agreed.times == 0
    assert node.files("transfer") == []
    await node.remote.aclose()


@in_loop
async def test_a_disk_that_is_full_keeps_no_lock(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(receiving: Receiving, buffers: object, *, last: bool = False) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    agreed = Agreed()
    with monkeypatch.context() as broken:
        broken.setattr(Receiving, "write", full)
        with pytest.raises(NotEnoughSpace):
            await store(node.remote, agreed=agreed)
    assert agreed.times == 1
    assert node.log(KEY) == ""
    assert await store(node.remote) == StoreResult(True)
    await node.remote.aclose()


@in_loop
async def test_nothing_is_written_where_a_disk_was_mounted(node: Node) -> None:
    await store(node.remote, b"first", key_of(b"first"))
    node.unmount()
    with pytest.raises(RemoteUnavailable):
        await store(node.remote)
    assert list(node.path.parent.iterdir()) == []
    node.mount()
    assert await store(node.remote) == StoreResult(True)
    await node.remote.aclose()


@in_loop
async def test_who_waits_for_the_journal_holds_up_no_other_disk(tmp_path: Path) -> None:
    """Another process may hold its lock for long."""
    nodes = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        nodes.append(Node(tmp_path / name))
    lock = nodes[0].repository.locker.exclusive(nodes[0].repository.lock_path("journal"))
    waiting = asyncio.create_task(store(nodes[0].remote))
    assert await store(nodes[1].remote) == StoreResult(True)
    assert not waiting.done()
    lock.release()
    assert await waiting == StoreResult(True)
    for node in nodes:
        assert node.log(KEY) == f"1 {HERE}"
        await node.remote.aclose()


@in_loop
async def test_a_store_that_nobody_waits_for_ends_as_it_should(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    finish = Receiving.finish

    def slow(receiving: Receiving) -> bool:
        reached.set()
        assert go_on.wait(30)
        return finish(receiving)

    monkeypatch.setattr(Receiving, "finish", slow)
    task = asyncio.create_task(store(node.remote))
    await asyncio.to_thread(reached.wait, 30)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await node.remote.aclose()
    assert node.log(KEY) == f"1 {HERE}"
    assert node.files("transfer") == []


def test_a_content_is_hashed_once_for_all() -> None:
    content = WholeContent(SMALL)
    assert content.is_content_of(KEY)
    assert content.is_content_of(key_of(b"other")) is False
    content.data = b"changed"  # nobody does: only to see that nothing is hashed again
    assert content.is_content_of(KEY)
    worm = Key.parse(b"WORM-s12-m1300000000--name")
    assert WholeContent(SMALL).is_content_of(worm)
    assert WholeContent(SMALL).is_content_of(Key.parse(b"WORM-m1300000000--name")) is None
    vurl = Key.parse(b"VURL--http&c%%x")
    assert WholeContent(SMALL).is_content_of(vurl, [KEY])
    assert not WholeContent(SMALL).is_content_of(vurl, [key_of(b"other")])
