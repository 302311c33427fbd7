"""A remote over HTTP, against shoal's server and against servers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shoal.errors import RemoteUnavailable, TransferInProgress
from shoal.remotes.base import AlreadyPresent, Remote, RemoteInfo, Upload
from shoal.remotes.p2phttp import P2PHttpRemote
from shoal.transport.addresses import AllowedAddresses
from shoal.transport.http_client import HttpClient, HttpOptions
from shoal.values.key import Key
from tests.support.annexrepo import key_of
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote, content_from
from tests.support.served import CLIENT, serving
from tests.unit.remotes.contract import (
    LARGE,
    SMALL,
    RemoteContract,
    begin,
    broken,
    put,
    read,
)


@asynccontextmanager
async def http_remote(port: int) -> AsyncIterator[P2PHttpRemote]:
    http = HttpClient(HttpOptions(AllowedAddresses.parse("all")))
    info = RemoteInfo(MemoryRemote().uuid, "server")
    url = f"annex+http://127.0.0.1:{port}/git-annex/"
    remote = P2PHttpRemote(url, info, client=CLIENT, http=http)
    try:
        yield remote
    finally:
        await remote.aclose()
        await http.aclose()


class TestP2PHttpRemote(RemoteContract):
    """As any remote."""

    @asynccontextmanager
    async def opened(self, directory: Path) -> AsyncIterator[Remote]:
        async with serving(MemoryRemote()) as server, http_remote(server.port) as remote:
            yield remote

    @in_loop
    async def test_content_that_changed_is_verified(self, tmp_path: Path) -> None:
        """There is no way to tell the server to verify it: it is not sent to its end, unless
        its hash is known to be right."""
        async with self.opened(tmp_path) as remote:
            async with await begin(remote, key_of(SMALL)) as upload:
                result = await upload.store(content_from(SMALL, valid=False))
            assert not result.stored
            assert result.error == "the content changed while it was read"
            async with await begin_when_free(remote, key_of(SMALL)) as upload:
                content = content_from(SMALL, offset=upload.offset, valid=False)
                content.digest = Matching()
                assert (await upload.store(content)).stored
            assert await read(remote, key_of(SMALL)) == SMALL

    @in_loop
    async def test_a_broken_upload_stores_nothing(self, tmp_path: Path) -> None:
        """The server keeps what had arrived."""
        async with self.opened(tmp_path) as remote:
            key = key_of(LARGE)
            async with await begin(remote, key) as upload:
                with pytest.raises(RemoteUnavailable, match="source"):
                    await upload.store(broken(LARGE, 0, 1_500_000))
            assert not await remote.check_present(key)
            async with await begin_when_free(remote, key) as upload:
                assert upload.offset <= 1_500_000
                rest = content_from(LARGE, offset=upload.offset, chunk=300_000)
                assert (await upload.store(rest)).stored
            assert await read(remote, key) == LARGE

    @in_loop
    async def test_a_resumed_upload_is_verified_as_a_whole(self, tmp_path: Path) -> None:
        """The server's partial content is that of another file."""
        memory = MemoryRemote()
        key = key_of(LARGE)
        memory.partial[key] = b"X" * 2_000_000
        async with serving(memory) as server, http_remote(server.port) as remote:
            async with await begin(remote, key) as upload:
                assert upload.offset == 2_000_000
                rest = content_from(LARGE, offset=upload.offset, chunk=300_000)
                assert not (await upload.store(rest)).stored
            await put(remote, LARGE)
            assert await read(remote, key) == LARGE

    @in_loop
    async def test_one_upload_of_a_key_at_a_time(self, tmp_path: Path) -> None:
        """The others are told when they send, since HTTP keeps nothing between requests."""
        async with self.opened(tmp_path) as remote:
            key = key_of(LARGE)

            async def store() -> bool:
                try:
                    upload = await remote.begin_store(key)
                    if isinstance(upload, AlreadyPresent):
                        return True
                    return (await upload.store(content_from(LARGE, chunk=200_000))).stored
                except TransferInProgress:
                    return False

            outcomes = await asyncio.gather(*[store() for _ in range(8)])
            assert any(outcomes)
            assert await read(remote, key) == LARGE


class Matching:
    """A hash that is right."""

    async def matches(self) -> bool:
        return True


async def begin_when_free(remote: Remote, key: Key) -> Upload:
    """Begin an upload when the server has noticed that the former one broke off."""
    while True:
        try:
            return await begin(remote, key)
        except TransferInProgress:
            await asyncio.sleep(0.01)
