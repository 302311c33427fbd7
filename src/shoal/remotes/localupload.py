"""Storing content in a repository of this machine: write, verify and record, in threads.

Bytes are written in batches of about 1 MiB while the next are on their way. Fresh bytes are
hashed from memory at the same time as they are written, unless whoever feeds several stores
hashes them once for all. What was not in memory (a partial file of an earlier attempt, blocks
copied by the kernel) is hashed from the file, behind the writer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from shoal.errors import ContentLocked, LocalProtocolError, RemoteUnavailable
from shoal.remotes.base import StoreResult, Upload
from shoal.remotes.content import CHUNK_SIZE, Batches, Chunk, Content, Filler, Region, WholeContent
from shoal.remotes.localdisk import LocalDisk, settle
from shoal.values.backend import checksum_in, verifier

if TYPE_CHECKING:
    from shoal.git.receive import Receiving
    from shoal.values.backend import Verifier
    from shoal.values.key import Key

_COPIED: Final = 64 << 10  # bytes; a smaller piece of borrowed memory is copied, not waited for
_PIECE: Final = 32 << 20  # bytes copied by the kernel, or hashed from the file, in one call

_MISMATCH: Final = "Verification of content failed"
_UNVOUCHED: Final = "the sender does not vouch for the content, and it has no checksum to verify"
_NOTHING: Final = "the content was not available to send"
_SHORT: Final = "the content broke off"
REMOVED_MEANWHILE: Final = "the content was removed at the same time"


class LocalUpload(Upload):
    """One upload that holds the transfer locks of its key."""

    def __init__(
        self,
        disk: LocalDisk,
        key: Key,
        receiving: Receiving,
        equivalents: list[Key],
        record: Callable[[], bool],
    ) -> None:
        """`record` writes the location log, in a thread, once the object is there, and tells
        whether it still is."""
        self._disk = disk
        self._key = key
        self._receiving = receiving
        self._equivalents = equivalents
        self._record = record
        self._begun = False
        self._gathered: list[Chunk] = []  # came, but is not written yet
        self.offset = receiving.offset

    async def store(self, content: Content) -> StoreResult:
        skip = self.offset - content.offset
        if skip < 0:
            raise LocalProtocolError(f"content from {content.offset} on, not {self.offset}")
        if self._begun:
            raise LocalProtocolError("an upload is stored once")
        self._begun = True
        region = content.region
        source = None if region is None else await self._source(region)
        if region is None or source is None:
            return await self._store_stream(content, skip)
        try:
            return await self._store_region(content, region, source, skip)
        finally:
            os.close(source)

    def store_whole(self, content: WholeContent) -> StoreResult:
        """Store all bytes of the key, in this thread. What was there of them is written anew."""
        self._begun = True
        self._receiving.restart()
        matches = content.is_content_of(self._key, self._equivalents)
        return self._complete([content.data], None, matches, True, len(content.data))

    async def aclose(self) -> None:
        if not self._receiving.over:
            await self._disk.clean_up(self._give_up)

    def _give_up(self) -> None:
        """Keep what came for a resume, and let go."""
        try:
            if self._gathered:
                self._receiving.write(self._gathered)
        finally:
            self._receiving.end(failed=True if self._begun else None)

    # From memory

    async def _store_stream(self, content: Content, skip: int) -> StoreResult:
        fresh = self.offset == 0
        digest = content.digest if fresh else None
        verifying = None if digest is not None else self._verifier()
        pump = _Pump(self._disk, self._receiving, verifying if fresh else None)
        async with _Follower(self._disk, self._receiving, None if fresh else verifying) as behind:
            try:
                if content.batches is not None and skip == 0:
                    await self._take(content.batches, verifying if fresh else None, behind)
                elif content.filler is not None and skip == 0:
                    await self._fill(content.filler, pump, behind)
                else:
                    await self._receive(content.stream(skip), pump, behind)
            except BaseException:
                await pump.settle()  # what is kept for a resume must not overtake it
                raise
            left = None if content.size is None else max(0, content.size - skip)
            if fresh:
                matches = None if digest is None else await digest.matches()
                return await self._finish(content, verifying, matches, left)
            await pump.put(self._taken())
            await pump.drain()
            return await self._finish(content, None, await behind.finish(), left)

    async def _receive(self, chunks: AsyncIterator[Chunk], pump: _Pump, behind: _Follower) -> None:
        """Write all chunks, but for the last ones, which stay gathered.

        A piece of borrowed memory is only valid until the next is asked for.
        """
        size = 0
        async for chunk in chunks:
            if size >= CHUNK_SIZE:
                await pump.put(self._taken())
                behind.go_on()
                size = 0
            borrowed = not isinstance(chunk, bytes)
            if borrowed and len(chunk) <= _COPIED:
                chunk, borrowed = bytes(chunk), False
            self._gathered.append(chunk)
            size += len(chunk)
            if borrowed:
                await pump.put(self._taken())
                await pump.drain()
                behind.go_on()
                size = 0
        await pump.drain()

    async def _take(self, batches: Batches, hashing: Verifier | None, behind: _Follower) -> None:
        """Write all batches, in a thread as long as there are some."""

        def write() -> None:
            for batch in batches.some():
                self._receiving.write([batch])
                if hashing is not None:
                    hashing.update(batch)

        while await batches.ready():
            await self._disk.call(write, writing=True)
            behind.go_on()

    async def _fill(self, filler: Filler, pump: _Pump, behind: _Follower) -> None:
        """Write all batches, each while the memory of the one before is filled again."""
        buffer, other = (memoryview(bytearray(filler.batch)) for _ in range(2))
        while count := await filler.fill(buffer):
            await pump.put([buffer[:count]])
            behind.go_on()
            buffer, other = other, buffer
        await pump.drain()

    def _taken(self) -> list[Chunk]:
        gathered, self._gathered = self._gathered, []
        return gathered

    # Inside the kernel

    async def _source(self, region: Region) -> int | None:
        """Open the file that the content is in; None when it is gone, as after a removal."""
        try:
            return await self._disk.wait(
                self._disk.submit(lambda: os.open(region.path, os.O_RDONLY | os.O_CLOEXEC)),
                os.close,
            )
        except RemoteUnavailable:
            return None

    async def _store_region(
        self, content: Content, region: Region, source: int, skip: int
    ) -> StoreResult:
        # A digest of the stream does not help: the stream is not read.
        async with _Follower(self._disk, self._receiving, self._verifier()) as behind:
            async for start, count in self._copied(source, region, skip):
                if content.took is not None:
                    content.took(start, count)
                behind.go_on()
            matches = await behind.finish()
            return await self._finish(content, None, matches, max(0, region.length - skip))

    async def _copied(
        self, source: int, region: Region, skip: int
    ) -> AsyncGenerator[tuple[int, int], None]:
        """Copy the file piece by piece; give where in the key each begins, and its size."""
        receiving = self._receiving
        if region.offset == 0 and skip == 0:
            length = region.length
            if await self._disk.call(lambda: receiving.share(source, length), writing=True):
                yield 0, length
                return
        position = region.offset + skip
        end = region.offset + region.length
        while position < end:
            piece = partial(receiving.copy, source, position, min(_PIECE, end - position))
            copied = await self._disk.call(piece, writing=True)
            if copied == 0:
                return
            yield position, copied
            position += copied

    # The end

    def _verifier(self) -> Verifier | None:
        return verifier(self._key, self._equivalents)

    async def _finish(
        self,
        content: Content,
        hashing: Verifier | None,
        matches: bool | None,
        left: int | None,
    ) -> StoreResult:
        vouched = await content.confirm()
        last = self._taken()
        complete = partial(self._complete, last, hashing, matches, vouched, left)
        return await self._disk.call(complete, writing=True)

    def _complete(
        self,
        last: list[Chunk],
        hashing: Verifier | None,
        matches: bool | None,
        vouched: bool,
        left: int | None,
    ) -> StoreResult:
        """Write the last bytes, verify, place and record: all in one thread.

        `matches` is None when `hashing` is to tell, or nothing can. `left` bytes were to come.
        """
        receiving = self._receiving
        try:
            if last:
                receiving.write(last, last=True)
            came = receiving.received - receiving.offset
            if not vouched and came == 0:
                receiving.end(failed=True)
                return StoreResult(False, error=_NOTHING)
            if left is not None and came < left:
                receiving.end(failed=True)
                return StoreResult(False, error=_SHORT)
            if hashing is not None:
                for chunk in last:
                    hashing.update(chunk)
                matches = hashing.matches()
            if matches is False or (left is not None and came > left):
                receiving.discard()
                return StoreResult(False, error=_MISMATCH)
            if not vouched and not self._is_hashed():
                receiving.discard()
                return StoreResult(False, error=_UNVOUCHED)
            receiving.finish()
            stored = self._record()
            receiving.end(failed=not stored)
        except ContentLocked as error:
            receiving.end(failed=True)
            return StoreResult(False, error=str(error))
        except BaseException:
            receiving.end(failed=True)
            raise
        return StoreResult(stored, error="" if stored else REMOVED_MEANWHILE)

    def _is_hashed(self) -> bool:
        return checksum_in(self._key) is not None or bool(self._equivalents)


class _Pump:
    """Writes batches, and hashes them at the same time, while the next is on its way."""

    def __init__(self, disk: LocalDisk, receiving: Receiving, hashing: Verifier | None) -> None:
        self._disk = disk
        self._receiving = receiving
        self._hashing = hashing
        self._flight: list[Future[None]] = []

    async def put(self, batch: list[Chunk]) -> None:
        """Begin to write `batch`, after the one before is written."""
        if not batch:
            return
        await self.drain()
        receiving, hashing = self._receiving, self._hashing
        self._flight.append(self._disk.submit(lambda: receiving.write(batch), writing=True))
        if hashing is not None:
            self._flight.append(self._disk.submit(lambda: _update(hashing, batch), writing=True))

    async def drain(self) -> None:
        """Wait until all is written and hashed that was put."""
        while self._flight:
            flight = self._flight[0]
            try:
                await self._disk.wait(flight, writing=True)
            finally:
                self._flight = self._flight[1:]

    async def settle(self) -> None:
        """Wait a moment until all is written and hashed, whatever becomes of it."""
        for flight in self._flight:
            await settle(flight)


class _Follower:
    """Hashes the partial file from its first byte on, behind whoever writes it.

    Without a `verifying` it does nothing. Leaving the `async with` block ends it.
    """

    def __init__(self, disk: LocalDisk, receiving: Receiving, verifying: Verifier | None) -> None:
        self._disk = disk
        self._receiving = receiving
        self._verifying = verifying
        self._more = asyncio.Event()
        self._ending = False
        self._task: asyncio.Task[None] | None = None

    def go_on(self) -> None:
        """More was written."""
        self._more.set()

    async def finish(self) -> bool | None:
        """Hash the rest, now that all is written, and give the verdict; None: there is none."""
        if self._verifying is None or self._task is None:
            return None
        self._ending = True
        self._more.set()
        await self._task
        return self._verifying.matches()

    async def __aenter__(self) -> Self:
        if self._verifying is not None:
            follow = self._follow(self._verifying)
            self._task = asyncio.create_task(follow, name="hash a partial file")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self, verifying: Verifier) -> None:
        done = 0
        while True:
            self._more.clear()
            ending = self._ending
            end = self._receiving.received
            while done < end:
                until = min(end, done + _PIECE)
                hash_piece = partial(self._receiving.hash_written, verifying, done, until)
                await self._disk.call(hash_piece)
                done = until
            if ending:
                return
            await self._more.wait()


def _update(hashing: Verifier, batch: list[Chunk]) -> None:
    for chunk in batch:
        hashing.update(chunk)
