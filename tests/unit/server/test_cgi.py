"""Requests that a program answers: both ways as bytes come, and no program without a client."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from shoal.git.httpbackend import Command
from shoal.server.cgi import Relay
from shoal.server.http import Server
from shoal.server.options import Limits
from tests.support.loop import in_loop, until
from tests.support.served import Answer, read_answer, request_bytes

_ECHO = """
print("Content-Type: text/x-test\\n", flush=True)
while data := os.read(0, 65536):
    os.write(1, data)
"""
_FOREVER = """
print("A: b\\n", flush=True)
open("pid", "w").write(str(os.getpid()))
time.sleep(1000)
"""


class _App:
    """Has a program answer everything."""

    def __init__(self, script: str, directory: Path, stall: float) -> None:
        words = (sys.executable, "-c", f"import os, sys, time\n{script}")
        self._command = Command(words, dict(os.environ), str(directory))
        self._stall = stall
        self.ended = asyncio.Event()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await Relay(request, self._stall).answer(self._command)
        finally:
            self.ended.set()

    def answer_at_once(self, *args: object, **more: object) -> None:
        return None


@asynccontextmanager
async def _serving(
    script: str, directory: Path, stall: float = 30
) -> AsyncIterator[tuple[int, _App]]:
    app = _App(script, directory, stall)
    server = Server(app, Limits())
    listener = socket.create_server(("127.0.0.1", 0))
    acceptor = await asyncio.get_running_loop().create_server(server, sock=listener)
    try:
        yield listener.getsockname()[1], app
    finally:
        acceptor.close()
        await server.shutdown(1)


async def _ask(port: int, request: bytes, *, head: bool = False) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await read_answer(reader, head=head)
    writer.close()
    return answer


@in_loop
async def test_a_body_comes_back(tmp_path: Path) -> None:
    body = os.urandom(3_000_000)
    async with _serving(_ECHO, tmp_path) as (port, _):
        answer = await _ask(port, request_bytes("POST", "/", body))
        assert (answer.status, answer.headers["content-type"]) == (200, "text/x-test")
        assert answer.body == body
        chunked = b"5\r\nhello\r\n0\r\n\r\n"
        request = request_bytes("POST", "/", chunked, {"Transfer-Encoding": "chunked"})
        assert (await _ask(port, request)).body == b"hello"
        assert (await _ask(port, request_bytes("HEAD", "/"), head=True)).status == 200


@in_loop
async def test_a_program_that_reads_nothing(tmp_path: Path) -> None:
    async with _serving('print("Status: 403 No\\n\\nno")', tmp_path) as (port, _):
        answer = await _ask(port, request_bytes("POST", "/", bytes(2_000_000)))
        assert (answer.status, answer.body) == (403, b"no\n")


@pytest.mark.parametrize("script", ["sys.exit(3)", 'print("no header\\n")'])
@in_loop
async def test_a_program_that_does_not_answer(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], script: str
) -> None:
    async with _serving(script, tmp_path) as (port, _):
        assert (await _ask(port, request_bytes("GET", "/"))).status == 502
    assert "GET /: " in capfd.readouterr().err


@in_loop
async def test_the_operator_sees_why_a_program_failed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = 'print("A: b\\n\\nbody", flush=True)\nsys.exit("it broke")'
    async with _serving(script, tmp_path) as (port, _):
        assert (await _ask(port, request_bytes("GET", "/"))).body == b"body\n"
    assert "GET /: it broke" in capfd.readouterr().err


def _is_alive(process: Path) -> bool:
    return Path(f"/proc/{process.read_text()}").exists()


@in_loop
async def test_a_client_that_goes_away_ends_its_program(tmp_path: Path) -> None:
    async with _serving(_FOREVER, tmp_path) as (port, app):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes("GET", "/"))
        pid = tmp_path / "pid"
        await until(lambda: pid.exists() and bool(pid.read_text()))
        writer.close()
        await app.ended.wait()
        assert not _is_alive(pid)


@in_loop
async def test_a_body_that_breaks_off_never_looks_whole(tmp_path: Path) -> None:
    script = """
open("pid", "w").write(str(os.getpid()))
while os.read(0, 65536): pass
open("whole", "w")
"""
    async with _serving(script, tmp_path) as (port, app):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes("POST", "/", bytes(1000), {"Content-Length": 2000}))
        pid = tmp_path / "pid"
        await until(lambda: pid.exists() and bool(pid.read_text()))
        writer.transport.abort()
        await app.ended.wait()
        assert not _is_alive(pid)
    assert not (tmp_path / "whole").exists()


@in_loop
async def test_a_client_that_takes_nothing_is_given_up(tmp_path: Path) -> None:
    script = 'print("A: b\\n")\nsys.stdout.flush()\nwhile True: os.write(1, bytes(1 << 20))'
    async with _serving(script, tmp_path, stall=0.3) as (port, app):
        files = len(os.listdir("/proc/self/fd"))
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes("GET", "/"))
        await app.ended.wait()
        writer.close()
        await until(lambda: len(os.listdir("/proc/self/fd")) <= files)
