"""Byte streams over file descriptors: our own stdin and stdout, and those of a child process.

Bytes go from the kernel to the reader of the stream without a copy in between, and files go to
the peer by sendfile() where the kernel can.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from shoal.transport.pipes import widen
from shoal.transport.stream import FILE_CHUNK, ByteStream

_READ_SIZE = 96 << 10  # bytes asked for at a time; for more, each read would map fresh memory
_GONE = (BrokenPipeError, ConnectionResetError)
_SHARE = 0.005  # seconds after which other tasks get their turn
_PATIENCE = 10.0  # seconds for which a child may take to end by itself
_DYING = 1.0  # seconds that a child which was killed may need for that


class FdStream(ByteStream):
    """A stream over a descriptor to read from and one to write to (perhaps the same).

    They are made non-blocking; aclose() closes them.
    """

    _blocking = False

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._open = {read_fd, write_fd}
        self._shared = 0.0  # when other tasks could run last
        self._reader: asyncio.Future[None] | None = None  # who waits for bytes
        self._told: Callable[[], None] | None = None  # who is told of them
        self._watched: asyncio.AbstractEventLoop | None = None  # who looks out for them
        for fd in self._open:
            os.set_blocking(fd, self._blocking)
            widen(fd)

    async def receive(self) -> bytes:
        await self._share()
        while True:
            try:
                return os.read(self._read_fd, _READ_SIZE)
            except BlockingIOError:
                await self._readable()
            except _GONE:
                return b""

    async def receive_into(self, buffer: memoryview) -> int:
        await self._share()
        while True:
            try:
                return os.readv(self._read_fd, [buffer])
            except BlockingIOError:
                await self._readable()
            except _GONE:
                return 0

    def watch(self, came: Callable[[], None] | None) -> bool:
        self._told = came
        if came is not None:
            self._look_out()
        return True

    def receive_at_once(self) -> bytes | None:
        try:
            return os.read(self._read_fd, _READ_SIZE)
        except BlockingIOError:
            return None
        except _GONE:
            return b""

    def send_at_once(self, data: bytes) -> bool:
        try:
            return os.write(self._write_fd, data) == len(data)
        except (BlockingIOError, *_GONE):
            return False

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        await self._share()
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._write_fd, rest) :]
            except BlockingIOError:
                await self._writable()

    async def send_file(self, path: str, offset: int, length: int) -> int:
        sent = 0
        with open(path, "rb", buffering=0) as file:
            while sent < length:
                count = min(FILE_CHUNK, length - sent)
                try:
                    moved = os.sendfile(self._write_fd, file.fileno(), offset + sent, count)
                except BlockingIOError:
                    await self._writable()
                    continue
                except OSError as error:
                    if error.errno not in {errno.EINVAL, errno.ENOSYS}:
                        raise
                    rest = await super().send_file(path, offset + sent, length - sent)
                    return sent + rest
                if moved == 0:
                    break
                sent += moved
                await self._share()
        return sent

    def has_more(self) -> bool:
        return self._can_read(0)

    def _can_read(self, milliseconds: float) -> bool:
        poll = select.poll()
        poll.register(self._read_fd, select.POLLIN)
        return bool(poll.poll(milliseconds))

    async def more(self) -> None:
        await self._readable()

    async def _share(self) -> None:
        """Let other tasks run now and then: a fast peer must not keep them from it."""
        now = time.monotonic()
        if now > self._shared + _SHARE:
            self._shared = now
            await asyncio.sleep(0)

    async def _readable(self) -> None:
        """Wait for bytes. The loop goes on to look out for them afterwards: to be told each time
        would cost two system calls per answer."""
        self._reader = self._look_out().create_future()
        try:
            await self._reader
        finally:
            self._reader = None
        self._shared = time.monotonic()

    def _look_out(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._watched is not loop:
            loop.add_reader(self._read_fd, self._came)
            self._watched = loop
        return loop

    def _came(self) -> None:
        if self._reader is not None:
            _wake(self._reader)
        elif self._told is not None:
            self._told()
        else:
            self._watch_no_more()

    def _watch_no_more(self) -> None:
        loop, self._watched = self._watched, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._read_fd)

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_writer(self._write_fd, _wake, ready)
        try:
            await ready
        finally:
            loop.remove_writer(self._write_fd)
        self._shared = time.monotonic()

    async def unheard(self) -> None:
        """Wait until nobody can receive any more what is sent: then a pipe, and only then, looks
        as if it could be read at the end that is written to."""
        loop = asyncio.get_running_loop()
        gone: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._write_fd, _wake, gone)
        try:
            await gone
        finally:
            loop.remove_reader(self._write_fd)

    def end_sending(self) -> None:
        """Let the peer see that no more bytes will come. Receiving goes on."""
        if self._write_fd != self._read_fd:
            self._close(self._write_fd)

    async def aclose(self) -> None:
        for fd in tuple(self._open):
            self._close(fd)

    def _close(self, fd: int) -> None:
        if fd in self._open:
            self._open.remove(fd)
            if fd == self._read_fd:
                self._watch_no_more()
            os.close(fd)


class LoneStream(FdStream):
    """The stream of an event loop that has nothing else to do than to serve its peer.

    It waits in the kernel, not in the loop, which costs half as much: one system call to wait
    for bytes and to get them. What threads do goes on meanwhile.
    """

    _blocking = True

    async def has_more_within(self, seconds: float) -> bool:
        return self._can_read(seconds * 1000)


def _stop_at_once(starting: asyncio.Future[subprocess.Popen[bytes]]) -> None:
    """End a process that nobody waits for any more."""
    if not starting.cancelled() and starting.exception() is None:
        process = starting.result()
        process.kill()
        process.communicate()


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def own_stdio(*, alone: bool = False) -> FdStream:
    """Give the stream over this process's standard input and output; `alone`, a LoneStream.

    The numbers 0 and 1 then lead to /dev/null and to stderr, so that no print and no child
    process can break the protocol.
    """
    kind = LoneStream if alone else FdStream
    stream = kind(os.dup(0), os.dup(1))
    with open(os.devnull, "rb") as null:
        os.dup2(null.fileno(), 0)
    os.dup2(2, 1)
    return stream


class ProcessStream(FdStream):
    """A stream to the standard input and output of a child process."""

    def __init__(self, process: subprocess.Popen[bytes], read_fd: int, write_fd: int) -> None:
        super().__init__(read_fd, write_fd)
        self._process = process

    @classmethod
    async def start(
        cls,
        words: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stderr: int | None = None,
    ) -> Self:
        """Start a program. Its stderr is ours unless a descriptor is given.

        Raises OSError when it cannot be started.
        """

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                env=env, cwd=cwd, bufsize=0, start_new_session=False,
            )  # fmt: skip

        starting = asyncio.ensure_future(asyncio.to_thread(start))
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(_stop_at_once)
            raise
        if process.stdin is None or process.stdout is None:
            raise OSError("the child process has no pipes")
        read_fd, write_fd = os.dup(process.stdout.fileno()), os.dup(process.stdin.fileno())
        process.stdin.close()
        process.stdout.close()
        return cls(process, read_fd, write_fd)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait for the child's end; give its exit code (negative: the signal that ended it)."""
        return await asyncio.to_thread(self._process.wait)

    async def aclose(self) -> None:
        """Close both pipes and wait for the child; one that does not end is killed, and so is
        one that nobody has the time to wait for."""
        await super().aclose()
        try:
            await asyncio.to_thread(self._process.wait, _PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await self.wait()
        except asyncio.CancelledError:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_DYING)
            raise
