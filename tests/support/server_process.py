"""`shoal p2phttp` as a process of its own, in front of repositories made by the real program."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.gateway import free_port, takes_connections
from tests.support.raw_http import RawClient
from tests.support.wait import wait_until
from tests.support.world import World


@dataclass
class ServerProcess:
    """A running server."""

    world: World
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"annex+http://127.0.0.1:{self.port}/git-annex/"

    def raw(self, repo: Path) -> RawClient:
        """Give a client of raw requests to `repo`."""
        return RawClient(self.port, self.world.git(repo, "config", "annex.uuid"))

    def client(self, repo: Path, name: str = "client", *, url: str | None = None) -> Path:
        """Clone `repo` for a real git-annex client that uses it over HTTP."""
        clone = self.world.root / name
        self.world.run("git", "clone", "-q", repo, clone)
        self.world.git(clone, "config", "remote.origin.annexUrl", url or self.url)
        self.world.annex(clone, "init", "-q", name)
        return clone

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = 120) -> int:
        """Wait for the end; give the exit code."""
        return self.process.wait(seconds)

    def words(self) -> str:
        """Give what the server said."""
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def server_process(
    world: World,
    cwd: Path,
    *options: str,
    env: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[ServerProcess]:
    """Run a server while the context is open."""
    port = free_port() if port is None else port
    log = world.root / "server.log"
    words = ["shoal", "p2phttp", "--bind=127.0.0.1", f"--port={port}", *options]
    with log.open("ab") as out:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(env or {})},
        )
    server = ServerProcess(world, port, process, log)
    try:
        wait_until(lambda: _is_up(server))
        yield server
    except BaseException:
        sys.stderr.write(server.words())
        raise
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(120)
        finally:
            process.kill()


def _is_up(server: ServerProcess) -> bool:
    assert server.process.poll() is None, server.words()
    return takes_connections(server.port)
