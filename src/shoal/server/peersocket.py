"""Sending right to the socket of a connection, past the buffers of asyncio and aiohttp.

Files go out inside the kernel. sendfile() waits for the disk when the bytes are not in memory,
so those are first read ahead in a thread; asyncio's own sendfile neither does that nor notices
a peer that takes nothing.
"""

from __future__ import annotations

import asyncio
import errno
import os

from shoal.remotes.content import Chunk

_SEGMENT = 4 << 20  # bytes of a file per system call and per look at what is in memory
_ONE_BYTE = 1


class PeerStalled(ConnectionError):
    """The peer took no byte for too long."""


class PeerSocket:
    """The socket of a plain connection. Nothing may be written to the transport meanwhile, and
    nothing may wait in its buffer. After a ConnectionError the connection is closed."""

    def __init__(self, transport: asyncio.Transport, stall: float) -> None:
        """Raises ConnectionError."""
        sock = transport.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            raise ConnectionResetError("Connection lost")
        # The descriptor stays ours if the connection is closed: its number could else be
        # another connection's by then.
        self._out = os.dup(sock.fileno())
        self._transport = transport
        self._stall = stall  # seconds
        self._waits_ahead = True
        self.sent = 0  # bytes

    def close(self) -> None:
        """Leave the socket to the transport again."""
        os.close(self._out)

    async def send(self, data: Chunk) -> None:
        """Send bytes; nothing refers to their memory afterwards. Raises ConnectionError."""
        rest = memoryview(data)
        while rest:
            self._check()
            try:
                moved = os.write(self._out, rest)
            except BlockingIOError:
                await self._writable()
            except OSError as error:
                raise self._lost() from error
            else:
                self.sent += moved
                rest = rest[moved:]

    async def send_file(self, file: int, offset: int, length: int) -> None:
        """Send `length` bytes of a file from `offset` on. Raises ConnectionError for the peer,
        and any other OSError for the file."""
        end = offset + length
        while offset < end:
            self._check()
            count = min(_SEGMENT, end - offset)
            await self._read_ahead(file, offset, count)
            try:
                moved = os.sendfile(self._out, file, offset, count)
            except BlockingIOError:
                await self._writable()
                continue
            except ConnectionError as error:
                raise self._lost() from error
            if not moved:
                raise OSError(errno.EIO, "the file became shorter")
            self.sent += moved
            offset += moved
            await asyncio.sleep(0)  # other requests have their turn

    def _check(self) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("Connection lost")

    def _lost(self) -> ConnectionError:
        self._transport.abort()
        return ConnectionResetError("Connection lost")

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        writable = loop.create_future()
        timer = loop.call_later(self._stall, _wake, writable, False)
        loop.add_writer(self._out, _wake, writable, True)
        try:
            if not await writable:
                self._transport.abort()
                raise PeerStalled(f"nothing was taken for {self._stall:g} seconds")
        finally:
            loop.remove_writer(self._out)
            timer.cancel()

    async def _read_ahead(self, file: int, offset: int, count: int) -> None:
        """Let the kernel read what is not in memory yet, in a thread."""
        if self._waits_ahead and not self._in_memory(file, offset + count - 1):
            await asyncio.to_thread(_read, file, offset, count)

    def _in_memory(self, file: int, offset: int) -> bool:
        try:
            os.preadv(file, [bytearray(_ONE_BYTE)], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError:  # this file system cannot say
            self._waits_ahead = False
        return True


def _wake(waiter: asyncio.Future[bool], writable: bool) -> None:
    if not waiter.done():
        waiter.set_result(writable)


def _read(file: int, offset: int, count: int) -> None:
    os.posix_fadvise(file, offset, 2 * count, os.POSIX_FADV_WILLNEED)
    os.pread(file, _ONE_BYTE, offset + count - 1)
