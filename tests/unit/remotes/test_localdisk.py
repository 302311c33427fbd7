"""A repository whose disk is away, is another, is full, or gives errors."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from shoal.errors import (
    NotEnoughSpace,
    RemoteRefused,
    RemoteUnavailable,
    TransferInProgress,
)
from shoal.remotes.content import AT_ONCE
from shoal.remotes.local import LocalRemote
from shoal.values.key import Key
from tests.support.annexrepo import HERE, THERE, git, key_of, make_annex
from tests.support.localnode import VERBS, Node, call
from tests.support.loop import in_loop
from tests.support.memory_remote import content_from
from tests.unit.remotes.contract import (
    CALLER,
    LARGE,
    SMALL,
    begin,
    put,
    read,
)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


# The disk


@pytest.mark.parametrize("verb", VERBS)
@in_loop
async def test_a_disk_that_is_away_says_nothing(node: Node, verb: str) -> None:
    """From the start or all of a sudden; nothing is written where it was mounted, and when
    it is back all goes on."""
    key = await put(node.remote, SMALL)
    for _ in range(2):
        node.unmount()
        for asked in (key, key_of(b"absent")):
            with pytest.raises(RemoteUnavailable):
                await call(node.remote, verb, asked)
        assert list(node.path.parent.iterdir()) == []
        node.mount()
        assert await node.remote.check_present(key, caller=CALLER)
    await node.remote.aclose()


@pytest.mark.parametrize("verb", VERBS)
@in_loop
async def test_an_empty_mount_point_says_nothing(node: Node, verb: str) -> None:
    """A bare repository that is itself the mount point."""
    key = await put(node.remote, SMALL)
    node.path.rename(node.root / "away")
    node.path.mkdir()
    with pytest.raises(RemoteUnavailable):
        await call(node.remote, verb, key)
    assert list(node.path.iterdir()) == []
    await node.remote.aclose()


@pytest.mark.parametrize("verb", VERBS)
@in_loop
async def test_another_repository_says_nothing(node: Node, verb: str) -> None:
    """Another disk is mounted in its place, or its UUID was changed."""
    key = await put(node.remote, SMALL)
    node.unmount()
    make_annex(node.path, bare=True, uuid=THERE).close()
    with pytest.raises(RemoteUnavailable, match="expected repository UUID"):
        await call(node.remote, verb, key)
    shutil.rmtree(node.path)
    node.mount()
    assert await node.remote.check_present(key, caller=CALLER)
    git(node.path, "config", "annex.uuid", THERE)
    with pytest.raises(RemoteUnavailable, match="expected repository UUID"):
        await call(node.remote, verb, key)
    await node.remote.aclose()


@in_loop
async def test_objects_on_a_disk_of_their_own_count(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ANNEX/objects is a mount point, and what is mounted there goes."""
    objects = str(node.path / "annex" / "objects")
    real = os.stat

    def stat(path: str, **options: bool) -> os.stat_result:
        found = real(path, **options)
        if path != objects:
            return found
        fields = list(found)
        fields[2] += 1  # another device
        return os.stat_result(fields)

    monkeypatch.setattr(os, "stat", stat)
    key = await put(node.remote, SMALL)
    monkeypatch.undo()
    shutil.rmtree(objects)
    os.mkdir(objects)
    for verb in (*VERBS, *VERBS):
        with pytest.raises(RemoteUnavailable):
            await call(node.remote, verb, key)
    assert list(Path(objects).iterdir()) == []
    await node.remote.aclose()


