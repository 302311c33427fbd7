"""`shoal cluster` operations in processes of their own, so that a test can disturb them."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.gateway import Gateway


@dataclass
class Running:
    """An operation under way. What it shows goes to a file."""

    process: subprocess.Popen[bytes]
    shown_in: Path

    def shown(self) -> str:
        return self.shown_in.read_text()

    def is_at_work(self) -> bool:
        """It has done something with a few keys."""
        return self.shown().count(" ok\n") >= 4

    def end(self) -> tuple[int, str]:
        """Wait for the end; give the exit code and what was shown."""
        return self.process.wait(120), self.shown()


def begin(gateway: Gateway, *words: str) -> Running:
    """Start an operation."""
    handle, name = tempfile.mkstemp(dir=gateway.world.root)
    with open(handle, "wb") as file:
        process = subprocess.Popen(
            ["shoal", "cluster", *words, "--yes", "--jobs=2"],
            cwd=gateway.path, stdout=file, stderr=file,
        )  # fmt: skip
    return Running(process, Path(name))


def run(gateway: Gateway, *words: str) -> tuple[int, str]:
    return begin(gateway, *words).end()
