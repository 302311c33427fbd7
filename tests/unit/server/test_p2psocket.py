"""A repository behind a socket, for those who know a token."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from shoal.errors import RemoteUnavailable
from shoal.p2p.messages import Auth
from shoal.remotes.base import Remote, RemoteInfo
from shoal.remotes.local import LocalRemote
from shoal.remotes.p2pconnection import P2PConnection
from shoal.remotes.p2ppool import Bypass
from shoal.remotes.p2pstream import P2PStreamRemote
from shoal.server.p2pgit import GitService
from shoal.server.p2psocket import SocketServer
from shoal.transport.stdio import FdStream
from tests.support.annexrepo import HERE, THERE, git, key_of, make_annex
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote
from tests.unit.remotes.contract import CALLER, SMALL, RemoteContract, read


class Client(FdStream):
    """A client that leaves when the server has let go of everything, as tests want it."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        super().__init__(opened.fileno(), opened.fileno())

    async def aclose(self) -> None:
        if self._socket.fileno() >= 0:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            while await self.receive():
                pass
            self._socket.close()


async def connected(path: Path) -> Client:
    opened = socket.socket(socket.AF_UNIX)
    opened.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(opened, str(path))
    except OSError:
        opened.close()
        raise
    return Client(opened)


class Served:
    """A remote on a socket; the tokens and reports are there to look at."""

    def __init__(
        self,
        remote: Remote,
        path: Path,
        *,
        served: int = 100,
        waiting: int = 100,
        git: Callable[[], GitService] | None = None,
    ) -> None:
        self.path = path
        self.tokens = ["right"]
        self.reports: list[str] = []
        self.server = SocketServer(
            self._remote, lambda: self.tokens, self.reports.append,
            git=git, served=served, waiting=waiting,
        )  # fmt: skip
        self._served = remote

    async def _remote(self) -> Remote:
        return self._served

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Served]:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.path))
            listening.listen(128)
            serving = asyncio.create_task(self.server.serve(listening))
            yield self
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    async def dial(self, bypass: Bypass = frozenset(), token: bytes = b"right") -> P2PConnection:
        connection = P2PConnection(await connected(self.path), HERE, "node")
        try:
            await connection.greet(bypass, Auth(THERE, token))
        except BaseException:
            await connection.aclose()
            raise
        return connection


class TestOverASocket(RemoteContract):
    """All that is true of a repository is true of it behind a socket."""

    @asynccontextmanager
    async def opened(self, directory: Path) -> AsyncIterator[Remote]:
        make_annex(directory / "repo", bare=True).close()
        local = LocalRemote(str(directory / "repo"), HERE, name="node")
        async with Served(local, directory / "s").running() as served:
            remote = P2PStreamRemote(RemoteInfo(HERE, "node"), served.dial)
            yield remote
            await remote.aclose()
        await local.aclose()


def memory_served(
    directory: Path,
    served: int = 100,
    waiting: int = 100,
    git: Callable[[], GitService] | None = None,
) -> Served:
    memory = MemoryRemote(HERE)
    return Served(memory, directory / "s", served=served, waiting=waiting, git=git)


async def logged_in(served: Served) -> Client:
    client = await connected(served.path)
    await client.send(b"AUTH %s right\n" % THERE.encode())
    assert (await client.receive()).startswith(b"AUTH-SUCCESS")
    return client


@pytest.mark.parametrize("token", [b"", b"wrong", b"righ", b"rightt"])
@in_loop
async def test_a_wrong_token_opens_nothing(tmp_path: Path, token: bytes) -> None:
    async with memory_served(tmp_path).running() as served:
        with pytest.raises(RemoteUnavailable, match="authentication token"):
            await served.dial(token=token)


@in_loop
async def test_the_right_token_after_wrong_ones(tmp_path: Path) -> None:
    """What was seen from git-annex's daemon: tests/fixtures/p2p/socket-auth.json."""
    async with memory_served(tmp_path).running() as served, await connected(served.path) as client:
        for line, answer in (
            (b"VERSION 4", b"ERROR unexpected command"),
            (b"CHECKPRESENT SHA256E-s1--a", b"ERROR unexpected command"),
            (b"FOO", b"ERROR unknown command"),
            (b"AUTH %s wrong" % THERE.encode(), b"AUTH-FAILURE"),
            (b"AUTH %s RIGHT" % THERE.encode(), b"AUTH-SUCCESS %s" % HERE.encode()),
            (b"AUTH %s right" % THERE.encode(), b"ERROR unexpected command"),
            (b"VERSION 4", b"VERSION 4"),
        ):
            await client.send(line + b"\n")
            assert await client.receive() == answer + b"\n"


