"""Stands between ssh and shoal-shell, and kills shoal-shell at a given moment: for tests.

    python tap.py PLAN COMMAND

PLAN is a file that says when, see Plan; without it, or for another repository, this is what
`shoal-shell -c COMMAND` is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, slots=True)
class Plan:
    """The shell that serves `repo` is killed when `after` bytes have gone `to` or `from` it; or
    when it begins to `answer` after it was sent so many, before anybody sees that."""

    repo: str
    side: str
    after: int

    def arm(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))


class Tap:
    """Passes on what goes to and fro."""

    def __init__(self, path: Path, plan: Plan, words: list[str]) -> None:
        self._path = path
        self._plan = plan
        self._shell = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._passed = {"to": 0, "from": 0}

    def run(self) -> int:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        to = threading.Thread(
            target=self._copy, args=("to", sys.stdin.buffer, self._shell.stdin), daemon=True
        )
        to.start()
        self._copy("from", self._shell.stdout, sys.stdout.buffer)
        return self._shell.wait()

    def _copy(self, side: str, source: IO[bytes], sink: IO[bytes]) -> None:
        try:
            while data := os.read(source.fileno(), 1 << 14):
                left = self._left(side)
                while data and (left is None or left > 0):
                    written = os.write(sink.fileno(), data if left is None else data[:left])
                    self._passed[side] += written
                    data, left = data[written:], self._left(side)
                if left is not None and left <= 0:
                    self._kill()
            sink.close()
        except OSError:
            self._shell.kill()

    def _left(self, side: str) -> int | None:
        plan = self._plan
        if plan.side == "answer":
            return 0 if side == "from" and self._passed["to"] >= plan.after else None
        return plan.after - self._passed[side] if side == plan.side else None

    def _kill(self) -> None:
        self._path.unlink()
        self._shell.kill()
        os._exit(1)


def main(path: Path, command: str) -> int:
    words = ["shoal-shell", "-c", command]
    plan = Plan(**json.loads(path.read_text())) if path.exists() else None
    if plan is None or plan.repo not in command or "p2pstdio" not in command:
        os.execvp(words[0], words)
    return Tap(path, plan, words).run()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
