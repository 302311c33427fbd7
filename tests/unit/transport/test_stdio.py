"""Streams over file descriptors and child processes."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shoal.transport.stdio import FdStream, LoneStream, ProcessStream
from shoal.transport.stream import ByteStream
from tests.support.loop import in_loop

LARGE = os.urandom(3 << 20)


@asynccontextmanager
async def piped() -> AsyncIterator[tuple[FdStream, FdStream]]:
    """Two streams that are each other's peer."""
    here_read, there_write = os.pipe()
    there_read, here_write = os.pipe()
    async with FdStream(here_read, here_write) as here, FdStream(there_read, there_write) as there:
        yield here, there


async def read_all(stream: ByteStream, size: int | None = None) -> bytes:
    """Read `size` bytes, or up to the end."""
    data = b""
    while size is None or len(data) < size:
        got = await stream.receive()
        if not got:
            break
        data += got
    return data


@in_loop
async def test_large_data_waits_for_its_reader() -> None:
    async with piped() as (here, there), asyncio.TaskGroup() as group:
        sending = group.create_task(here.send(LARGE))
        await asyncio.sleep(0.05)
        assert not sending.done()
        assert await read_all(there, len(LARGE)) == LARGE


@in_loop
async def test_both_directions_at_once() -> None:
    async with piped() as (here, there), asyncio.TaskGroup() as group:
        group.create_task(here.send(memoryview(LARGE)))
        group.create_task(there.send(bytearray(LARGE)))
        got = [group.create_task(read_all(stream, len(LARGE))) for stream in (here, there)]
        assert [await task for task in got] == [LARGE, LARGE]


@in_loop
async def test_the_end_of_sending_is_seen() -> None:
    async with piped() as (here, there):
        await here.send(b"last")
        here.end_sending()
        assert await read_all(there) == b"last"
        await there.send(b"answer")
        assert await here.receive() == b"answer"


@in_loop
async def test_a_peer_that_is_gone() -> None:
    async with piped() as (here, there):
        await there.aclose()
        assert await here.receive() == b""
        with pytest.raises(ConnectionError):
            await here.send(b"anybody?")


@in_loop
async def test_a_peer_that_goes_while_we_wait_for_it() -> None:
    async with piped() as (here, there), asyncio.TaskGroup() as group:
        sending = group.create_task(_expecting_the_end(here))
        receiving = group.create_task(here.receive())
        await asyncio.sleep(0.05)
        await there.aclose()
        assert await receiving == b""
        await sending


async def _expecting_the_end(stream: ByteStream) -> None:
    with pytest.raises(ConnectionError):
        await stream.send(LARGE)


@pytest.mark.parametrize(
    ("offset", "length"), [(0, len(LARGE)), (10, 5), (len(LARGE) - 3, 9), (0, 0)]
)
@in_loop
async def test_files_are_sent(tmp_path: Path, offset: int, length: int) -> None:
    (tmp_path / "f").write_bytes(LARGE)
    expected = LARGE[offset : offset + length]
    async with piped() as (here, there), asyncio.TaskGroup() as group:
        sending = group.create_task(here.send_file(str(tmp_path / "f"), offset, length))
        assert await read_all(there, len(expected)) == expected
        assert await sending == len(expected)


