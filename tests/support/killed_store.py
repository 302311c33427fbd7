"""A process that stores one content and kills itself before its Nth change of the disk.

    python -m tests.support.killed_store REPOSITORY UUID N
    python -m tests.support.killed_store REPOSITORY UUID N whole
    python -m tests.support.killed_store REPOSITORY UUID N at-once
    python -m tests.support.killed_store REPOSITORY UUID N remove

Prints `done` when it came to its end. Changes of the disk are calls of the functions of `os`
that write, make, rename, delete or change modes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from shoal.remotes.base import AlreadyPresent, Caller, StoreResult
from shoal.remotes.content import WholeContent
from shoal.remotes.local import LocalRemote
from shoal.values.uuid import UUID
from tests.support.annexrepo import THERE, key_of
from tests.support.memory_remote import content_from

P = ParamSpec("P")
T = TypeVar("T")

CONTENT = bytes(range(256)) * 10_000
CHANGES = ("write", "writev", "rename", "unlink", "mkdir", "rmdir", "chmod", "open")


class Bomb:
    """Counts changes, and goes off at the Nth."""

    def __init__(self, fuse: int) -> None:
        self._left = fuse
        self._lock = threading.Lock()

    def watch(self, change: Callable[P, T]) -> Callable[P, T]:
        """Give `change`, counted. (Opening a file counts, as it may make one.)"""

        def counted(*args: P.args, **kwargs: P.kwargs) -> T:
            with self._lock:
                self._left -= 1
                if self._left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return change(*args, **kwargs)

        return counted


async def run(path: str, uuid: UUID, bomb: Bomb | None, what: str = "store") -> None:
    """Store the content (`whole`: in one step) or `remove` it; with a bomb in the file system
    once it is open."""
    remote = LocalRemote(path, uuid)
    key = key_of(CONTENT)
    await remote.check_present(key)  # opens the repository
    if what == "at-once":
        for number in range(10):  # so that git need not be asked later
            await remote.remove(key_of(b"%d" % number))
    if bomb is not None:
        for name in CHANGES:
            setattr(os, name, bomb.watch(getattr(os, name)))
    if what == "remove":
        assert (await remote.remove(key, caller=Caller(THERE))).removed
    elif what == "at-once":
        answer = remote.store_at_once(key, WholeContent(CONTENT), caller=Caller(THERE))
        assert isinstance(answer, StoreResult | AlreadyPresent)
    elif what == "whole":
        await remote.store_whole(key, WholeContent(CONTENT), caller=Caller(THERE))
    else:
        upload = await remote.begin_store(key, caller=Caller(THERE))
        if not isinstance(upload, AlreadyPresent):
            async with upload:
                content = content_from(CONTENT, offset=upload.offset, chunk=200_000)
                assert (await upload.store(content)).stored
    await remote.aclose()


if __name__ == "__main__":
    bomb = Bomb(int(sys.argv[3]))
    asyncio.run(run(sys.argv[1], UUID(sys.argv[2]), bomb, *sys.argv[4:]))
    print("done", flush=True)