@in_loop
async def test_errors_of_a_disk_are_not_absence(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An I/O error when the object is looked for."""
    key = await put(node.remote, SMALL)
    real = os.stat

    def stat(path: str, **options: bool) -> os.stat_result:
        if str(key) in str(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return real(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    for verb in VERBS:
        with pytest.raises(RemoteUnavailable, match="Input/output error"):
            await call(node.remote, verb, key)
    monkeypatch.undo()
    assert await node.remote.check_present(key, caller=CALLER)
    await node.remote.aclose()


@in_loop
async def test_a_repository_that_is_not_initialised_says_nothing(tmp_path: Path) -> None:
    """Or that is of another version."""
    git(tmp_path, "init", "-q", "--bare", "repo")
    remote = LocalRemote(str(tmp_path / "repo"), HERE)
    with pytest.raises(RemoteUnavailable, match="not initialised"):
        await remote.check_present(key_of(SMALL))
    git(tmp_path / "repo", "config", "annex.uuid", HERE)
    git(tmp_path / "repo", "config", "annex.version", "8")
    with pytest.raises(RemoteUnavailable, match="version 8"):
        await remote.check_present(key_of(SMALL))
    await remote.aclose()


@in_loop
async def test_a_disk_that_goes_during_an_upload_breaks_it(node: Node) -> None:
    """Nothing is recorded, and nothing is written in its place."""
    key = key_of(LARGE)
    upload = await begin(node.remote, key)
    node.unmount()
    with pytest.raises((RemoteUnavailable, RemoteRefused)):
        async with upload:
            await upload.store(content_from(LARGE, chunk=500_000))
    assert list(node.path.parent.iterdir()) == []
    node.mount()
    assert not await node.remote.check_present(key, caller=CALLER)
    assert node.log(key) == ""
    await put(node.remote, LARGE)
    await node.remote.aclose()


@in_loop
async def test_a_full_disk_is_no_loss(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came stays for a resume, and the caller hears why."""
    key = key_of(LARGE)
    real = os.writev

    def writev(fd: int, buffers: list[memoryview]) -> int:
        if os.lseek(fd, 0, os.SEEK_CUR) > 1_000_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, buffers)

    monkeypatch.setattr(os, "writev", writev)
    with pytest.raises(NotEnoughSpace):
        async with await begin(node.remote, key) as upload:
            await upload.store(content_from(LARGE, chunk=100_000))
    monkeypatch.undo()
    async with await begin(node.remote, key) as upload:
        assert upload.offset > 1_000_000
        rest = content_from(LARGE, offset=upload.offset, chunk=100_000)
        assert (await upload.store(rest)).stored
    await node.remote.aclose()


@in_loop
async def test_the_disk_reserve_is_kept(tmp_path: Path) -> None:
    """And a change of it is noticed by the next request."""
    node = Node(tmp_path, {"annex.diskreserve": "1000 exabytes"})
    with pytest.raises(NotEnoughSpace):
        await begin(node.remote, key_of(SMALL))
    git(node.path, "config", "annex.diskreserve", "1 kB")
    await put(node.remote, SMALL)
    await node.remote.aclose()


