"""A repository on this machine as a remote: transfers, locks, and giving up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shoal.errors import (
    RemoteRefused,
    RemoteUnavailable,
    TransferInProgress,
)
from shoal.remotes.base import AlreadyPresent, Caller, Remote
from shoal.remotes.content import Chunk, Content, StreamContent
from shoal.remotes.local import LocalRemote
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE, THERE, descriptors, git, key_of, make_annex
from tests.support.localnode import VERBS, Node, call, lock
from tests.support.loop import in_loop
from tests.support.memory_remote import content_from
from tests.support.wait import wait_until
from tests.unit.remotes.contract import (
    CALLER,
    LARGE,
    SMALL,
    RemoteContract,
    begin,
    broken,
    put,
    read,
)


class TestLocalRemote(RemoteContract):
    """A bare repository."""

    @asynccontextmanager
    async def opened(self, directory: Path) -> AsyncIterator[Remote]:
        make_annex(directory / "repo", bare=True).close()
        remote = LocalRemote(str(directory / "repo"), HERE, name="node")
        before = descriptors()
        yield remote
        await remote.aclose()
        assert descriptors() <= before
        assert not list((directory / "repo" / "annex").glob("transfer/*/*/*[!k]/lck.*"))


class TestLocalRemoteWithWorkTree(TestLocalRemote):
    """A repository with a work tree, a shared one, that waits for the disk."""

    @asynccontextmanager
    async def opened(self, directory: Path) -> AsyncIterator[Remote]:
        config = {"core.sharedRepository": "group", "annex.fsync": "true"}
        make_annex(directory / "repo", config=config).close()
        remote = LocalRemote(str(directory / "repo"), HERE, name="node")
        yield remote
        await remote.aclose()


class TestLocalRemoteWithPidLock(RemoteContract):
    """A repository on a file system without locks, which has one lock for everything."""

    @asynccontextmanager
    async def opened(self, directory: Path) -> AsyncIterator[Remote]:
        config = {"annex.pidlock": "true"}
        make_annex(directory / "repo", bare=True, config=config).close()
        remote = LocalRemote(str(directory / "repo"), HERE, name="node")
        yield remote
        await remote.aclose()
        assert not (directory / "repo" / "annex" / "pidlock").exists()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


# Transfers


@in_loop
async def test_failed_transfers_are_left_for_the_user(node: Node) -> None:
    """As the real program leaves them; a success takes them away."""
    key = key_of(LARGE)
    upload = await begin(node.remote, key)
    running = [f"{THERE}/{key}", f"{THERE}/lck.{key}", f"lck/lck.{key}"]
    assert node.files("transfer/download") == running
    with pytest.raises(RemoteUnavailable):
        async with upload:
            await upload.store(broken(LARGE, 0, 100_000))
    assert node.files("transfer") == [f"failed/download/{THERE}/{key}"]
    assert node.files("tmp") == [str(key)]
    await put(node.remote, LARGE)
    assert node.files("transfer") == []
    assert node.files("tmp") == []
    async with node.remote.retrieve(key, file="x", caller=CALLER):
        assert f"upload/{THERE}/{key}" in node.files("transfer")
    with pytest.raises(ConnectionError):
        async with node.remote.retrieve(key, caller=CALLER):
            raise ConnectionError
    await node.remote.aclose()
    assert node.files("transfer") == [f"failed/upload/{THERE}/{key}"]


# Others at the same time


@in_loop
async def test_a_foreign_transfer_is_respected(node: Node) -> None:
    """Another process receives the key."""
    key = key_of(SMALL)
    other = node.repository.objects.receive(key, UUID("other"))
    with pytest.raises(TransferInProgress):
        await begin(node.remote, key)
    other.end(failed=None)
    await put(node.remote, SMALL)
    await node.remote.aclose()


@in_loop
async def test_a_foreign_promise_is_respected(node: Node) -> None:
    """Another process, perhaps a dead one, promised to keep the content."""
    key = await put(node.remote, SMALL)
    lock = node.repository.objects.lock_shared(key, 600)
    refused = await node.remote.remove(key, caller=CALLER)
    assert not refused.removed
    assert refused.error == "content is locked"
    lock.abandon()
    assert not (await node.remote.remove(key, caller=CALLER)).removed
    assert node.log(key) == f"1 {HERE}"
    await node.remote.aclose()


@in_loop
async def test_a_lock_outlives_a_process_by_ten_minutes(node: Node) -> None:
    """The time is on disk while the lock is held, and goes with it."""
    key = await put(node.remote, SMALL)
    directory = Path(node.repository.objects.location(key)).parent
    async with node.remote.lock_content(key, caller=CALLER):
        assert (directory / f"{key}.rtm").exists()
    assert [path.name for path in directory.iterdir()] == [str(key)]
    with node.repository.objects.lock_removal(key):
        with pytest.raises(RemoteRefused, match="content is locked"):
            await lock(node.remote, key)
        assert await node.remote.check_present(key, caller=CALLER)
    await node.remote.aclose()


@in_loop
async def test_unlocked_files_of_a_work_tree_follow(tmp_path: Path) -> None:
    """A node that somebody also works in."""
    repository = make_annex(tmp_path / "repo")
    key = key_of(SMALL)
    file = tmp_path / "repo" / "file"
    file.write_text(f"/annex/objects/{key}\n")
    git(tmp_path / "repo", "add", "file")
    remote = LocalRemote(str(tmp_path / "repo"), HERE, repository=repository)
    await put(remote, SMALL)
    assert file.read_bytes() == SMALL
    await remote.remove(key, caller=CALLER)
    assert file.read_text() == f"/annex/objects/{key}\n"
    await remote.aclose()


@in_loop
async def test_an_odd_client_is_harmless(node: Node) -> None:
    """It may call itself anything, or nothing."""
    for number, name in enumerate(["../../../x", "", "a b", "x" * 500]):
        caller = Caller(UUID(name)) if name else Caller()
        data = b"%d" % number
        upload = await node.remote.begin_store(key_of(data), caller=caller)
        assert not isinstance(upload, AlreadyPresent)
        async with upload:
            assert (await upload.store(content_from(data))).stored
    assert not (node.path / "x").exists()
    assert node.files("transfer") == []
    await node.remote.aclose()


# Giving up


@in_loop
async def test_many_uploads_that_are_given_up_leave_nothing(node: Node) -> None:
    """Neither descriptors nor locks nor tasks nor threads that wait."""
    await node.remote.check_present(key_of(SMALL), caller=CALLER)
    before = descriptors()

    async def upload(number: int) -> None:
        async with await begin(node.remote, key_of(b"%d" % number)) as upload:
            await upload.store(stalled(number))

    def stalled(number: int) -> Content:
        async def chunks() -> AsyncIterator[Chunk]:
            for _ in range(number % 4):
                yield LARGE[: 700_000 * (number % 3)] or b"x"
            await asyncio.Event().wait()

        return StreamContent(chunks(), size=None)

    for number in range(200):
        task = asyncio.create_task(upload(number))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        if number % 5 == 0:
            await asyncio.sleep(0.003)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await node.remote.aclose()
    assert descriptors() <= before
    assert [name for name in node.files("transfer") if not name.startswith("failed/")] == []
    for number in range(200):
        key = key_of(b"%d" % number)
        async with await begin(node.remote, key) as resumed:  # what came was not the key's
            content = content_from(b"%d" % number, offset=resumed.offset)
            stored = (await resumed.store(content)).stored
        if not stored:
            await put(node.remote, b"%d" % number)
    await node.remote.aclose()


@pytest.mark.parametrize("verb", VERBS)
@in_loop
async def test_a_cancelled_call_leaves_nothing(node: Node, verb: str) -> None:
    """Whenever it is cancelled."""
    key = await put(node.remote, LARGE)
    asked = key_of(SMALL) if verb == "begin_store" else key
    before = descriptors()
    for steps in range(12):
        task = asyncio.create_task(call(node.remote, verb, asked))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        try:
            begun = await task
        except asyncio.CancelledError:
            continue
        if verb == "begin_store":
            await begun.aclose()  # type: ignore[attr-defined]  # an Upload
    await node.remote.aclose()
    assert descriptors() <= before
    lasting = [name for name in node.files("transfer") if not name.startswith("failed/")]
    assert lasting == []
    assert not [name for name in node.files("objects") if name.endswith((".lck", ".rtm"))]
    if not await node.remote.check_present(key, caller=CALLER):
        await put(node.remote, LARGE)
    assert (await node.remote.remove(key, caller=CALLER)).removed
    await node.remote.aclose()


@in_loop
async def test_who_reads_does_not_wait_for_who_writes(node: Node) -> None:
    """Another process holds the journal: stores wait for it, and nothing else does."""
    key = await put(node.remote, LARGE)
    locker = node.repository.locker
    with locker.exclusive(node.repository.lock_path("journal")):
        stores = [asyncio.create_task(put(node.remote, b"%d" % number)) for number in range(20)]
        # Eight have placed their object, next to LARGE, and wait to record it.
        await asyncio.to_thread(wait_until, lambda: len(node.files("objects")) == 9)
        assert await read(node.remote, key) == LARGE
        assert not any(task.done() for task in stores)
    await asyncio.gather(*stores)
    assert len(node.files("objects")) == 21
    await node.remote.aclose()
