"""The real client, when what the server sends breaks off or turns out not to be good."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

from shoal.values.key import Key
from tests.support.gateway import objects_of
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote
from tests.support.served import FileRemote, TestServer, serving
from tests.support.world import World


def make_client(world: World, server: TestServer) -> Path:
    """Make a repository whose remote is the server in this process."""
    repo = world.make("client")
    url = f"annex+http://127.0.0.1:{server.port}/git-annex/"
    for name, value in (
        ("url", "http://127.0.0.1:1/nowhere"),
        ("fetch", "+refs/heads/*:refs/remotes/origin/*"),
        ("annexUrl", url),
        ("annex-uuid", server.uuid),
    ):
        world.git(repo, "config", f"remote.origin.{name}", value)
    return repo


async def annex(repo: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the real git-annex while the event loop goes on."""
    return await asyncio.to_thread(
        subprocess.run, ["git-annex", *words], cwd=repo, capture_output=True, text=True, timeout=100
    )


async def moved_away(world: World, repo: Path, content: bytes) -> str:
    """Add a file and store it on the server only; give its key."""
    key = await asyncio.to_thread(world.add, repo, "a", content)
    done = await annex(repo, "move", "--to=origin", "a")
    assert done.returncode == 0, done.stderr + done.stdout
    return key


@in_loop
async def test_a_download_that_breaks_off_goes_on(world: World) -> None:
    remote = MemoryRemote()
    content = os.urandom(300_000)
    async with serving(remote) as server:
        client = await asyncio.to_thread(make_client, world, server)
        key = await moved_away(world, client, content)
        remote.fail("retrieve", after=100_000, times=2)
        done = await annex(client, "get", "a")
        assert done.returncode == 0, done.stderr + done.stdout
    assert objects_of(client, key)[0].read_bytes() == content
    assert [verb for verb, _ in remote.calls].count("retrieve") == 3


@in_loop
async def test_a_download_that_always_breaks_off_fails(world: World) -> None:
    remote = MemoryRemote()
    async with serving(remote) as server:
        client = await asyncio.to_thread(make_client, world, server)
        key = await moved_away(world, client, os.urandom(300_000))
        remote.fail("retrieve", after=1, times=None)
        done = await annex(client, "get", "a")
        assert done.returncode == 1
    assert objects_of(client, key) == []


@in_loop
async def test_content_that_nobody_vouches_for_is_not_taken(world: World, tmp_path: Path) -> None:
    """The bytes are wrong, and the server finds out at their end: the client gets all but one
    of them, and must not take that for the content."""
    remote = FileRemote(folder=tmp_path)
    content = os.urandom(300_000)
    async with serving(remote) as server:
        client = await asyncio.to_thread(make_client, world, server)
        key = await moved_away(world, client, content)
        (stored,) = remote.objects
        remote.objects[stored] = content[:-1] + bytes([content[-1] ^ 1])
        remote.file(stored).write_bytes(remote.objects[stored])
        remote.changing.add(stored)
        done = await annex(client, "get", "a")
        assert done.returncode == 1
        assert objects_of(client, key) == []


@in_loop
async def test_an_upload_that_the_server_cannot_finish_is_tried_again(world: World) -> None:
    remote = MemoryRemote()
    content = os.urandom(300_000)
    async with serving(remote) as server:
        client = await asyncio.to_thread(make_client, world, server)
        remote.fail("store", after=100_000)
        key = await moved_away(world, client, content)
    assert [bytes(stored) for stored in remote.objects] == [key.encode()]
    assert objects_of(client, key) == []


@in_loop
async def test_no_drop_when_the_server_cannot_say_whether_it_has_the_content(
    world: World,
) -> None:
    remote = MemoryRemote()
    async with serving(remote) as server:
        client = await asyncio.to_thread(make_client, world, server)
        key = await asyncio.to_thread(world.add, client, "a", b"content")
        assert (await annex(client, "copy", "--to=origin", "a")).returncode == 0
        for verb in ("lock_content", "check_present"):
            remote.fail(verb, times=None)
        assert (await annex(client, "drop", "a")).returncode == 1
        assert objects_of(client, key)
        remote.heal()
        assert (await annex(client, "drop", "a")).returncode == 0


@in_loop
async def test_the_status_is_what_the_user_sees(world: World) -> None:
    remote = MemoryRemote()
    content = os.urandom(1000)
    async with serving(remote) as server:
        client = await asyncio.to_thread(make_client, world, server)
        key = await asyncio.to_thread(world.add, client, "a", content)
        remote.receiving.add(Key.parse(key.encode()))
        done = await annex(client, "copy", "--to=origin", "a")
        assert done.returncode == 1
        assert "409 Conflict" in done.stdout + done.stderr
