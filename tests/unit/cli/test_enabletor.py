"""Becoming root, and looking whether a hidden service can be reached."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from shoal.cli import enabletor
from shoal.cli.enabletor import root_command
from shoal.cli.output import Output
from shoal.errors import RemoteUnavailable, ShoalError
from shoal.remotes import p2psocket
from shoal.server import remotedaemon
from shoal.server.hiddenservice import Tor
from shoal.transport.stdio import FdStream
from shoal.values.p2paddress import P2PAddress, TorAddress
from tests.support.annexrepo import HERE, THERE, make_annex
from tests.support.loop import in_loop

WORDS = ["/my bin/shoal", "enable-tor", "7"]
TEXT = "'/my bin/shoal' enable-tor 7"


@pytest.mark.parametrize(
    ("installed", "display", "at_terminal", "expected"),
    [
        (["su", "sudo"], "", True, ["su", "-c", TEXT]),
        (["sudo", "pkexec"], "", True, ["sudo", *WORDS]),
        (["sudo", "pkexec"], ":0", True, ["pkexec", "sh", "-c", f"cd '/a b' && {TEXT}"]),
        (["su", "gksu"], "", False, ["gksu", TEXT]),
        (["su"], ":0", False, ["su", "-c", TEXT]),
        ([], ":0", True, None),
    ],
)
def test_how_to_become_root(
    tmp_path: Path, installed: list[str], display: str, at_terminal: bool,
    expected: list[str] | None,
) -> None:  # fmt: skip
    for name in installed:
        (tmp_path / name).touch(mode=0o755)
    environment = {"PATH": str(tmp_path), "DISPLAY": display}
    found = root_command(WORDS, "/a b", environment, at_terminal=at_terminal)
    assert (found and found[1]) == expected


class Network:
    """In the place of tor: it finds the service at the `good` attempt."""

    def __init__(self, path: Path, good: int) -> None:
        self.path, self.good = path, good
        self.attempts = 0

    async def connect(self, address: P2PAddress, name: str) -> FdStream:
        self.attempts += 1
        if self.attempts < self.good:
            raise RemoteUnavailable(name, "not known")
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(self.path))
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, f"AUTH {THERE} abc\n".encode())
        with suppress(ConnectionResetError):
            assert await loop.sock_recv(client, 100) == b""  # it lets nobody in
        fd = client.detach()
        return FdStream(fd, fd)


@pytest.mark.parametrize(("good", "attempts"), [(1, 1), (2, 2), (99, 3)])
@in_loop
async def test_whether_it_can_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    good: int, attempts: int,
) -> None:  # fmt: skip
    path, torrc = tmp_path / "s", tmp_path / "torrc"
    name = f"tor-annex_{os.getuid()}_{HERE}"
    torrc.write_text(f"HiddenServiceDir /x/{name}\nHiddenServicePort 1 unix:{path}\n")
    network = Network(path, good)
    monkeypatch.setattr(remotedaemon, "Tor", lambda: Tor((str(torrc),)))
    monkeypatch.setattr(p2psocket, "connect", network.connect)
    monkeypatch.setattr(enabletor, "_ATTEMPTS", 3)
    monkeypatch.setattr(enabletor, "_PAUSE", 0)
    with make_annex(tmp_path / "repo") as repository:
        item = Output("enable-tor").item()
        failure = "Still unable to connect to hidden service."
        with nullcontext() if good < 99 else pytest.raises(ShoalError, match=failure):
            await enabletor._reach(repository, TorAddress("abc.onion", 1), item)
    assert network.attempts == attempts
    assert capsys.readouterr().err.count("Will retry..") == min(good - 1, 3)
    assert not path.exists()
