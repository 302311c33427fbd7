"""Dialling peers: through a network's program, and through tor."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shoal.errors import ConfigError, RemoteUnavailable
from shoal.git.p2pcreds import TOKEN_VARIABLE
from shoal.git.repository import Repository
from shoal.remotes.base import RemoteInfo
from shoal.remotes.p2psocket import ask_who, p2p_remote
from shoal.remotes.p2pstream import P2PStreamRemote
from shoal.values.p2paddress import parse_address
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE, THERE, key_of, make_annex
from tests.support.gateway import free_port
from tests.support.loop import in_loop
from tests.unit.remotes.contract import CALLER, SMALL

INFO = RemoteInfo(HERE, "peer")
KEY = key_of(SMALL)
ANSWERS = f"""\
read auth; echo "$auth" >&3; echo AUTH-SUCCESS {HERE}
read version; echo VERSION 4; read asked; echo SUCCESS; read more
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make_annex(tmp_path / "here", uuid=THERE)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the path of git-annex-p2p-net, where a test puts its peer."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "bin" / "git-annex-p2p-net"


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\nexec 3>>{path}.heard\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@asynccontextmanager
async def opened(
    repository: Repository, location: str = "p2p-annex::net:a:b", port: int = 9
) -> AsyncIterator[P2PStreamRemote]:
    with repository:
        remote = p2p_remote(repository, location, INFO, ("127.0.0.1", port))
        yield remote
        await remote.aclose()


@in_loop
async def test_the_program_is_run_with_the_address(
    repository: Repository, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "sesame")
    script(program, f'echo "$@" >&3; {ANSWERS}')
    async with opened(repository) as remote:
        assert await remote.check_present(KEY, caller=CALLER)
    assert Path(f"{program}.heard").read_text() == f"a:b\nAUTH {THERE} sesame\n"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("exit 3", "git-annex-p2p-net could not connect: it ended with status 3"),
        ("exit 0", "it ended the connection before the session began"),
        ("read auth; echo AUTH-FAILURE; read more", "it does not accept the authentication token"),
        (f"read auth; echo AUTH-SUCCESS {THERE}; read more", str(THERE)),
        ("read auth; echo HELLO; read more", "unexpected answer"),
    ],
)
@in_loop
async def test_what_can_go_wrong(
    repository: Repository, program: Path, text: str, cause: str
) -> None:
    script(program, text)
    async with opened(repository) as remote:
        with pytest.raises(RemoteUnavailable, match=cause):
            await remote.check_present(KEY, caller=CALLER)


@in_loop
async def test_a_network_that_is_not_installed(repository: Repository) -> None:
    async with opened(repository, "p2p-annex::none:x") as remote:
        with pytest.raises(RemoteUnavailable, match="git-annex-p2p-none is not installed in PATH"):
            await remote.check_present(KEY, caller=CALLER)


@in_loop
async def test_no_tor(repository: Repository) -> None:
    async with opened(repository, "tor-annex::abc.onion:5", free_port()) as remote:
        with pytest.raises(RemoteUnavailable, match="tor is not running here"):
            await remote.check_present(KEY, caller=CALLER)


@in_loop
async def test_a_hidden_service(repository: Repository) -> None:
    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(b"\5\0")
        await reader.readexactly(16)
        writer.write(b"\5\0\0\1" + bytes(6))
        for answer in (f"AUTH-SUCCESS {HERE}\n", "VERSION 4\n", "SUCCESS\n"):
            await reader.readline()
            writer.write(answer.encode())
        await reader.read()
        writer.close()

    async with await asyncio.start_server(attend, "127.0.0.1", 0) as tor:
        port = tor.sockets[0].getsockname()[1]
        async with opened(repository, "tor-annex::abc.onion:5", port) as remote:
            assert await remote.check_present(KEY, caller=CALLER)


@in_loop
async def test_a_hidden_service_that_is_not_there(repository: Repository) -> None:
    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(b"\5\0")
        await reader.readexactly(16)
        writer.write(b"\5\4\0\1" + bytes(6))
        writer.close()

    async with await asyncio.start_server(attend, "127.0.0.1", 0) as tor:
        port = tor.sockets[0].getsockname()[1]
        async with opened(repository, "tor-annex::abc.onion:5", port) as remote:
            with pytest.raises(RemoteUnavailable, match="tor could not connect: the host cannot"):
                await remote.check_present(KEY, caller=CALLER)


def test_a_url_that_is_no_address(repository: Repository) -> None:
    with repository, pytest.raises(ConfigError, match='"peer" has a bad url'):
        p2p_remote(repository, "tor-annex::abc.onion", INFO)


@pytest.mark.parametrize(
    ("answer", "uuid"), [(f"AUTH-SUCCESS {HERE}", HERE), ("AUTH-FAILURE", None)]
)
@in_loop
async def test_asking_who_a_peer_is(program: Path, answer: str, uuid: UUID | None) -> None:
    script(program, f'read auth; echo "$auth" >&3; echo {answer}; read more')
    assert await ask_who(parse_address("p2p-annex::net:x"), THERE, "t1") == uuid
    assert Path(f"{program}.heard").read_text() == f"AUTH {THERE} t1\n"


@pytest.mark.parametrize("text", ["exit 2", "read auth; echo WHAT"])
@in_loop
async def test_a_peer_that_does_not_say_who_it_is(program: Path, text: str) -> None:
    script(program, text)
    with pytest.raises(RemoteUnavailable):
        await ask_who(parse_address("p2p-annex::net:x"), THERE, "t1")
