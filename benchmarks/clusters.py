"""Clusters of local nodes to measure, and the two programs that can serve them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_GIT_CONFIG = """\
[user]
	name = Ben Chmark
	email = ben@example.org
[init]
	defaultBranch = main
[annex "security"]
	allowed-ip-addresses = all
"""


def use_home(home: Path) -> None:
    """Keep git and git-annex inside `home`, whatever the user has configured."""
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitconfig").write_text(_GIT_CONFIG)
    os.environ.update(
        HOME=str(home),
        GIT_CONFIG_GLOBAL=str(home / ".gitconfig"),
        GIT_CONFIG_NOSYSTEM="1",
        LC_ALL="C.UTF-8",
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    )


def run(*words: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(w) for w in words], cwd=cwd, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A gateway repository with local nodes."""

    gateway: Path
    uuid: str
    nodes: tuple[str, ...]

    def object_file(self, key: str) -> Path:
        """Give the file in which the first node keeps the content of `key`."""
        return next(self.gateway.parent.glob(f"node1/annex/objects/*/*/{key}/{key}"))


def make_cluster(root: Path, nodes: int) -> Cluster:
    """Make a cluster of `nodes` bare repositories with the real git-annex."""
    gateway = root / "gateway"
    run("git", "init", "-q", gateway)
    run("git-annex", "init", "gateway", cwd=gateway)
    run("git", "commit", "-q", "--allow-empty", "-m", "start", cwd=gateway)
    run("git-annex", "initcluster", "bench", cwd=gateway)
    uuids = []
    for number in range(1, nodes + 1):
        node = root / f"node{number}"
        run("git", "clone", "-q", "--bare", gateway, node)
        run("git-annex", "init", f"node{number}", cwd=node)
        run("git", "remote", "add", f"node{number}", node, cwd=gateway)
        run("git", "fetch", "-q", f"node{number}", cwd=gateway)
        run("git", "config", f"remote.node{number}.annex-cluster-node", "bench", cwd=gateway)
        uuids.append(run("git", "config", "annex.uuid", cwd=node))
    run("git-annex", "merge", cwd=gateway)
    run("git-annex", "updatecluster", cwd=gateway)
    return Cluster(gateway, run("git", "config", "annex.cluster.bench", cwd=gateway), tuple(uuids))


@dataclass(slots=True)
class Server:
    """A running p2phttp server."""

    port: int
    process: subprocess.Popen[bytes]
    behind: tuple[Server, ...] = ()  # whom it asks, when they are no children of it

    def peak_memory(self) -> float:
        """Give the peak resident memory of the server and its children, summed, in MB."""
        return sum(_peak_kib(pid) for pid in self._pids()) * 1024 / 1e6

    def own_peak_memory(self) -> float:
        """Give the peak resident memory of the server alone, in MB."""
        return _peak_kib(self.process.pid) * 1024 / 1e6

    def cpu_seconds(self) -> float:
        """Give the processor time that the server, its children and those behind it have used."""
        own = sum(map(_cpu_seconds, self._pids()))
        return own + sum(server.cpu_seconds() for server in self.behind)

    def _pids(self) -> list[int]:
        return [self.process.pid, *_descendants(self.process.pid)]


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *_descendants(child)]
    return found


def _peak_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def _cpu_seconds(pid: int) -> float:
    """Give the processor time of a process, and of children that it has waited for."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serve(program: str, repository: Path) -> Iterator[Server]:
    """Run `git-annex p2phttp` or `shoal p2phttp` on `repository` with the same options."""
    port = free_port()
    words = [program, "p2phttp", "--wideopen", "--jobs=256", "--bind=127.0.0.1"]
    words += [f"--port={port}", "--proxyconnections=256", "--clusterjobs=2"]
    process = subprocess.Popen(
        words, cwd=repository, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port, process)
        yield Server(port, process)
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """Keep each processor awake, with work of a priority that everything else goes before."""
    busy = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"
    count = len(os.sched_getaffinity(0))
    loops = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until `process` listens on `port`; raise RuntimeError when it does not."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended at once, exit {process.returncode}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")
