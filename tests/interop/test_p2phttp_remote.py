"""P2PHttpRemote as a client of the real `git annex p2phttp`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from shoal.errors import KeyNotPresent, RemoteRefused, RemoteUnavailable
from shoal.git.process import Git
from shoal.remotes.base import AlreadyPresent, RemoteInfo, StoreResult, Upload
from shoal.remotes.content import Chunk, Content, StreamContent
from shoal.remotes.httplogin import Login
from shoal.remotes.p2phttp import P2PHttpRemote
from shoal.transport.addresses import AllowedAddresses
from shoal.transport.http_client import HttpClient, HttpOptions
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.memory_remote import content_from, gather, key_of
from tests.support.real_p2phttp import RealServer
from tests.support.world import World

CLIENT = UUID("cccccccc-0000-4000-8000-000000000001")
ANYWHERE = HttpOptions(AllowedAddresses.parse("all"))


@contextlib.asynccontextmanager
async def remote_of(
    server: RealServer, *, uuid: UUID | None = None, login: Login | None = None
) -> AsyncIterator[P2PHttpRemote]:
    http = HttpClient(ANYWHERE)
    info = RemoteInfo(uuid or server.uuid, "server")
    remote = P2PHttpRemote(server.url, info, client=CLIENT, http=http, login=login)
    try:
        yield remote
    finally:
        await remote.aclose()
        await http.aclose()


def run(
    server: RealServer,
    test: Callable[[P2PHttpRemote], Awaitable[None]],
    login: Login | None = None,
) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), remote_of(server, login=login) as remote:
            await test(remote)

    asyncio.run(main())


@pytest.fixture
def server(world: World) -> Iterator[RealServer]:
    made = RealServer(world, world.make("server"))
    yield made
    made.stop()


async def store(remote: P2PHttpRemote, key: Key, content: Content, file: str = "") -> StoreResult:
    begun = await remote.begin_store(key, file=file)
    assert not isinstance(begun, AlreadyPresent)
    async with begun as upload:
        return await upload.store(content)


async def fetch(remote: P2PHttpRemote, key: Key, offset: int = 0) -> bytes:
    async with remote.retrieve(key, offset) as content:
        return await gather(content)


def test_all_operations(server: RealServer) -> None:
    server.start("--wideopen")
    data = os.urandom(3 << 20)
    key = key_of(data, "SHA256E", ".a b")

    async def go(remote: P2PHttpRemote) -> None:
        assert await remote.check_present(key) is False
        assert await store(remote, key, content_from(data, chunk=1 << 16), "a dir/é %") == (
            StoreResult(True)
        )
        assert server.has(key)
        assert await remote.check_present(key) is True
        assert await remote.begin_store(key) == AlreadyPresent()
        assert await fetch(remote, key) == data
        assert await fetch(remote, key, 1 << 20) == data[1 << 20 :]
        assert await fetch(remote, key, len(data)) == b""
        assert (await remote.store_present(key)).stored
        now = await remote.timestamp()
        assert abs(now - time.clock_gettime(time.CLOCK_BOOTTIME)) < 5
        assert not (await remote.remove(key, before=now - 5)).removed
        assert (await remote.remove(key, before=now + 100)).removed
        assert (await remote.remove(key)).removed
        assert not server.has(key)

    run(server, go)


def test_absent_keys(server: RealServer) -> None:
    """The real server answers 200 with no content: that must not pass for content."""
    server.start("--wideopen")
    unsized = Key.parse(b"URL--http&c%%example.org%x")
    empty = key_of(b"")

    async def go(remote: P2PHttpRemote) -> None:
        for key in (key_of(b"absent"), unsized):
            with pytest.raises(KeyNotPresent):
                await fetch(remote, key)
            assert not (await remote.store_present(key)).stored
            with pytest.raises(RemoteRefused):
                async with remote.lock_content(key):
                    raise AssertionError("locked what is not there")
        assert (await store(remote, empty, content_from(b""))).stored
        assert await fetch(remote, empty) == b""

    run(server, go)


def test_upload_goes_on_where_it_broke_off(server: RealServer) -> None:
    server.start("--wideopen")
    data = os.urandom(1 << 20)
    key = key_of(data)

    async def breaks_off() -> AsyncIterator[Chunk]:
        yield data[: 1 << 19]
        await asyncio.sleep(0.5)  # the server must have taken it
        raise RemoteUnavailable("source", "gone")

    async def go(remote: P2PHttpRemote) -> None:
        with pytest.raises(RemoteUnavailable, match="source"):
            await store(remote, key, StreamContent(breaks_off(), size=len(data)))
        assert not await remote.check_present(key)
        begun = await _begin_when_free(remote, key)
        assert 0 < begun.offset <= 1 << 19
        async with begun as upload:
            rest = content_from(data, offset=upload.offset, chunk=1 << 16)
            assert (await upload.store(rest)).stored
        assert await fetch(remote, key) == data

    run(server, go)


async def _begin_when_free(remote: P2PHttpRemote, key: Key) -> Upload:
    """Begin an upload as soon as the real server has noticed the end of the former one."""
    while True:
        try:
            begun = await remote.begin_store(key)
        except RemoteUnavailable:
            await asyncio.sleep(0.05)
            continue
        assert not isinstance(begun, AlreadyPresent)
        return begun


def test_wrong_content_is_not_stored(server: RealServer) -> None:
    server.start("--wideopen")
    key = key_of(b"right" * 100)

    async def go(remote: P2PHttpRemote) -> None:
        result = await store(remote, key, content_from(b"wrong" * 100))
        assert not result.stored
        assert result.error
        changed = content_from(b"right" * 100, valid=False)
        result = await store(remote, key, changed)
        assert (result.stored, result.error) == (False, "the content changed while it was read")
        assert not await remote.check_present(key)

    run(server, go)


def test_locked_content_stays(server: RealServer) -> None:
    server.start("--wideopen")
    key = key_of(b"locked")

    async def go(remote: P2PHttpRemote) -> None:
        await store(remote, key, content_from(b"locked"))
        async with remote.lock_content(key):
            with pytest.raises(RemoteUnavailable):
                await remote.remove(key)
            assert await remote.check_present(key)
        await _remove_when_unlocked(remote, key)

    run(server, go)


async def _remove_when_unlocked(remote: P2PHttpRemote, key: Key) -> None:
    """Remove a key as soon as the real server has noticed the end of a lock."""
    while True:
        try:
            removed = await remote.remove(key)
        except RemoteUnavailable:
            await asyncio.sleep(0.05)
            continue
        assert removed.removed
        return


def test_a_lock_that_is_kept_for_long(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The body of keeplocked goes on, with one line after another."""
    monkeypatch.setattr("shoal.remotes.p2phttplock._REMIND", 0.05)
    server.start("--wideopen")
    key = key_of(b"locked")

    async def go(remote: P2PHttpRemote) -> None:
        await store(remote, key, content_from(b"locked"))
        async with remote.lock_content(key):
            await asyncio.sleep(0.5)
            with pytest.raises(RemoteUnavailable):
                await remote.remove(key)
        await _remove_when_unlocked(remote, key)

    run(server, go)


