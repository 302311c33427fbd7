"""A running `git-annex-shell p2pstdio` of the real program, spoken to line by line."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.annexrepo import THERE


class RealShell:
    """One session with version 4 of the protocol."""

    def __init__(self, repository: Path, client: str = THERE) -> None:
        self.process = subprocess.Popen(
            ["git-annex-shell", "p2pstdio", str(repository), client],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.read().startswith("AUTH-SUCCESS")
        assert self.ask("VERSION 4") == "VERSION 4"

    def send(self, data: bytes | str) -> None:
        """Send a line, or raw bytes."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{data}\n".encode() if isinstance(data, str) else data)
        self.process.stdin.flush()

    def read(self) -> str:
        """Read one line; "" at the end of the session."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().rstrip("\n")

    def ask(self, line: str) -> str:
        """Send a line and read one."""
        self.send(line)
        return self.read()

    def put(self, key: object, content: bytes) -> str:
        """Store a whole content."""
        answer = self.ask(f"PUT  {key}")
        offset = int(answer.removeprefix("PUT-FROM "))
        self.send(b"DATA %d\n%sVALID\n" % (len(content) - offset, content[offset:]))
        return self.read()

    def kill(self) -> None:
        """Kill it, as a crash would."""
        self.process.kill()
        self.process.wait()

    def end(self) -> str:
        """End the session; give what it wrote to standard error."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        errors = self.process.stderr.read().decode()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        return errors

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
