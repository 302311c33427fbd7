"""Counting the sizes of repositories in a process of its own, as `python -m` this module.

The first count takes seconds for a million keys. A server that made it in a thread would answer
nobody quickly meanwhile; so another process does, at a low priority, and leaves the sizes in the
database that processes share.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_COMMAND: Final = (sys.executable, "-P", "-m", "shoal.git.countapart")
_NICE: Final = 10


class CountApart:
    """One such count. run() blocks and belongs in a thread; stop() ends it from another."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self) -> None:
        """Count, unless what is known is of this very commit. Who asks for sizes meanwhile
        waits for the result, and counts when there is none. Raises OSError."""
        self._repository.sizes.let_count(self._count)

    def _count(self) -> bool:
        """Have the process count; tell whether it did."""
        with self._lock:
            if self._stopped:
                return False
            words = [*_COMMAND, self._repository.path]
            none = subprocess.DEVNULL
            process = subprocess.Popen(words, stdin=none, stdout=none, stderr=none)
            self._process = process
        return process.wait() == 0

    def stop(self) -> None:
        """Let run() end soon, now or when it is called. What was not finished does no harm."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()


def main(path: str) -> None:
    """Count the sizes that the repository at `path` knows, and keep them in its database."""
    from shoal.git.repository import Repository

    os.nice(_NICE)
    with Repository.open(path) as repository:
        repository.sizes.sizes()


if __name__ == "__main__":
    main(sys.argv[1])