def test_a_server_that_dies_is_unavailable(server: RealServer) -> None:
    server.start("--wideopen")
    key = key_of(b"locked")

    async def kill_while_locked(remote: P2PHttpRemote, key: Key) -> None:
        async with remote.lock_content(key):
            assert server.process is not None
            server.process.kill()
            await asyncio.to_thread(server.process.wait)

    async def go(remote: P2PHttpRemote) -> None:
        await store(remote, key, content_from(b"locked"))
        with pytest.raises(RemoteUnavailable):
            await kill_while_locked(remote, key)
        with pytest.raises(RemoteUnavailable):
            await remote.check_present(key)
        server.start("--wideopen")
        assert await remote.check_present(key)
        with pytest.raises(RemoteUnavailable):
            await remote.remove(key)  # the lock outlives the server for ten minutes

    run(server, go)


def test_an_unknown_repository_is_unavailable(server: RealServer) -> None:
    server.start("--wideopen")
    stranger = UUID("aaaaaaaa-0000-4000-8000-000000000001")

    async def main() -> None:
        async with remote_of(server, uuid=stranger) as remote:
            for call in (
                remote.check_present(key_of(b"x")),
                remote.begin_store(key_of(b"x")),
                remote.remove(key_of(b"x")),
                remote.timestamp(),
                remote.store_present(key_of(b"x")),
                fetch(remote, key_of(b"x")),
            ):
                with pytest.raises(RemoteUnavailable, match="404"):
                    await call

    asyncio.run(main())


