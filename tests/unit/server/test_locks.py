"""Locks of clients: how long they hold, who may end them, and that none takes a place for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from shoal.errors import ContentLocked, RemoteRefused, RemoteUnavailable
from shoal.remotes.base import NOBODY, Caller, LeaveLocked, Remote, RemoteInfo
from shoal.remotes.p2phttp import P2PHttpRemote
from shoal.server.locks import LockRegistry
from shoal.server.options import Limits
from shoal.server.target import Target
from shoal.transport.addresses import AllowedAddresses
from shoal.transport.http_client import HttpClient, HttpOptions
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.loop import in_loop, pass_time, until
from tests.support.memory_remote import MEMORY_UUID, MemoryRemote, key_of
from tests.support.served import CLIENT, FixedSite, TestServer, read_answer, request_bytes, serving

LOCKED = b'{"locked":false}'


def target_of(remote: Remote) -> Target:
    return Target(remote, FixedSite({MEMORY_UUID: remote}, 8))


async def lock(server: TestServer, key: Key) -> str | None:
    answer = await server.post("lockcontent", key=key)
    assert answer.status == 200
    fields = json.loads(answer.body)
    assert fields.keys() == ({"locked", "lockid"} if fields["locked"] else {"locked"})
    found = fields.get("lockid")
    assert found is None or isinstance(found, str)
    return found


async def open_keeplocked(
    server: TestServer, lock_id: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Begin as the real client does: a chunk with the JSON, one with the newline."""
    reader, writer = await server.connect()
    path = server.path("keeplocked", lockid=lock_id)
    headers = {"Transfer-Encoding": "chunked", "Connection": "Keep-Alive"}
    writer.write(request_bytes("POST", path, b'10\r\n{"unlock":false}\r\n1\r\n\n\r\n', headers))
    return reader, writer


@in_loop
async def test_a_lock_that_is_kept_and_released() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        lock_id = await lock(server, key)
        assert remote.locks[key] == 1
        reader, writer = await open_keeplocked(server, lock_id)
        removed = await server.post("remove", key=key)
        assert removed.body == b'{"plusuuids":[],"removed":false}'
        writer.write(b'f\r\n{"unlock":true}\r\n1\r\n\n\r\n0\r\n\r\n')
        assert (await read_answer(reader)).body == LOCKED
        assert remote.idle  # at the time of the answer
        removed = await server.post("remove", key=key)
        assert removed.body == b'{"plusuuids":[],"removed":true}'


@pytest.mark.parametrize(
    "body", [b"", b'{"unlock":false}\n', b'{"unlock":true}\n', b"garbage\n", b'{"unlock":true}']
)
@in_loop
async def test_the_end_of_the_request_releases_the_lock(body: bytes) -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        path = server.path("keeplocked", lockid=await lock(server, key))
        assert (await server.ask("POST", path, body)).body == LOCKED
        assert remote.idle


@pytest.mark.parametrize("rudely", [False, True])
@in_loop
async def test_a_lost_connection_does_not_release_the_lock(rudely: bool) -> None:
    """The published protocol promises the client ten minutes from the lock on."""
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        _, writer = await open_keeplocked(server, await lock(server, key))
        await writer.drain()
        await server.post("checkpresent", key=key)
        if rudely:
            writer.transport.abort()
        else:
            writer.close()
        for _ in range(20):
            await server.post("checkpresent", key=key)
        assert remote.locks[key] == 1
        assert len(server.app.locks) == 1


@in_loop
async def test_a_broken_request_does_not_release_the_lock_and_does_not_hang() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        reader, writer = await open_keeplocked(server, await lock(server, key))
        await server.post("checkpresent", key=key)
        writer.write(b"zz\r\n")
        assert await reader.read() == b""
        assert remote.locks[key] == 1


@in_loop
async def test_a_lock_can_be_kept_again_after_a_lost_connection() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        lock_id = await lock(server, key)
        _, writer = await open_keeplocked(server, lock_id)
        writer.close()
        path = server.path("keeplocked", lockid=lock_id)
        assert (await server.ask("POST", path, b'{"unlock":true}\n')).body == LOCKED
        assert remote.idle


@in_loop
async def test_unknown_locks_are_answered_alike() -> None:
    remote = MemoryRemote()
    async with serving(remote) as server:
        for lock_id in ("nosuch", "%5Bbm9zdWNo%5D", "a%2F..%2Fb"):
            path = server.path("keeplocked", lockid=lock_id)
            answer = await server.ask("POST", path, b'{"unlock":true}\n')
            assert (answer.status, answer.body) == (200, LOCKED)


@in_loop
async def test_a_lock_of_another_repository_cannot_be_released() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    registry = LockRegistry(10)
    lock_id = await registry.lock(target_of(remote), key, NOBODY, MEMORY_UUID)
    assert lock_id is not None
    await registry.release(lock_id, UUID("other"))
    assert remote.locks[key] == 1
    await registry.release(lock_id, MEMORY_UUID)
    assert remote.idle
    await registry.aclose()