@in_loop
async def test_files_are_sent_where_the_kernel_does_not_help(tmp_path: Path) -> None:
    """As to a file that is opened for appending."""
    (tmp_path / "from").write_bytes(LARGE)
    target = os.open(tmp_path / "to", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    async with FdStream(os.open(os.devnull, os.O_RDONLY), target) as stream:
        assert await stream.send_file(str(tmp_path / "from"), 1, len(LARGE)) == len(LARGE) - 1
        assert await stream.receive() == b""
    assert (tmp_path / "to").read_bytes() == LARGE[1:]


@in_loop
async def test_sockets_and_files_can_be_streams(tmp_path: Path) -> None:
    left, right = socket.socketpair()
    async with FdStream(left.detach(), os.open(os.devnull, os.O_WRONLY)) as stream:
        right.sendall(b"from a socket")
        right.close()
        assert await read_all(stream) == b"from a socket"
    (tmp_path / "f").write_bytes(b"from a file")
    source = os.open(tmp_path / "f", os.O_RDONLY)
    async with FdStream(source, os.open(os.devnull, os.O_WRONLY)) as stream:
        assert await read_all(stream) == b"from a file"


@in_loop
async def test_closing_twice_is_harmless_and_leaves_no_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    async with piped() as (here, there):
        await here.aclose()
        await there.aclose()
    assert len(os.listdir("/proc/self/fd")) == before


@in_loop
async def test_a_cancelled_wait_can_be_repeated() -> None:
    async with piped() as (here, there):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(here.receive(), 0.01)
        await there.send(b"later")
        assert await here.receive() == b"later"


@in_loop
async def test_a_child_process() -> None:
    async with await ProcessStream.start(["cat"]) as cat:
        async with asyncio.TaskGroup() as group:
            group.create_task(cat.send(LARGE))
            assert await read_all(cat, len(LARGE)) == LARGE
        cat.end_sending()
        assert await cat.receive() == b""
        assert await cat.wait() == 0


@in_loop
async def test_a_child_gets_its_environment_and_tells_its_exit_code(tmp_path: Path) -> None:
    script = "import os, sys; print(os.environ['X'], os.getcwd()); sys.exit(3)"
    words = [sys.executable, "-c", script]
    async with await ProcessStream.start(words, env={"X": "y"}, cwd=str(tmp_path)) as child:
        assert await read_all(child) == f"y {tmp_path}\n".encode()
        assert await child.wait() == 3
        assert child.pid > 0


@in_loop
async def test_a_child_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.transport.stdio._PATIENCE", 0.1)
    child = await ProcessStream.start(["sleep", "100"])
    await child.aclose()
    assert await child.wait() < 0


@in_loop
async def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        await ProcessStream.start(["/nonexistent/program"])


def test_own_stdio_keeps_prints_out_of_the_protocol() -> None:
    script = (
        "import asyncio, subprocess\n"
        "from shoal.transport.stdio import own_stdio\n"
        "async def main():\n"
        "    async with own_stdio() as stream:\n"
        "        print('noise', flush=True)\n"
        "        subprocess.run(['sh', '-c', 'echo more noise; cat'])\n"
        "        await stream.send(b'heard ' + await stream.receive())\n"
        "asyncio.run(main())\n"
    )
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", script], input=b"hello", capture_output=True, timeout=60, check=True
    )
    assert done.stdout == b"heard hello"
    assert done.stderr == b"noise\nmore noise\n"


@in_loop
async def test_a_lone_stream_waits_while_threads_go_on() -> None:
    """In both directions; the peer is in another thread."""
    here_read, there_write = os.pipe()
    there_read, here_write = os.pipe()
    got: list[bytes] = []

    def peer() -> None:
        with os.fdopen(there_read, "rb") as source:
            got.append(source.read(len(LARGE)))
        with os.fdopen(there_write, "wb") as sink:
            sink.write(b"thanks")

    async with LoneStream(here_read, here_write) as stream:
        answering = asyncio.to_thread(peer)
        task = asyncio.create_task(answering)
        await asyncio.sleep(0)
        await stream.send(LARGE)
        assert await read_all(stream, 6) == b"thanks"
        assert await stream.receive() == b""
        await task
    assert got == [LARGE]


@in_loop
async def test_bytes_that_nobody_waits_for_cost_nothing() -> None:
    """The loop looks out for bytes also between answers, but is not woken again and again."""
    async with piped() as (here, there):
        receiving = asyncio.create_task(here.receive())
        await asyncio.sleep(0)
        await there.send(b"one")
        assert await receiving == b"one"
        loop = asyncio.get_running_loop()
        await there.send(b"two")
        await asyncio.sleep(0.01)
        assert not loop.remove_reader(here._read_fd)  # it was told once, and not again
        assert await here.receive() == b"two"
        receiving = asyncio.create_task(here.receive())
        await asyncio.sleep(0)
        await there.send(b"three")
        assert await receiving == b"three"


@pytest.mark.parametrize("kind", [FdStream, LoneStream])
@in_loop
async def test_what_does_not_come_is_waited_for_as_long_as_is_said(kind: type[FdStream]) -> None:
    read, theirs = os.pipe()
    async with kind(read, os.open(os.devnull, os.O_WRONLY)) as stream:
        assert not await stream.has_more_within(0.01)
        os.write(theirs, b"data")
        assert await stream.has_more_within(600)
        assert await stream.receive() == b"data"
        coming = asyncio.create_task(asyncio.to_thread(os.close, theirs))
        await asyncio.sleep(0)
        assert await stream.has_more_within(600)  # the end
        assert await stream.receive() == b""
        await coming