@pytest.mark.parametrize(
    ("option", "may_store"), [("--unauth-readonly", False), ("--unauth-appendonly", True)]
)
def test_what_is_forbidden_is_refused(server: RealServer, option: str, may_store: bool) -> None:
    key = Key.parse(server.world.add(server.path, "f", b"content").encode())
    server.start(option)

    async def go(remote: P2PHttpRemote) -> None:
        assert await remote.check_present(key)
        assert await fetch(remote, key) == b"content"
        with pytest.raises(RemoteRefused, match="403 Forbidden"):
            await remote.remove(key)
        async with remote.lock_content(key):
            pass
        if may_store:
            assert (await store(remote, key_of(b"new"), content_from(b"new"))).stored
        else:
            with pytest.raises(RemoteRefused, match="403 Forbidden"):
                await remote.begin_store(key_of(b"new"))

    run(server, go)


def _login(world: World, password: str) -> Login:
    """A credential helper that knows a password, and notes what it is asked and told."""
    helper = world.root / "helper"
    helper.write_text(
        f"#!/bin/sh\necho $1 >> {world.root}/asked\ncat >> {world.root}/asked\n"
        f"test $1 = get && printf 'username=alice\\npassword={password}\\n'\n"
    )
    helper.chmod(0o755)
    git = Git(None).with_environment(
        GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="credential.helper", GIT_CONFIG_VALUE_0=str(helper)
    )
    return Login(git, "annex+http://127.0.0.1:1/git-annex/")


def _asked(world: World) -> list[str]:
    lines = (world.root / "asked").read_text().splitlines()
    return [line for line in lines if line in {"get", "store", "erase"}]


def test_passwords_come_from_git_and_good_ones_are_kept(server: RealServer) -> None:
    server.start("--authenv-http", env={"GIT_ANNEX_P2PHTTP_PASSWORD_alice": "sesame"})

    async def go(remote: P2PHttpRemote) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(remote.check_present(key_of(b"%d" % number)))
        assert (await store(remote, key_of(b"new"), content_from(b"new"))).stored
        assert (await remote.remove(key_of(b"new"))).removed

    run(server, go, _login(server.world, "sesame"))
    assert _asked(server.world) == ["get", "store"]
    asked = (server.world.root / "asked").read_text()
    assert "protocol=annex+http\nhost=127.0.0.1:1\n" in asked


def test_wrong_passwords_are_forgotten(server: RealServer) -> None:
    server.start("--authenv-http", env={"GIT_ANNEX_P2PHTTP_PASSWORD_alice": "sesame"})

    async def go(remote: P2PHttpRemote) -> None:
        with pytest.raises(RemoteRefused, match="401 Unauthorized"):
            await remote.check_present(key_of(b"x"))

    run(server, go, _login(server.world, "guessed"))
    assert _asked(server.world) == ["get", "erase"]
    run(server, go)


def test_private_addresses_are_not_connected_to(server: RealServer) -> None:
    server.start("--wideopen")

    async def main() -> None:
        remote = P2PHttpRemote(server.url, RemoteInfo(server.uuid, "server"), client=CLIENT)
        with pytest.raises(RemoteUnavailable, match="allowed-ip-addresses does not allow"):
            await remote.check_present(key_of(b"x"))
        await remote.aclose()

    asyncio.run(main())
