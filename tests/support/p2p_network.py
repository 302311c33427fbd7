"""A peer-to-peer network for tests: names in a directory that lead to unix sockets."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.wait import wait_until
from tests.support.world import World

_TRANSPORT = """\
#!{python}
import os, select, socket, sys
net = {net!r}
if sys.argv[1:] == ["address"]:
    print(os.path.basename(os.getcwd()))
elif len(sys.argv) == 3:
    link = os.path.join(net, sys.argv[1])
    os.symlink(os.path.realpath(sys.argv[2]), link + ".new")
    os.rename(link + ".new", link)
else:
    peer = socket.socket(socket.AF_UNIX)
    try:
        peer.connect(os.path.join(net, sys.argv[1]))
    except OSError:
        sys.exit(3)
    watched = [0, peer]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if 0 in ready:
            data = os.read(0, 1 << 16)
            if not data:
                break
            peer.sendall(data)
        if peer in ready:
            data = peer.recv(1 << 16)
            if not data:
                break
            while data:
                data = data[os.write(1, data):]
"""

_GIT_HELPER = """\
#!{python}
import sys
from git_annex import cli
sys.exit(cli())
"""


@dataclass
class Network:
    """The network `test`: its program is in PATH."""

    world: World
    monkeypatch: pytest.MonkeyPatch

    @property
    def directory(self) -> Path:
        return self.world.root / "net"

    def install(self) -> None:
        programs = self.world.root / "bin"
        programs.mkdir()
        self.directory.mkdir()
        text = _TRANSPORT.format(python=sys.executable, net=str(self.directory))
        _script(programs / "git-annex-p2p-test", text)
        self.monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    def use_git_helper_of_git_annex(self) -> None:
        """Let git reach p2p-annex:: urls with the real program, which goes by its name."""
        helper = self.world.root / "bin" / "git-remote-p2p-annex"
        _script(helper, _GIT_HELPER.format(python=sys.executable))

    def enable(self, repo: Path, program: str = "git-annex") -> str:
        """Enable the network in `repo`; give an address for peers, with its token."""
        self.world.run(program, "p2p", "--enable", "test", cwd=repo)
        return self.world.run(program, "p2p", "--gen-addresses", cwd=repo).stdout.strip()

    def link(self, repo: Path, address: str, name: str, program: str = "git-annex") -> None:
        """Make the peer at `address` the remote `name` of `repo`."""
        words = [program, "p2p", "--link", "--name", name]
        self.world.run(*words, cwd=repo, data=address.encode() + b"\n")

    @contextmanager
    def daemon(self, repo: Path, program: str = "shoal") -> Iterator[subprocess.Popen[bytes]]:
        """Run a remotedaemon in the foreground until it can be reached, and for the block."""
        link = self.directory / repo.name
        link.unlink(missing_ok=True)
        words = [program, "remotedaemon", "--foreground"]
        process = subprocess.Popen(words, cwd=repo, stdin=subprocess.PIPE)
        try:
            wait_until(lambda: takes_connections(link))
            yield process
            if process.poll() is None:
                process.communicate(b"STOP\n", timeout=120)
        finally:
            process.kill()
            process.communicate()


def takes_connections(link: Path) -> bool:
    """Tell whether somebody listens where a name of the network leads to: who is to pass on
    connections is started at the same time as who takes them."""
    with socket.socket(socket.AF_UNIX) as probe:
        return link.is_symlink() and probe.connect_ex(str(link)) == 0


def daemons_of(repo: Path) -> list[int]:
    """Give the process ids of the remotedaemons of `repo`."""
    return [
        int(found.name)
        for found in Path("/proc").iterdir()
        if found.name.isdecimal() and _is_daemon_of(found, repo)
    ]


def _is_daemon_of(process: Path, repo: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes()
        return b"remotedaemon" in words and (process / "cwd").resolve() == repo
    except OSError:
        return False


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
