"""A two-way stream of bytes with one peer, whatever carries it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

FILE_CHUNK = 1 << 20  # bytes of a file that are read or sent at a time


class ByteStream(ABC):
    """Bytes to and from a peer. One task may receive while another sends."""

    @abstractmethod
    async def receive(self) -> bytes:
        """Wait for bytes and give them as they came; b"" when the peer sends no more
        (also when the connection broke: what is missing shows in what was promised)."""

    @abstractmethod
    async def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes, put them into `buffer` and give how many; 0 in the place of b""."""

    @abstractmethod
    async def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`; returns when it need not be kept any longer.

        Waits while the peer is slower than we are. Raises ConnectionError when it is gone.
        """

    async def send_file(self, path: str, offset: int, length: int) -> int:
        """Send `length` bytes of a file from `offset` on, or fewer when it ends before that;
        give how many. Raises OSError when it cannot be read, ConnectionError as send() does."""
        sent = 0
        with open(path, "rb") as file:
            file.seek(offset)
            while data := file.read(min(FILE_CHUNK, length - sent)):
                await self.send(data)
                sent += len(data)
        return sent

    async def has_more_within(self, seconds: float) -> bool:
        """Wait until has_more(); False when that takes too long."""
        if self.has_more():
            return True
        try:
            async with asyncio.timeout(seconds):
                await self.more()
        except TimeoutError:
            return False
        return True

    @abstractmethod
    async def more(self) -> None:
        """Wait until has_more()."""

    def watch(self, came: Callable[[], None] | None) -> bool:
        """Have `came` called, in the event loop, whenever receive_at_once() would give something,
        until this is called with None. False when this stream cannot do that."""
        return False

    def receive_at_once(self) -> bytes | None:
        """Give what receive() would give now; None when that would have to wait."""
        return None

    def send_at_once(self, data: bytes) -> bool:
        """Send a few bytes; False when that was not possible, or not with all of them."""
        return False

    @abstractmethod
    def has_more(self) -> bool:
        """Tell whether receive() would give something at once, be it the end."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close both directions. May be called twice."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
