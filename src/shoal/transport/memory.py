"""Two streams in one process that are each other's peer: for tests and for simulations."""

from __future__ import annotations

import asyncio
from collections import deque

from shoal.transport.stream import ByteStream


class _Pipe:
    """One direction. Holds at most `limit` bytes, then the sender waits."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: deque[bytes] = deque()
        self._size = 0
        self._changed = asyncio.Condition()
        self.sender_gone = False
        self.receiver_gone = False

    async def put(self, data: bytes) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._size < self._limit or self._closed)
            if self._closed:
                raise BrokenPipeError("the peer is gone")
            self._held.append(data)
            self._size += len(data)
            self._changed.notify_all()

    async def get(self) -> bytes:
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._held) or self._closed)
            if not self._held or self.receiver_gone:
                return b""
            data = self._held.popleft()
            self._size -= len(data)
            self._changed.notify_all()
            return data

    async def more(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.has_more)

    @property
    def has_more(self) -> bool:
        return bool(self._held) or self._closed

    @property
    def _closed(self) -> bool:
        return self.sender_gone or self.receiver_gone

    async def close(self, *, sender: bool) -> None:
        async with self._changed:
            if sender:
                self.sender_gone = True
            else:
                self.receiver_gone = True
            self._changed.notify_all()


class MemoryStream(ByteStream):
    """One end of a pair."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe, piece: int | None) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._piece = piece
        self._rest = b""  # of what came, for the next receive

    async def receive(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest or await self._incoming.get()

    async def receive_into(self, buffer: memoryview) -> int:
        data = await self.receive()
        self._rest = data[len(buffer) :]
        count = len(data) - len(self._rest)
        buffer[:count] = data[:count]
        return count

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        whole = bytes(data)
        step = self._piece or max(1, len(whole))
        for start in range(0, len(whole), step):
            await self._outgoing.put(whole[start : start + step])

    def has_more(self) -> bool:
        return bool(self._rest) or self._incoming.has_more

    async def more(self) -> None:
        await self._incoming.more()

    async def end(self) -> None:
        """Send no more; the peer receives b"" after what was sent. Receiving goes on."""
        await self._outgoing.close(sender=True)

    async def aclose(self) -> None:
        await self._outgoing.close(sender=True)
        await self._incoming.close(sender=False)


def memory_streams(
    *, limit: int = 1 << 16, piece: int | None = None
) -> tuple[MemoryStream, MemoryStream]:
    """Give two connected ends. Each direction holds about `limit` bytes; what is sent arrives
    in pieces of at most `piece` bytes."""
    there, back = _Pipe(limit), _Pipe(limit)
    return MemoryStream(back, there, piece), MemoryStream(there, back, piece)
