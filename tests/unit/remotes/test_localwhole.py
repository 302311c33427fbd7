"""A whole content stored in a repository of this machine, in one step."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

from shoal.errors import (
    NotEnoughSpace,
    RemoteRefused,
    RemoteUnavailable,
    ShoalError,
    TransferInProgress,
)
from shoal.git.receive import Receiving
from shoal.remotes.base import AlreadyPresent, StoreResult
from shoal.remotes.content import WholeContent
from shoal.remotes.local import LocalRemote
from shoal.values.key import Key
from tests.support.annexrepo import HERE, THERE, key_of, make_annex
from tests.support.gitrepo import git
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


# At once, in the event loop


async def prepare(node: Node) -> None:
    """Open the repository, and have it noted which directories its branch has."""
    for number in range(10):
        await node.remote.remove(key_of(b"%d" % number))


def at_once(
    node: Node, data: bytes = SMALL, key: Key = KEY
) -> StoreResult | AlreadyPresent | ShoalError | None:
    return node.remote.store_at_once(key, WholeContent(data), caller=CALLER)


async def nothing_was_done(node: Node) -> None:
    """Check that nothing is left behind, and that a thread can do it."""
    assert node.files("tmp") == node.files("transfer") == node.files("objects") == []
    assert (node.log(KEY), node.changes) == ("", 0)
    assert await store(node.remote) == StoreResult(True)
    assert node.log(KEY) == f"1 {HERE}"
    await node.remote.aclose()


@in_loop
async def test_it_is_stored_at_once(node: Node) -> None:
    await prepare(node)
    assert at_once(node) == StoreResult(True)
    assert node.log(KEY) == f"1 {HERE}"
    assert node.changes == 1
    assert node.files("tmp") == node.files("transfer") == node.files("othertmp") == []
    path = Path(node.repository.objects.location(KEY))
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o444, 0o555)
    assert await read(node.remote, KEY) == SMALL
    assert at_once(node) == AlreadyPresent()
    assert node.changes == 1
    await node.remote.aclose()


@in_loop
async def test_wrong_content_is_found_out_at_once(node: Node) -> None:
    await prepare(node)
    assert at_once(node, b"wrong") == StoreResult(False, error="Verification of content failed")
    assert node.files("tmp") == node.files("objects") == []
    assert (node.log(KEY), node.changes) == ("", 0)
    assert at_once(node) == StoreResult(True)
    assert node.files("transfer") == []
    await node.remote.aclose()


@in_loop
async def test_what_was_not_opened_is_not_used_at_once(node: Node) -> None:
    assert at_once(node) is None
    await nothing_was_done(node)


@pytest.mark.parametrize(
    "setting",
    [
        "annex.fsync=true",
        "annex.thin=true",
        "annex.freezecontent-command=true %path",
        "annex.thawcontent-command=true %path",
        "annex.pidlock=true",
    ],
)
@in_loop
async def test_what_takes_more_is_not_done_at_once(tmp_path: Path, setting: str) -> None:
    name, _, value = setting.partition("=")
    node = Node(tmp_path, config={name: value})
    await prepare(node)
    assert at_once(node) is None
    await nothing_was_done(node)


@in_loop
async def test_a_hook_is_not_run_at_once(node: Node) -> None:
    await prepare(node)
    hook = node.path / "hooks" / "freezecontent-annex"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    assert at_once(node) is None
    hook.unlink()
    await nothing_was_done(node)


@in_loop
async def test_a_repository_with_a_work_tree_takes_its_time(tmp_path: Path) -> None:
    with make_annex(tmp_path / "repo") as repository:
        remote = LocalRemote(repository.path, HERE)
        await remote.check_present(KEY)
        assert remote.store_at_once(KEY, WholeContent(SMALL), caller=CALLER) is None
        assert await store(remote) == StoreResult(True)
        await remote.aclose()


@in_loop
async def test_the_hook_of_a_shell_is_not_run_at_once(node: Node) -> None:
    remote = LocalRemote(str(node.path), HERE, content_hook=True)
    await remote.check_present(KEY)
    assert remote.store_at_once(KEY, WholeContent(SMALL), caller=CALLER) is None
    await remote.aclose()
    await nothing_was_done(node)


@in_loop
async def test_who_refuses_does_not_do_so_at_once(node: Node) -> None:
    """The error is for store_whole() to raise."""
    remote = LocalRemote(str(node.path), HERE, read_only=True)
    await remote.check_present(KEY)
    assert remote.store_at_once(KEY, WholeContent(SMALL), caller=CALLER) is None
    await remote.aclose()
    await nothing_was_done(node)


@in_loop
async def test_a_reserve_is_kept_free_at_once(tmp_path: Path) -> None:
    node = Node(tmp_path, config={"annex.diskreserve": "1000 PB"})
    await prepare(node)
    assert at_once(node) is None
    git(node.path, "config", "annex.diskreserve", "1")
    await nothing_was_done(node)


@pytest.mark.parametrize("name", ["journal", "transfer"])
@in_loop
async def test_a_lock_is_not_waited_for_in_the_event_loop(node: Node, name: str) -> None:
    await prepare(node)
    repository = node.repository
    if name == "journal":
        with repository.locker.exclusive(repository.lock_path("journal")):
            assert at_once(node) is None
    else:
        transfer = repository.objects.transfers.begin_download(KEY, THERE)
        assert at_once(node) is None
        transfer.end(failed=None)
    await nothing_was_done(node)


@in_loop
async def test_a_log_that_git_must_be_asked_for_is_not_read_at_once(node: Node) -> None:
    await prepare(node)
    repository = node.repository
    repository.logs.set_location(KEY, THERE, True)
    repository.branch.commit()
    assert at_once(node) is None
    assert await store(node.remote) == StoreResult(True)
    assert node.log(KEY) == f"1 {HERE}, 1 {THERE}"
    await node.remote.aclose()
    repository.close()


@in_loop
async def test_what_was_done_in_the_meantime_is_not_overwritten_at_once(node: Node) -> None:
    await prepare(node)
    node.repository.logs.set_location(KEY, THERE, True)  # it is in the journal
    assert at_once(node) == StoreResult(True)
    assert node.log(KEY) == f"1 {HERE}, 1 {THERE}"
    await node.remote.aclose()


@in_loop
async def test_an_error_in_the_middle_is_told(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(receiving: Receiving, buffers: object, *, last: bool = False) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    await prepare(node)
    with monkeypatch.context() as broken:
        broken.setattr(Receiving, "write", full)
        assert isinstance(at_once(node), NotEnoughSpace)
    assert (node.log(KEY), node.changes) == ("", 0)
    assert at_once(node) == StoreResult(True)
    assert node.files("transfer") == []
    await node.remote.aclose()


@in_loop
async def test_a_disk_that_was_waited_for_is_left_to_threads(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepare(node)
    now, sleeps = 1000.0, 0
    finish = Receiving.finish

    def slow(receiving: Receiving) -> bool:
        nonlocal now, sleeps
        now, sleeps = now + 0.05, sleeps + 1
        return finish(receiving)

    monkeypatch.setattr("shoal.remotes.shortwork.monotonic", lambda: now)
    monkeypatch.setattr("shoal.remotes.shortwork._times_slept", lambda: sleeps)
    monkeypatch.setattr(Receiving, "finish", slow)
    assert at_once(node) == StoreResult(True)
    other = b"other"
    assert at_once(node, other, key_of(other)) is None
    now += 1
    assert at_once(node, other, key_of(other)) == StoreResult(True)
    await node.remote.aclose()


@in_loop
async def test_nothing_is_written_at_once_where_a_disk_was_mounted(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepare(node)
    monkeypatch.setattr("shoal.remotes.localdisk._LOOK_HOLDS", 0.0)
    assert at_once(node, b"first", key_of(b"first")) == StoreResult(True)
    node.unmount()
    assert at_once(node) is None
    assert list(node.path.parent.iterdir()) == []
    node.mount()
    assert at_once(node) == StoreResult(True)
    await node.remote.aclose()


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
