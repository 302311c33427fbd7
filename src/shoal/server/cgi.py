"""A program that answers one request (CGI): bytes are passed on both ways as they come.

Nothing is gathered: a client that takes its answer slowly stops the program, and a program that
reads slowly stops the client. When the client goes away, or moves nothing for too long, the
program and all that it started are ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from types import TracebackType
from typing import Self

from aiohttp import web

from shoal.git.httpbackend import Command
from shoal.p2phttp.cgi import BadAnswer, Head, parse_head
from shoal.server.answers import SERVER, plain_answer
from shoal.server.http import Connection
from shoal.server.messages import complain

_PIECE = 128 * 1024  # bytes
_LAST_WORDS = 4096  # bytes of what the program says on its standard error
_TIME_TO_END = 5.0  # seconds that a program has after SIGTERM
_TIME_TO_SPEAK = 1.0  # seconds; what it left running may have its standard error open


class Program:
    """A running program. Use it as a context: afterwards it has ended."""

    def __init__(self, command: Command) -> None:
        self._command = command

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        loop = asyncio.get_running_loop()
        self._pipes, protocol = await loop.subprocess_exec(
            lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=_PIECE, loop=loop),
            *self._command.words,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=self._command.environment,
            cwd=self._command.directory,
            start_new_session=True,  # so that all that it starts can be ended with it
        )
        self._process = asyncio.subprocess.Process(self._pipes, protocol, loop)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._end()
        finally:
            self._listening.cancel()
            self._pipes.close()  # one that nobody read to its end would stay open

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ask the program, and what it started, to end; git then removes its locks."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def write(self, data: bytes) -> bool:
        """Give the program some input; False when it wants no more."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except ConnectionError:
            return False
        return True

    def end_input(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def read(self) -> bytes:
        """Give some of the program's output, b"" at its end."""
        assert self._process.stdout is not None
        return await self._process.stdout.read(_PIECE)

    async def head(self) -> Head | None:
        """Read the head of the answer; None when the program ended before. Raises BadAnswer."""
        data = b""
        while (found := parse_head(data)) is None:
            more = await self.read()
            if not more:
                return None
            data += more
        return found

    async def failure(self) -> str | None:
        """Wait for the end; say why the program failed, None when it did not."""
        status = await self._process.wait()
        if status == 0:
            return None
        await asyncio.wait([self._listening], timeout=_TIME_TO_SPEAK)
        words = self._listening.result() if self._listening.done() else b""
        said = words.decode("utf-8", "replace").strip().replace("\n", "; ")
        return said or f"exit status {status}"

    async def _listen(self) -> bytes:
        """Take what the program says, so that it never waits; give the last of it."""
        assert self._process.stderr is not None
        said = b""
        while more := await self._process.stderr.read(_LAST_WORDS):
            said = (said + more)[-_LAST_WORDS:]
        return said

    async def _end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.stop(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TIME_TO_END):
                    await self._process.wait()
                    return


class Relay:
    """Passes a request on to a program, and its answer back.

    `stall` are the seconds for which a client may move nothing.
    """

    def __init__(self, request: web.BaseRequest, stall: float) -> None:
        self._request = request
        self._stall = stall
        self._broken = False

    async def answer(self, command: Command) -> web.StreamResponse:
        """Have the program answer. Raises ConnectionError when the client has gone, OSError
        when the program cannot be started."""
        async with Program(command) as program:
            helpers = [
                asyncio.create_task(self._feed(program)),
                asyncio.create_task(self._watch(program)),
            ]
            try:
                return await self._pass_on(program)
            finally:
                for helper in helpers:
                    helper.cancel()
                await asyncio.wait(helpers)

    async def _pass_on(self, program: Program) -> web.StreamResponse:
        try:
            head = await program.head()
        except BadAnswer as error:
            complain(f"{self._asked}: {error}")
            return plain_answer(502, "git answered what is no answer")
        self._check()
        if head is None:
            complain(f"{self._asked}: {await program.failure()}")
            return plain_answer(502, "git did not answer")
        response = web.StreamResponse(status=head.status, headers={"Server": SERVER})
        for name, value in head.headers:
            response.headers[name] = value
        if self._request.method == "HEAD":
            while await program.read():
                pass
            return response
        await response.prepare(self._request)
        chunk = head.rest or await program.read()
        while chunk:
            await self._write(response, chunk)
            chunk = await program.read()
        cause = await program.failure()
        self._check()
        if cause is not None:
            complain(f"{self._asked}: {cause}")
        return response

    @property
    def _asked(self) -> str:
        return f"{self._request.method} {self._request.raw_path[:500]}"

    def _check(self) -> None:
        """Raise ConnectionResetError when there is no client any more to answer."""
        if self._broken or self._request.transport is None:
            raise ConnectionResetError("Connection lost")

    async def _write(self, response: web.StreamResponse, chunk: bytes) -> None:
        try:
            async with asyncio.timeout(self._stall):
                await response.write(chunk)
        except TimeoutError:
            raise ConnectionResetError("the client takes nothing") from None

    async def _feed(self, program: Program) -> None:
        """Give the program the body. One that broke off is never made to look whole."""
        try:
            while chunk := await self._body():
                if not await program.write(chunk):
                    return
        except (ConnectionError, TimeoutError, web.RequestPayloadError):
            self._broken = True
            program.stop()
        else:
            program.end_input()

    async def _body(self) -> bytes:
        async with asyncio.timeout(self._stall):
            return await self._request.content.readany()

    async def _watch(self, program: Program) -> None:
        """End the program when its client has gone, also while neither has anything to say."""
        connection = self._request.protocol
        assert isinstance(connection, Connection)
        await connection.wait_until_lost()
        program.stop()
