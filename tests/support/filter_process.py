"""git's filters for tests: `python -m tests.support.filter_process [clean FILE|smudge FILE]`."""

from __future__ import annotations

import sys

from shoal.git.filterprocess import serve
from shoal.git.repository import Repository
from shoal.git.smudge import Smudger, clean_stream, smudge_stream


def _warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Serve git on standard input and output."""
    with Repository.discover() as repository:
        smudger = Smudger(repository)
        source, target = sys.stdin.buffer, sys.stdout.buffer
        try:
            match sys.argv[1:]:
                case ["clean", file]:
                    clean_stream(smudger, file, source, target, _warn)
                case ["smudge", file]:
                    smudge_stream(smudger, file, source, target)
                case _:
                    serve(smudger, source, target, _warn)
        finally:
            smudger.close()


if __name__ == "__main__":
    main()
