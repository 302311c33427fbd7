"""Verifying copies by their content: read from a repository and hashed, without storing it."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from shoal.errors import KeyNotPresent, RemoteUnavailable
from shoal.gateway.reading import Reading
from shoal.remotes.base import Caller
from shoal.values.backend import verifier

if TYPE_CHECKING:
    from collections.abc import Collection

    from shoal.gateway.node import Node
    from shoal.operations.pace import Throttle
    from shoal.remotes.content import Content
    from shoal.values.key import Key

FileState = tuple[int, int, int, int]
"""What tells a file from another one in its place: device, inode, size, and the time of the
last change in ns."""

_HASH_INLINE = 1 << 16  # bytes; hashing so few costs less than going to a thread


class State(Enum):
    """What a copy turned out to be."""

    GOOD = "good"
    BAD = "bad"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found at one repository. `size`: bytes that were read. `file`: the object, when
    it is a file of this machine."""

    state: State
    size: int = 0
    file: FileState | None = None


async def verify(
    node: Node, key: Key, throttle: Throttle, here: Caller, equivalents: Collection[Key] = ()
) -> Verdict:
    """Read and hash the copy of `key` at `node`; BAD only when it was wrong twice.

    A key that says nothing about its content is good when it can be read. `equivalents` are
    for VURL keys. Raises ShoalError when it cannot be read, or changed while it was.
    """
    first = await _read(node, key, throttle, here, equivalents)
    if first.state is not State.BAD:
        return first
    again = await _read(node, key, throttle, here, equivalents)
    return Verdict(again.state, first.size + again.size, again.file)


async def _read(
    node: Node, key: Key, throttle: Throttle, here: Caller, equivalents: Collection[Key]
) -> Verdict:
    reading = Reading(node, key, 0, "", here)
    check = verifier(key, equivalents)
    size = 0
    try:
        content = await reading.open()
        file = _file_of(content)
        async for chunk in reading.chunks(0):
            size += len(chunk)
            if check is not None and len(chunk) <= _HASH_INLINE:
                check.update(chunk)
            elif check is not None:
                await asyncio.to_thread(check.update, chunk)
            await throttle.take(len(chunk))
        if check is None or check.matches():
            return Verdict(State.GOOD, size, file)
        if not await reading.confirm():
            raise RemoteUnavailable(node.name, f"{key} changed while it was read")
        return Verdict(State.BAD, size, file)
    except KeyNotPresent:
        return Verdict(State.MISSING)
    finally:
        await reading.close()


def _file_of(content: Content) -> FileState | None:
    """Give what tells a file from another one that takes its place, None when it is no file.

    What the kernel keeps of it in memory is given up, so that the disk itself is read.
    """
    if content.region is None:
        return None
    with suppress(OSError):
        fd = os.open(content.region.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            return identity(os.fstat(fd))
        finally:
            os.close(fd)
    return None


def identity(status: os.stat_result) -> FileState:
    """Give the state of a file."""
    return status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns
