"""A download from a cluster: one node gives the content, and others take over when it fails."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from shoal.errors import KeyNotPresent, RemoteUnavailable, ShoalError
from shoal.gateway.node import Node
from shoal.gateway.outcome import causes
from shoal.gateway.reading import Reading
from shoal.remotes.content import Chunk, Content
from shoal.values.uuid import UUID


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
        self._start = 0  # where the current node's content starts, in bytes of the key
        self._unconfirmed = False
        self.failures: dict[UUID, ShoalError] = {}

    async def open(self, offset: int) -> Node | None:
        """Open the content at a node; give that, None when no node can give it."""
        content = await self._next(offset)
        if content is None or self._reading is None:
            return None
        self.offset, self.size, self.region = content.offset, content.size, content.region
        return self._reading.node

    async def stream(self, skip: int = 0) -> AsyncGenerator[Chunk, None]:
        at = self.offset + skip  # the byte of the key that is due
        while self._reading is not None:
            reading = self._reading
            try:
                async with aclosing(reading.chunks(at - self._start)) as chunks:
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
            await self._replace(at)
        raise RemoteUnavailable(self._cluster, causes(self.failures.values()))

    async def confirm(self) -> bool:
        """Tell whether every node vouches for what it gave. One that broke off cannot, so a
        content that was pieced together must be verified by whoever receives it."""
        if self._unconfirmed or self._reading is None:
            return False
        return await self._reading.confirm()

    async def close(self) -> None:
        """Close the content at the node."""
        if self._reading is not None:
            reading, self._reading = self._reading, None
            await reading.close()

    def _left(self, at: int) -> int:
        """Give how many bytes are due from `at` on; 0 when only the end will tell."""
        return 0 if self.size is None else self.offset + self.size - at

    async def _replace(self, at: int) -> None:
        """Go on at byte `at` with the next node that has the same content."""
        if at > self._start:
            self._unconfirmed = True
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
                self._reading, self._start = reading, content.offset
                return content
        return None

    @property
    def unavailable(self) -> dict[UUID, ShoalError]:
        """The nodes that could not answer; one that said that it lacks the key could."""
        return {u: e for u, e in self.failures.items() if not isinstance(e, KeyNotPresent)}
