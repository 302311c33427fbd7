"""Telling other gateways what a session of shoal-shell changed, when the client has gone.

A process of its own does that, so that nobody waits for it. Of many sessions that end together
one pushes, and one waits to push what came after; the rest know that theirs is included.

    python -m shoal.cli.shellshare REPOSITORY
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.git.repository import Repository


def tell_others(repository: Repository) -> None:
    """Have other gateways told of what is committed to the git-annex branch, if there are any."""
    from shoal.gateway.exchange import gateways_to_tell

    if gateways_to_tell(repository):
        subprocess.Popen(
            [sys.executable, "-m", "shoal.cli.shellshare", repository.path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def main(path: str) -> None:
    """Tell them, after whoever is doing so now, unless somebody waits for that already."""
    import asyncio

    from shoal.gateway.sharing import needs_sharing, share_once
    from shoal.git.repository import Repository

    with Repository.open(path) as repository:
        lock = repository.annex_path("shoal", "share.lck")
        repository.make_directory(os.path.dirname(lock))
        waiting = repository.locker.try_exclusive(f"{lock}.next")
        if waiting is None:
            return
        now = repository.locker.exclusive(lock)
        waiting.release()
        try:
            repository.refresh()
            if needs_sharing(repository):
                asyncio.run(share_once(repository))
        finally:
            now.release()


if __name__ == "__main__":
    main(sys.argv[1])
