"""A repository served by the real `git annex p2phttp`."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.gateway import free_port, objects_of, takes_connections
from tests.support.wait import wait_until
from tests.support.world import World


@dataclass
class RealServer:
    """A repository served by the real program."""

    world: World
    path: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def uuid(self) -> UUID:
        return UUID(self.world.git(self.path, "config", "annex.uuid"))

    def start(self, *options: str, env: dict[str, str] | None = None) -> None:
        words = ["git-annex", "p2phttp", "--bind=127.0.0.1", f"--port={self.port}", "-J3", *options]
        with (self.world.root / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                words, cwd=self.path, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(env or {})},
            )  # fmt: skip
        wait_until(self._is_up)

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.world.root / "server.log").read_text()
        return takes_connections(self.port)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)
            self.process = None

    @property
    def url(self) -> str:
        return f"annex+http://127.0.0.1:{self.port}/git-annex/"

    def has(self, key: Key) -> bool:
        return bool(objects_of(self.path, str(key)))
