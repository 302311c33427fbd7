"""The daemon: its sockets, the programs of networks, and addresses that come and go."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, chdir
from pathlib import Path

import pytest

from shoal.git.p2pcreds import P2PCredentials
from shoal.git.repository import Repository
from shoal.server import remotedaemon
from shoal.server.hiddenservice import Tor
from shoal.server.remotedaemon import (
    CannotServe,
    RemoteDaemon,
    open_socket,
    socket_path,
)
from shoal.values.p2paddress import NetAddress, TorAddress
from tests.support.annexrepo import HERE, make_annex
from tests.support.loop import in_loop
from tests.support.wait import wait_until

ADDRESS = NetAddress("net", "peer")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the path of git-annex-p2p-net."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(remotedaemon, "_FIRST_DELAY", 0.01)
    return tmp_path / "bin" / "git-annex-p2p-net"


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


class Daemon:
    """A daemon of a repository with one address, and what it complained of."""

    def __init__(self, repository: Repository) -> None:
        self.complaints: asyncio.Queue[str] = asyncio.Queue()
        self.daemon = RemoteDaemon(repository, self.complaints.put_nowait)
        self.path = Path(socket_path(repository, ADDRESS)).absolute()
        self.busy: socket.socket | None = None  # another daemon's


@asynccontextmanager
async def running(tmp_path: Path, *, busy: bool = False) -> AsyncIterator[Daemon]:
    repository = make_annex(tmp_path / "repo")
    P2PCredentials(repository).add_address(ADDRESS)
    with chdir(repository.path), repository:  # which makes the path of the socket short
        daemon = Daemon(repository)
        daemon.busy = open_socket(socket_path(repository, ADDRESS)) if busy else None
        task = asyncio.create_task(daemon.daemon.run())
        yield daemon
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def becomes(path: Path, there: bool) -> None:
    await asyncio.to_thread(wait_until, lambda: path.exists() is there)


@in_loop
async def test_the_program_is_told_the_socket_and_ended_with_the_daemon(
    tmp_path: Path, program: Path
) -> None:
    script(program, f'echo $$ "$@" > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/told; sleep 99')
    told = tmp_path / "told"
    async with running(tmp_path) as daemon:
        await becomes(told, True)
        pid, address, path = told.read_text().split()
        assert (address, Path(path).absolute()) == ("peer", daemon.path)
        assert stat.S_IMODE(daemon.path.stat().st_mode) == 0o777
    assert not Path(f"/proc/{pid}").exists()
    assert not daemon.path.exists()


@in_loop
async def test_a_program_that_fails_is_started_again(tmp_path: Path, program: Path) -> None:
    done = tmp_path / "done"
    script(
        program, f"test -e {tmp_path}/once && touch {done} && exit 0; touch {tmp_path}/once; exit 7"
    )
    async with running(tmp_path) as daemon:
        await becomes(done, True)
        assert daemon.complaints.get_nowait().endswith("git-annex-p2p-net ended with status 7")
        assert daemon.complaints.empty()


@in_loop
async def test_a_program_that_is_missing(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        said = await daemon.complaints.get()
    assert said == f"{ADDRESS}: git-annex-p2p-net is not installed in PATH"


@in_loop
async def test_addresses_come_and_go(tmp_path: Path, program: Path) -> None:
    script(program, "exit 0")
    addresses = tmp_path / "repo" / ".git" / "annex" / "creds" / "p2paddrs"
    async with running(tmp_path) as daemon:
        await becomes(daemon.path, True)
        text = addresses.read_text()
        addresses.write_text("")
        daemon.daemon.reload()
        await becomes(daemon.path, False)
        addresses.write_text(text)
        daemon.daemon.reload()
        await becomes(daemon.path, True)


@in_loop
async def test_who_serves_an_address_may_be_another_daemon(tmp_path: Path, program: Path) -> None:
    script(program, f"touch {tmp_path}/ours")
    async with running(tmp_path, busy=True) as daemon:
        said = await daemon.complaints.get()
        assert said == f"{ADDRESS}: another remotedaemon serves it"
        daemon.daemon.reload()
        assert daemon.busy is not None
        daemon.busy.close()
        daemon.daemon.reload()
        await becomes(tmp_path / "ours", True)
        assert daemon.complaints.empty()


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    open_socket(path).close()
    with open_socket(path):
        with pytest.raises(CannotServe, match="another remotedaemon serves it"):
            open_socket(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_the_name_of_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the real daemon names it; the shorter of the absolute and the relative path."""
    name = "6319118e427317d67456c15931619f3d"
    with make_annex(tmp_path / "repo") as repository:
        address = NetAddress("test", "srv")
        monkeypatch.chdir(repository.path)
        assert socket_path(repository, address) == f".git/annex/p2p/{name}"
        monkeypatch.chdir(Path(repository.path).parent)
        assert socket_path(repository, address) == f"repo/.git/annex/p2p/{name}"


def test_a_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    with make_annex(long) as repository, pytest.raises(CannotServe, match="too long"):
        socket_path(repository, ADDRESS)


def test_no_hidden_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torrc = tmp_path / "torrc"
    monkeypatch.setattr(remotedaemon, "Tor", lambda: Tor((str(torrc),)))
    with make_annex(tmp_path / "repo") as repository:
        with pytest.raises(CannotServe, match="tor has no hidden service"):
            socket_path(repository, TorAddress("abc.onion", 4711))
        directory = f"/var/lib/tor/tor-annex_{os.getuid()}_{HERE}/"
        torrc.write_text(f"HiddenServiceDir {directory}\nHiddenServicePort 1 unix:/s\n")
        assert socket_path(repository, TorAddress("abc.onion", 4711)) == "/s"
