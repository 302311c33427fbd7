"""A process whose threads reserve room and record keys all the time, as a busy server's do.

    python -m tests.support.busy_reserving REPOSITORY UUID

Prints `busy` when all have begun, goes on until its input ends, and then prints how many keys
were recorded.
"""

from __future__ import annotations

import itertools
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from shoal.git.repository import Repository
from shoal.values.key import Key
from shoal.values.uuid import UUID

_THREADS = 8
_COMMIT_EVERY = 100
_numbers = itertools.count()


def work(
    repository: Repository, uuid: UUID, begun: threading.Barrier, ended: threading.Event
) -> int:
    """Store one key of one byte after the other, until `ended`; give how many."""
    made = 0
    while not ended.is_set():
        number = next(_numbers)
        key = Key.parse(b"SHA256E-s1--busy%d" % number)
        with repository.sizes.deciding() as decision:
            reservation = decision.reserve(uuid, key)
        with reservation:
            repository.logs.set_location(key, uuid, True)
        if number % _COMMIT_EVERY == 0:
            repository.branch.commit()
        if not made:
            begun.wait()
        made += 1
    return made


def main(path: str, uuid: UUID) -> None:
    """Run the threads."""
    begun, ended = threading.Barrier(_THREADS + 1), threading.Event()
    with Repository.open(path) as repository, ThreadPoolExecutor(_THREADS) as threads:
        running = [threads.submit(work, repository, uuid, begun, ended) for _ in range(_THREADS)]
        begun.wait()
        print("busy", flush=True)
        sys.stdin.read()
        ended.set()
        print(sum(one.result() for one in running), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], UUID(sys.argv[2]))
