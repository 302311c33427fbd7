"""A download from a cluster: one node gives the content, and others take over when it fails.

A receiver may take content unverified when its sender vouches for it. A node that broke off
in the middle vouches for nothing. So bytes of a file that failed here are compared with the
file of the node that took over; bytes that came from somewhere else cannot be, and content
with such a part is not vouched for: git-annex then verifies it by hash.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from shoal.errors import KeyNotPresent, RemoteUnavailable, ShoalError
from shoal.gateway.node import Node
from shoal.gateway.outcome import causes
from shoal.gateway.patience import NodeTimeout
from shoal.gateway.reading import Reading
from shoal.remotes.content import CHUNK_SIZE, Chunk, Content, Region
from shoal.values.uuid import UUID


@dataclass(frozen=True, slots=True)
class _Part:
    """Bytes of the key, from `start` to before `end`, that a node gave before it broke off.
    `region` is its content, from `start` on, if that was a file."""

    start: int
    end: int
    region: Region | None


class ClusterDownload(Content):
    """The content of a key from whichever node can give it. `open` it once; `close` it."""

    def __init__(
        self, cluster: str, order: Sequence[Node], read: Callable[[Node, int], Reading]
    ) -> None:
        """`read` begins to read from a node at an offset; `order` has the best node first."""
        self._cluster = cluster
        self._untried = list(order)
        self._read = read
        self._reading: Reading | None = None
        self._current: Content | None = None  # of the node that is being read
        self._unvouched: list[_Part] = []
        self.failures: dict[UUID, ShoalError] = {}

    async def open(self, offset: int) -> Node | None:
        """Open the content at a node; give that, None when no node can give it."""
        content = await self._next(offset)
        if content is None or self._reading is None:
            return None
        self.offset, self.size, self.region = content.offset, content.size, content.region
        self.whole = content.whole
        return self._reading.node

    async def stream(self, skip: int = 0) -> AsyncGenerator[Chunk, None]:
        at = self.offset + skip  # the byte of the key that is due
        while self._reading is not None and self._current is not None:
            reading, content = self._reading, self._current
            try:
                async with aclosing(reading.chunks(at - content.offset)) as chunks:
                    async for chunk in chunks:
                        at += len(chunk)
                        if self.size is not None and self._left(at) < 0:
                            raise RemoteUnavailable(reading.node.name, "it sent too much")
                        yield chunk
                if self._left(at) == 0:
                    return
                raise RemoteUnavailable(reading.node.name, "the content ended too early")
            except ShoalError as error:
                self.failures[reading.node.uuid] = error
            if at > content.offset:
                self._unvouched.append(_Part(content.offset, at, content.region))
            await self._replace(at)
        raise RemoteUnavailable(self._cluster, causes(self.failures.values()))

    async def confirm(self) -> bool:
        """Tell whether all bytes are vouched for, by the node that gave the last of them."""
        if self._reading is None or self._current is None or not await self._reading.confirm():
            return False
        region = self._current.region
        if not self._unvouched or region is None:
            return not self._unvouched
        patience = self._reading.node.patience
        comparing = asyncio.to_thread(_all_equal, self._unvouched, region, self._current.offset)
        try:
            return await patience.call(self._cluster, comparing, patience.limits.stall)
        except NodeTimeout:
            return False

    async def close(self) -> None:
        """Close the content at the node."""
        reading, self._reading, self._current = self._reading, None, None
        if reading is not None:
            await reading.close()

    def _left(self, at: int) -> int:
        """Give how many bytes are due from `at` on; 0 when only the end will tell."""
        return 0 if self.size is None else self.offset + self.size - at

    async def _replace(self, at: int) -> None:
        """Go on at byte `at` with the next node that has the same content."""
        await self.close()
        due = None if self.size is None else self._left(at)
        while (content := await self._next(at)) is not None:
            if content.offset == at and content.size == due:
                return
            await self.close()

    async def _next(self, offset: int) -> Content | None:
        """Open the content at the next node that can give it."""
        while self._untried:
            node = self._untried.pop(0)
            if not node.is_needed:
                continue
            reading = self._read(node, offset)
            try:
                content = await reading.open()
            except ShoalError as error:
                self.failures[node.uuid] = error
                await reading.close()
            except BaseException:
                await reading.close()
                raise
            else:
                self._reading, self._current = reading, content
                return content
        return None

    @property
    def unavailable(self) -> dict[UUID, ShoalError]:
        """The nodes that could not answer; one that said that it lacks the key could."""
        return {u: e for u, e in self.failures.items() if not isinstance(e, KeyNotPresent)}


def _all_equal(parts: Sequence[_Part], good: Region, start: int) -> bool:
    """Tell whether each part's file has the same bytes as the file `good`, whose region begins
    at byte `start` of the key. A part that was no file is not equal."""
    return all(
        part.region is not None
        and _equal(
            part.region.path,
            part.region.offset,
            good.path,
            good.offset + part.start - start,
            part.end - part.start,
        )
        for part in parts
    )


def _equal(one: str, one_at: int, other: str, other_at: int, length: int) -> bool:
    """Compare bytes of two files. What cannot be read is not equal."""
    try:
        with open(one, "rb") as first, open(other, "rb") as second:
            first.seek(one_at)
            second.seek(other_at)
            while length > 0:
                size = min(CHUNK_SIZE, length)
                mine = first.read(size)
                if len(mine) != size or mine != second.read(size):
                    return False
                length -= size
    except OSError:
        return False
    return True
