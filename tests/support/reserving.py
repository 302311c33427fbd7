"""A process that reserves room for keys, and then does what it is told.

    python -m tests.support.reserving REPOSITORY UUID KEY...

Reserves each key in one decision, prints `reserved`, and reads a line: `store` records that
the keys are there now, anything else gives them up. Prints `done` then, and waits for the end
of its input.
"""

from __future__ import annotations

import sys

from shoal.git.repository import Repository
from shoal.values.key import Key
from shoal.values.uuid import UUID


def main(path: str, uuid: UUID, keys: list[Key]) -> None:
    """Do it."""
    with Repository.open(path) as repository:
        with repository.sizes.deciding() as decision:
            reserved = [decision.reserve(uuid, key) for key in keys]
        print("reserved", flush=True)
        told = sys.stdin.readline()
        for key in keys if told == "store\n" else []:
            repository.logs.set_location(key, uuid, True)
        for one in reserved:
            one.cancel()
        print("done", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], UUID(sys.argv[2]), [Key.parse(word.encode()) for word in sys.argv[3:]])
