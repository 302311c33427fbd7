"""Sending one key's content from one remote to another; either may be this repository.

The content is streamed straight from the one to the other, verified by the one that stores it,
and a transfer that broke off goes on where it stopped. Retrying follows git-annex's settings:
annex.forward-retry as long as each attempt gets further than all before, annex.retry in any
case, each after annex.retrydelay seconds, doubled each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from shoal.errors import RemoteUnavailable
from shoal.remotes.base import AlreadyPresent, Caller, Remote, StoreResult
from shoal.remotes.content import Chunk, Content
from shoal.values.key import Key
from shoal.values.uuid import UUID

Progress = Callable[[int], None]
"""Is told how many bytes of the key are at their destination."""

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a failed transfer is tried again. `delay` is in seconds."""

    forward: int = 5
    any: int = 0
    delay: float = 1.0


@dataclass(frozen=True, slots=True)
class Transferred:
    """A transfer that is over. `stored`: the destination holds the key; `already`: it did
    before. `stored_in` are other repositories that hold it now, also after a failure."""

    stored: bool
    already: bool = False
    stored_in: tuple[UUID, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Content of `key` to be sent from `source` to `target`. `here` is this repository's UUID,
    by which others know us; `file` is the associated file."""

    key: Key
    source: Remote
    target: Remote
    here: UUID
    file: str = ""

    async def run(
        self,
        progress: Progress = lambda done: None,
        retries: Retries = Retries(),
        sleep: Sleep = asyncio.sleep,
    ) -> Transferred:
        """Do it, trying again as `retries` says.

        Raises KeyNotPresent when the source does not hold the key, RemoteUnavailable or
        RemoteRefused with what went wrong in the last attempt, TransferInProgress and
        NotEnoughSpace.
        """
        best = 0
        forward, left, delay = retries.forward, retries.any, retries.delay
        while True:
            meter = _Meter(progress)
            try:
                return await self._attempt(meter)
            except RemoteUnavailable:
                if meter.moved > best and forward > 0:
                    forward -= 1
                elif left > 0:
                    left -= 1
                    await sleep(delay)
                    delay *= 2
                else:
                    raise
                best = max(best, meter.moved)

    async def _attempt(self, meter: _Meter) -> Transferred:
        begun = await self.target.begin_store(
            self.key, file=self.file, caller=self._caller(self.target, self.source)
        )
        if isinstance(begun, AlreadyPresent):
            return Transferred(True, already=True, stored_in=begun.stored_in)
        async with (
            begun as upload,
            self.source.retrieve(
                self.key,
                upload.offset,
                file=self.file,
                caller=self._caller(self.source, self.target),
            ) as content,
        ):
            result = await upload.store(Metered(content, meter))
        if result.stored and self.key.size is not None:
            meter.reach(self.key.size)
        return _outcome(result)

    def _caller(self, asked: Remote, other: Remote) -> Caller:
        """Say to `asked` for whom this is: to this repository the other side, to others us."""
        return Caller(other.info.uuid if asked.info.uuid == self.here else self.here)


def _outcome(result: StoreResult) -> Transferred:
    return Transferred(result.stored, stored_in=result.stored_in, error=result.error)


class _Meter:
    """How far an attempt got. `moved` counts bytes of this attempt only."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._told = 0
        self.moved = 0

    def add(self, start: int, count: int) -> None:
        """Count bytes from `start` of the key on."""
        self.moved += count
        self.reach(start + count)

    def reach(self, end: int) -> None:
        """Tell that all bytes before `end` are there, unless that was told."""
        if end != self._told:
            self._told = end
            self._progress(end)


class Metered(Content):
    """Content that tells how much of it was read. A region stays one; not every store that
    sends it in the kernel tells of the pieces."""

    def __init__(self, content: Content, meter: _Meter) -> None:
        self._content = content
        self._meter = meter
        self.offset = content.offset
        self.size = content.size
        self.region = content.region
        self.digest = content.digest
        self.took = meter.add

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        start = self.offset + skip
        async for chunk in self._content.stream(skip):
            count = len(chunk)
            yield chunk
            self._meter.add(start, count)
            start += count

    async def confirm(self) -> bool:
        return await self._content.confirm()