@in_loop
async def test_there_are_so_many_locks_and_no_more() -> None:
    remote = MemoryRemote()
    keys = [remote.put(bytes([number])) for number in range(3)]
    async with serving(remote, limits=Limits(locked_files=2)) as server:
        first = await lock(server, keys[0])
        assert await lock(server, keys[1]) is not None
        assert await lock(server, keys[2]) is None
        await server.ask("POST", server.path("keeplocked", lockid=first), b'{"unlock":true}\n')
        assert await lock(server, keys[2]) is not None


@pytest.mark.parametrize(
    "error", [None, RemoteRefused("no"), ContentLocked(), RemoteUnavailable("node1", "gone")]
)
@in_loop
async def test_a_failed_lock_takes_no_place(error: Exception | None) -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    absent = key_of(b"absent")
    async with serving(remote, limits=Limits(locked_files=2)) as server:
        for _ in range(5):
            if error is None:
                assert await lock(server, absent) is None
            else:
                remote.fail("lock_content", error)
                answer = await server.post("lockcontent", key=key)
                expected = 502 if isinstance(error, RemoteUnavailable) else 200
                assert answer.status == expected
        assert len(server.app.locks) == 0
        assert await lock(server, key) is not None


@in_loop
async def test_a_lock_that_nobody_keeps_ends() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    registry = LockRegistry(10, seconds=20)
    assert await registry.lock(target_of(remote), key, NOBODY, MEMORY_UUID) is not None
    assert remote.locks[key] == 1
    await pass_time(25)
    await until(lambda: remote.idle)
    assert len(registry) == 0


@in_loop
async def test_a_lock_that_is_kept_outlasts_its_time() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    registry = LockRegistry(10, seconds=20)
    lock_id = await registry.lock(target_of(remote), key, NOBODY, MEMORY_UUID)
    assert lock_id is not None
    with registry.kept(lock_id, MEMORY_UUID), registry.kept(lock_id, MEMORY_UUID):
        await pass_time(25)
        assert remote.locks[key] == 1
    await until(lambda: remote.idle)  # its time is over, and nobody keeps it


@in_loop
async def test_two_requests_may_keep_one_lock() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    registry = LockRegistry(10, seconds=20)
    lock_id = await registry.lock(target_of(remote), key, NOBODY, MEMORY_UUID)
    assert lock_id is not None
    with registry.kept(lock_id, MEMORY_UUID):
        with registry.kept(lock_id, MEMORY_UUID):
            await pass_time(25)
        await pass_time(1)
        assert remote.locks[key] == 1
        await registry.release(lock_id, MEMORY_UUID)
        assert remote.idle


@in_loop
async def test_a_client_that_goes_away_while_the_lock_is_made() -> None:
    """The lock may have been promised: it stays until its time is over."""
    remote = MemoryRemote()
    key = remote.put(b"hello")
    gate = remote.hold("lock_content")
    async with serving(remote) as server:
        _, writer = await server.connect()
        writer.write(request_bytes("POST", server.path("lockcontent", key=key)))
        await gate.reached()
        writer.close()
        gate.open()
        await server.app.idle()
        assert remote.locks[key] == 1
    assert remote.idle


@in_loop
async def test_a_bug_while_locking_does_not_leave_the_client_waiting() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    remote.fail("lock_content", KeyError("bug"))
    async with serving(remote) as server:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, c: complaints.append(c))
        assert (await server.post("lockcontent", key=key)).status == 502
        assert len(server.app.locks) == 0


@in_loop
async def test_the_end_of_the_server_does_not_unlock() -> None:
    left: list[BaseException | None] = []

    class Noting(MemoryRemote):
        def lock_content(
            self, key: Key, *, caller: Caller = NOBODY
        ) -> AbstractAsyncContextManager[None]:
            return self._noted(super().lock_content(key, caller=caller))

        @asynccontextmanager
        async def _noted(self, lock: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
            try:
                async with lock:
                    yield
            except LeaveLocked as error:
                left.append(error)
                raise

    remote = Noting()
    key = remote.put(b"hello")
    registry = LockRegistry(10)
    assert await registry.lock(target_of(remote), key, NOBODY, MEMORY_UUID) is not None
    await registry.aclose()
    assert len(left) == 1
    assert len(registry) == 0


@in_loop
async def test_a_gateway_that_ends_leaves_the_locks_of_servers_behind_it() -> None:
    """The lock is on a server over HTTP: it must not be told to unlock."""
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        http = HttpClient(HttpOptions(AllowedAddresses.parse("all")))
        url = f"annex+http://127.0.0.1:{server.port}/git-annex/"
        info = RemoteInfo(MEMORY_UUID, "behind")
        behind = P2PHttpRemote(url, info, client=CLIENT, http=http)
        registry = LockRegistry(10)
        assert await registry.lock(target_of(behind), key, NOBODY, MEMORY_UUID) is not None
        await registry.aclose()
        await server.app.idle()
        await server.post("checkpresent", key=key)
        assert remote.locks[key] == 1
        await behind.aclose()
        await http.aclose()
