"""A cluster gateway over HTTP, served by shoal or by the real program, and real clients of it."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.wait import wait_until
from tests.support.world import World

_PORTS = range(10_000, 32_000)  # none that Linux gives to sockets which ask for no port


def free_port() -> int:
    """Give a TCP port of 127.0.0.1 that nobody uses, and that nobody is given by chance before
    a server is started there, or while one is down."""
    while True:
        port = secrets.choice(_PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def takes_connections(port: int) -> bool:
    """Tell whether somebody listens on a port here. (A socket that asks for a port which nobody
    has may be given that very port, and then be connected to itself.)"""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as probe:
        return bool(probe.getsockname() != probe.getpeername())
    return False


@dataclass
class Gateway:
    """A gateway repository with nodes on disk, made by the real program."""

    world: World
    path: Path
    cluster: str  # UUID
    nodes: list[Path]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    at: tuple[str, ...] = ()  # words that run a command in the network where it is served
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.world.root / "server.log"

    @property
    def url(self) -> str:
        return f"annex+http://127.0.0.1:{self.port}/git-annex/"

    def uuid_of(self, repo: Path) -> str:
        return self.world.git(repo, "config", "annex.uuid")

    def start(self, *options: str, program: str = "shoal") -> None:
        """Start the server and wait until it takes connections."""
        bind = "0.0.0.0" if self.at else "127.0.0.1"
        words = [*self.at, program, "p2phttp", f"--bind={bind}", f"--port={self.port}"]
        words += list(options or ("--wideopen", "--jobs=16"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words, cwd=self.path, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._is_up)

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended: {self.log.read_text()}"
        return self._answers()

    def _answers(self) -> bool:
        """Tell whether it takes connections."""
        if self.at:
            probe = ["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{self.port}"]
            return subprocess.run([*self.at, *probe], stderr=subprocess.DEVNULL).returncode == 0
        return takes_connections(self.port)

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End the server; give it time to finish unless it is killed."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(120)
            self.process = None

    def take_away(self, node: Path) -> None:
        """Let a node's disk disappear."""
        node.rename(node.with_name(node.name + ".away"))

    def bring_back(self, node: Path) -> None:
        node.with_name(node.name + ".away").rename(node)

    def client(self, name: str = "client") -> Path:
        """Clone the gateway for a real git-annex client that uses it over HTTP."""
        repo = self.world.root / name
        self.world.run("git", "clone", "-q", self.path, repo)
        self.world.git(repo, "config", "remote.origin.annexUrl", self.url)
        self.world.annex(repo, "init", "-q", name)
        return repo

    def holders(self, key: str) -> list[str]:
        """Give the names of the nodes whose object store holds `key`, by looking at the disks."""
        return [node.name for node in self.nodes if node.is_dir() and objects_of(node, key)]

    def descriptors(self) -> int:
        """Give how many file descriptors the server has open."""
        assert self.process is not None
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def objects_of(repo: Path, key: str) -> list[Path]:
    """Give the object files of `key` in a repository, bare or not."""
    git_dir = repo / ".git" if (repo / ".git").is_dir() else repo
    return [p for p in (git_dir / "annex" / "objects").glob(f"*/*/{key}/{key}") if p.is_file()]


def left_behind(repo: Path) -> list[str]:
    """Give files that a repository should not have when nothing is going on there."""
    git_dir = repo / ".git" if (repo / ".git").is_dir() else repo
    annex = git_dir / "annex"
    found = [p for name in ("othertmp", "journal") for p in annex.glob(f"{name}/**/*")]
    found += [p for p in annex.glob("transfer/*load/*/*") if not p.name.startswith("lck")]
    found += annex.glob("objects/*/*/*/*.lck")
    found += annex.glob("objects/*/*/*/*.rt[ml]")
    return sorted(str(p.relative_to(git_dir)) for p in found if p.is_file())


def make_gateway(world: World, nodes: int = 3, *, bare: bool = False) -> Gateway:
    """Make a cluster `mycluster` with the real program; its nodes are git repositories."""
    gateway = world.make("gateway")
    world.git(gateway, "commit", "-q", "--allow-empty", "-m", "start")
    world.annex(gateway, "initcluster", "mycluster")
    paths = []
    for number in range(1, nodes + 1):
        name = f"node{number}"
        node = world.root / name
        world.run("git", "clone", "-q", *(["--bare"] if bare else []), gateway, node)
        world.annex(node, "init", name)
        world.git(node, "remote", "rm", "origin")
        world.git(gateway, "remote", "add", name, node)
        world.git(gateway, "fetch", "-q", name)
        world.git(gateway, "config", f"remote.{name}.annex-cluster-node", "mycluster")
        paths.append(node)
    world.annex(gateway, "merge")
    world.annex(gateway, "updatecluster")
    cluster = world.git(gateway, "config", "annex.cluster.mycluster")
    return Gateway(world, gateway, cluster, paths)


@contextlib.contextmanager
def served(gateway: Gateway, *options: str, program: str = "shoal") -> Iterator[Gateway]:
    """Serve `gateway` while the context is open; show the server's log when the test fails."""
    gateway.start(*options, program=program)
    try:
        yield gateway
    except BaseException:
        sys.stderr.write(gateway.log.read_text(errors="replace"))
        raise
    finally:
        gateway.stop()
