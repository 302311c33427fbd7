"""Sending a file's bytes to a socket inside the kernel, without stopping the event loop.

sendfile() waits for the disk when the bytes are not in memory, so those are first read ahead
in a thread; asyncio's own sendfile neither does that nor notices a peer that takes nothing.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

_SEGMENT = 4 << 20  # bytes per system call and per look at what is in memory
_ONE_BYTE = 1


class PeerStalled(ConnectionError):
    """The peer took no byte for too long."""


class FileSender:
    """Sends bytes of one file over one plain connection; `sent` says how many went out.

    A ConnectionError means the peer; any other OSError means the file.
    """

    def __init__(self, transport: asyncio.Transport, file: int, stall: float) -> None:
        self._transport = transport
        self._file = file
        self._stall = stall  # seconds
        self._waits_ahead = True
        self.sent = 0

    async def send(self, offset: int, length: int) -> None:
        """Send `length` bytes from `offset` on. Nothing may be written to the transport
        meanwhile, and nothing may wait in its buffer."""
        with _duplicate(self._transport) as out:
            end = offset + length
            while offset < end:
                if self._transport.is_closing():
                    raise ConnectionResetError("Connection lost")
                count = min(_SEGMENT, end - offset)
                await self._read_ahead(offset, count)
                sent = await self._send_some(out, offset, count)
                if not sent:
                    raise OSError(errno.EIO, "the file became shorter")
                offset += sent
                self.sent += sent

    async def _send_some(self, out: int, offset: int, count: int) -> int:
        while True:
            try:
                sent = os.sendfile(out, self._file, offset, count)
            except BlockingIOError:
                await self._writable(out)
            else:
                await asyncio.sleep(0)  # other requests have their turn
                return sent

    async def _writable(self, out: int) -> None:
        loop = asyncio.get_running_loop()
        writable = loop.create_future()
        loop.add_writer(out, _wake, writable)
        try:
            async with asyncio.timeout(self._stall):
                await writable
        except TimeoutError:
            raise PeerStalled(f"nothing was taken for {self._stall:g} seconds") from None
        finally:
            loop.remove_writer(out)

    async def _read_ahead(self, offset: int, count: int) -> None:
        """Let the kernel read what is not in memory yet, in a thread."""
        if self._waits_ahead and not self._in_memory(offset + count - 1):
            await asyncio.to_thread(_read, self._file, offset, count)

    def _in_memory(self, offset: int) -> bool:
        try:
            os.preadv(self._file, [bytearray(_ONE_BYTE)], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError:  # this file system cannot say
            self._waits_ahead = False
        return True


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _read(file: int, offset: int, count: int) -> None:
    os.posix_fadvise(file, offset, 2 * count, os.POSIX_FADV_WILLNEED)
    os.pread(file, _ONE_BYTE, offset + count - 1)


@contextmanager
def _duplicate(transport: asyncio.Transport) -> Iterator[int]:
    """Give a descriptor of the connection that stays ours if the connection is closed: its
    number could else be another connection's by then."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        raise ConnectionResetError("Connection lost")
    out = os.dup(sock.fileno())
    try:
        yield out
    finally:
        os.close(out)
