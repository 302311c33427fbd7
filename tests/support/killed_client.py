"""A shoal command that kills itself before its Nth change of the disk.

    python -m tests.support.killed_client DIRECTORY N COMMAND…

Prints `done` when it came to its end.
"""

from __future__ import annotations

import os
import sys

from shoal.cli.main import main
from tests.support.killed_store import CHANGES, Bomb

if __name__ == "__main__":
    os.chdir(sys.argv[1])
    bomb = Bomb(int(sys.argv[2]))
    for name in CHANGES:
        setattr(os, name, bomb.watch(getattr(os, name)))
    code = main(sys.argv[3:])
    print("done", code, flush=True)
