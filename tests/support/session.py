"""A running session with a gateway, of either program, spoken to line by line."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

VERSION = 2


@dataclass
class Session:
    """The client's end of it."""

    process: subprocess.Popen[bytes]
    unread: bytes = b""

    def send(self, data: bytes | str) -> None:
        """Send a line, or raw bytes; they must fit into a pipe, or be read."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{data}\n".encode() if isinstance(data, str) else data)
        self.process.stdin.flush()

    def read(self, seconds: float = 60) -> str | None:
        """Read one line; "" at the end of the session, None when there is none in time."""
        assert self.process.stdout is not None
        while b"\n" not in self.unread:
            if not select.select([self.process.stdout], [], [], seconds)[0]:
                return None
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                return ""
            self.unread += data
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode()

    def ask(self, line: str) -> str | None:
        """Send a line and read one."""
        self.send(line)
        return self.read()

    def shells(self) -> list[int]:
        """Give the process ids of the git-annex-shells that serve nodes to this gateway."""
        return [pid for pid, words in descendants(self.process.pid) if b"p2pstdio" in words]


@contextmanager
def session(program: list[str], repo: Path, uuid: str) -> Iterator[Session]:
    """Begin a session about the repository `uuid`, with the gateway `repo`."""
    words = [*program, str(repo), "me", "--uuid", uuid]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        made = Session(process)
        assert made.read() == f"AUTH-SUCCESS {uuid}"
        assert made.ask(f"VERSION {VERSION}") == f"VERSION {VERSION}"
        yield made
    finally:
        process.kill()
        process.communicate()


def descendants(pid: int) -> list[tuple[int, bytes]]:
    """Give the processes that `pid` started, and those that they did, with their words."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            for child in map(int, children.read_text().split()):
                words = Path(f"/proc/{child}/cmdline").read_bytes()
                found += [(child, words), *descendants(child)]
    return found
