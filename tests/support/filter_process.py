"""git's filter process for tests: `python -m tests.support.filter_process`."""

from __future__ import annotations

import sys

from shoal.git.filterprocess import serve
from shoal.git.repository import Repository
from shoal.git.smudge import Smudger


def main() -> None:
    """Serve git on standard input and output."""
    with Repository.discover() as repository:
        smudger = Smudger(repository)
        try:
            serve(
                smudger,
                sys.stdin.buffer,
                sys.stdout.buffer,
                lambda text: print(text, file=sys.stderr, flush=True),
            )
        finally:
            smudger.close()


if __name__ == "__main__":
    main()