# At once: in the event loop


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose state was asked for, in order."""
    asked: list[str] = []
    real = os.stat

    def stat(path: str | int, **kw: bool) -> os.stat_result:
        asked.append(str(path))
        return real(path, **kw)

    monkeypatch.setattr(os, "stat", stat)
    return asked


async def put_and_settle(node: Node) -> Key:
    """Store something, and look at the repository until its configuration is old enough to
    tell a change by its time."""
    key = await put(node.remote, SMALL)
    while node.remote.present_at_once(key) is None:
        await node.remote.check_present(key)
    return key


@in_loop
async def test_a_disk_of_this_machine_is_asked_at_once(node: Node) -> None:
    key = await put_and_settle(node)
    assert node.remote.present_at_once(key) is True
    assert node.remote.present_at_once(key_of(b"absent")) is False
    assert node.remote.read_at_once(key, 3, AT_ONCE) == SMALL[3:]
    assert node.remote.read_at_once(key, 0, len(SMALL) - 1) is None
    await node.remote.aclose()
    assert node.remote.present_at_once(key) is None


@in_loop
async def test_a_disk_behind_a_network_is_left_to_threads(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await put_and_settle(node)
    await node.remote.aclose()
    monkeypatch.setattr("shoal.remotes.localdisk.is_on_local_disk", lambda path: False)
    assert await node.remote.check_present(key) is True
    assert node.remote.present_at_once(key) is None
    assert await read(node.remote, key) == SMALL
    assert node.remote.read_at_once(key, 0, AT_ONCE) is None
    await node.remote.aclose()


@in_loop
async def test_a_slow_disk_is_left_to_threads_for_a_while(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await put_and_settle(node)
    now = time.monotonic() + 100
    monkeypatch.setattr("shoal.remotes.localdisk.monotonic", lambda: now)
    monkeypatch.setattr("shoal.remotes.shortwork.monotonic", lambda: now)
    monkeypatch.setattr("shoal.remotes.shortwork._times_slept", lambda: 0)
    counted = itertools.count()
    real = os.open

    def slow(path: str, flags: int) -> int:
        nonlocal now
        now += 0.5  # seconds
        return real(path, flags)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", slow)
        assert node.remote.read_at_once(key, 0, AT_ONCE) == SMALL
        assert node.remote.present_at_once(key) is True  # nothing but the processor was slow
        patched.setattr("shoal.remotes.shortwork._times_slept", lambda: next(counted))
        assert node.remote.read_at_once(key, 0, AT_ONCE) == SMALL
    assert node.remote.present_at_once(key) is None
    now += 2
    assert node.remote.present_at_once(key) is True
    await node.remote.aclose()


@in_loop
async def test_a_look_at_a_repository_holds_for_a_moment(
    node: Node, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await put_and_settle(node)
    now = time.monotonic() + 100
    monkeypatch.setattr("shoal.remotes.localdisk.monotonic", lambda: now)
    assert node.remote.present_at_once(key) is True
    looks.clear()
    assert node.remote.present_at_once(key) is True
    assert len(looks) == 1
    git(node.path, "config", "annex.thin", "true")
    now += 0.01
    assert node.remote.present_at_once(key) is None
    assert await node.remote.check_present(key) is True
    await node.remote.aclose()


@in_loop
async def test_what_went_away_a_moment_ago_is_not_absent(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await put_and_settle(node)
    now = time.monotonic() + 100
    monkeypatch.setattr("shoal.remotes.localdisk.monotonic", lambda: now)
    assert node.remote.present_at_once(key) is True
    node.unmount()
    assert node.remote.present_at_once(key) is None
    assert node.remote.read_at_once(key, 0, AT_ONCE) is None
    node.mount()
    await node.remote.aclose()


@in_loop
async def test_a_disk_that_hangs_holds_nobody(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled call comes back soon, other disks go on, and what the hanging thread held is
    freed when it gets on."""
    key = key_of(LARGE)
    other_path = tmp_path / "other disk"
    make_annex(other_path, bare=True).close()
    other = LocalRemote(str(other_path), HERE)
    await put(node.remote, SMALL)
    hanging, go_on = threading.Event(), threading.Event()
    real = os.writev

    def writev(fd: int, buffers: list[memoryview]) -> int:
        if str(node.path) in os.readlink(f"/proc/self/fd/{fd}"):
            hanging.set()
            go_on.wait(60)
        return real(fd, buffers)

    monkeypatch.setattr(os, "writev", writev)

    async def store() -> None:
        async with await begin(node.remote, key) as upload:
            await upload.store(content_from(LARGE, chunk=1_000_000))

    task = asyncio.create_task(store())
    await asyncio.to_thread(hanging.wait, 60)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 30
    await put(other, LARGE)
    with pytest.raises(TransferInProgress):
        await begin(node.remote, key)
    go_on.set()
    await node.remote.aclose()
    monkeypatch.undo()
    assert [name for name in node.files("transfer") if not name.startswith("failed/")] == []
    async with await begin(node.remote, key) as upload:
        assert upload.offset > 0
    await other.aclose()
    await node.remote.aclose()


@in_loop
async def test_a_lone_client_needs_no_threads(node: Node) -> None:
    alone = LocalRemote(str(node.path), HERE, name="node", alone=True)
    key = await put(alone, SMALL)
    assert await read(alone, key) == SMALL
    async with alone.lock_content(key, caller=CALLER):
        assert not (await alone.remove(key, caller=CALLER)).removed
    assert (await alone.remove(key, caller=CALLER)).removed
    assert not [one for one in threading.enumerate() if "ing node" in one.name]
    node.unmount()
    for verb in VERBS:
        with pytest.raises(RemoteUnavailable):
            await call(alone, verb, key)
    await alone.aclose()
