"""A process that stores, gets and removes keys in a repository through shoal, for tests in which
the real program does the same at the same time.

    python -m tests.support.busy_store REPOSITORY NAME COUNT

Stores COUNT contents `NAME N`, removes every third, and commits now and then.
"""

from __future__ import annotations

import asyncio
import sys

from shoal.git.repository import Repository
from shoal.remotes.base import AlreadyPresent, Caller
from shoal.remotes.local import LocalRemote
from tests.support.annexrepo import THERE, key_of
from tests.support.memory_remote import content_from, gather

CALLER = Caller(THERE)


def contents(name: str, count: int) -> list[bytes]:
    """Give the contents that are stored, in order."""
    return [f"{name} {number}\n".encode() * 100 for number in range(count)]


async def run(path: str, name: str, count: int) -> None:
    """Do it all; fail on the first thing that goes wrong."""
    with Repository.open(path) as repository:
        uuid = repository.uuid
    remote = LocalRemote(path, uuid)
    for number, data in enumerate(contents(name, count)):
        key = key_of(data)
        upload = await remote.begin_store(key, file=name, caller=CALLER)
        assert not isinstance(upload, AlreadyPresent)
        async with upload:
            assert (await upload.store(content_from(data))).stored
        async with remote.retrieve(key, caller=CALLER) as content:
            assert await gather(content) == data
        if number % 3 == 0:
            async with remote.lock_content(key, caller=CALLER):
                pass
            assert (await remote.remove(key, caller=CALLER)).removed
        if number % 10 == 9:
            await remote.commit()
    await remote.commit()
    await remote.aclose()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3])))