@in_loop
async def test_an_error_ends_the_connection(tmp_path: Path) -> None:
    async with memory_served(tmp_path).running() as served, await connected(served.path) as client:
        await client.send(b"ERROR x\n")
        assert await client.receive() == b""


@in_loop
async def test_tokens_are_read_for_each_connection(tmp_path: Path) -> None:
    async with memory_served(tmp_path).running() as served:
        kept = await served.dial()
        served.tokens[:] = ["new"]
        with pytest.raises(RemoteUnavailable, match="authentication token"):
            await served.dial()
        await (await served.dial(token=b"new")).aclose()
        assert not kept.has_ended()
        await kept.aclose()


@in_loop
async def test_who_comes_too_many_waits_and_then_is_sent_away(tmp_path: Path) -> None:
    async with memory_served(tmp_path, served=1, waiting=1).running() as served:
        first = await served.dial()
        async with await connected(served.path) as second:
            await second.send(b"AUTH %s right\n" % THERE.encode())
            async with await connected(served.path) as third:
                assert await third.receive() == b""
            assert served.reports == ["dropped a connection, too busy"]
            assert not second.has_more()
            await first.aclose()
            assert await second.receive() == b"AUTH-SUCCESS %s\n" % HERE.encode()


@in_loop
async def test_an_end_of_the_server_is_an_error_for_clients(tmp_path: Path) -> None:
    served = memory_served(tmp_path)
    async with served.running():
        remote = P2PStreamRemote(RemoteInfo(HERE, "node"), served.dial)
        assert not await remote.check_present(key_of(SMALL), caller=CALLER)
    with pytest.raises((RemoteUnavailable, OSError)):
        await read(remote, key_of(SMALL))
    await remote.aclose()


@in_loop
async def test_bytes_that_make_no_sense_are_reported(tmp_path: Path) -> None:
    async with memory_served(tmp_path).running() as served, await connected(served.path) as client:
        with suppress(BrokenPipeError):
            await client.send(b"x" * (1 << 20))
        while await client.receive():
            pass
    assert len(served.reports) == 1


@in_loop
async def test_news_of_refs(tmp_path: Path) -> None:
    repository = make_annex(tmp_path / "repo")
    git(tmp_path / "repo", "commit", "-q", "--allow-empty", "-m", "first")
    asked = asyncio.Event()

    class Watching(GitService):
        async def change(self) -> str | None:
            found = await super().change()
            asked.set()
            return found

    served = memory_served(tmp_path, git=lambda: Watching(repository))
    async with served.running(), await logged_in(served) as client:
        await client.send(b"NOTIFYCHANGE\n")
        await asked.wait()
        git(tmp_path / "repo", "commit", "-q", "--allow-empty", "-m", "second")
        new = git(tmp_path / "repo", "rev-parse", "HEAD").strip()
        assert await client.receive() == f"CHANGED {new}\n".encode()
        updates = f"update refs/heads/a {new}\nupdate refs/heads/b {new}~\n"
        git(tmp_path / "repo", "update-ref", "--stdin", data=updates.encode())
        old = git(tmp_path / "repo", "rev-parse", "HEAD~").strip()
        for name in (new, old):  # one by one, though they changed at once
            await client.send(b"NOTIFYCHANGE\n")
            assert await client.receive() == f"CHANGED {name}\n".encode()
        await client.send(b"NOTIFYCHANGE\n")  # and leave
    assert served.reports == ['remote "client" is not available (connection lost)']
    repository.close()


@pytest.mark.parametrize("last", [b"DATA 4\n0000", b"CONNECTDONE 0\n"])
@in_loop
async def test_a_conversation_with_git(tmp_path: Path, last: bytes) -> None:
    """Recorded from the real daemon, which says CONNECTDONE twice."""
    repository = make_annex(tmp_path / "repo")
    git(tmp_path / "repo", "commit", "-q", "--allow-empty", "-m", "first")
    served = memory_served(tmp_path, git=lambda: GitService(repository))
    async with served.running(), await logged_in(served) as client:
        await client.send(b"CONNECT git-upload-pack\n" + last)
        said = b""
        while data := await client.receive():
            said += data
    head = git(tmp_path / "repo", "rev-parse", "HEAD").strip().encode()
    assert said.startswith(b"DATA ")
    assert head + b" refs/heads/main" in said
    code = 0 if last.startswith(b"DATA") else 128
    assert said.endswith(b"CONNECTDONE %d\n" % code)
    repository.close()


@in_loop
async def test_no_git_where_none_is_served(tmp_path: Path) -> None:
    served = memory_served(tmp_path)
    async with served.running(), await logged_in(served) as client:
        await client.send(b"CONNECT git-upload-pack\n")
        assert (await client.receive()).startswith(b"ERROR relaying to git not supported")
        await client.send(b"NOTIFYCHANGE\n")
        assert await client.receive() == b"ERROR change notification not available\n"
