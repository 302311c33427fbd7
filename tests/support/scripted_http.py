"""An HTTP server that answers what a test tells it to: raw bytes, or nothing."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """A request as it came. `body` is what was sent of it before the answer."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: bytes = b""

    @property
    def version_and_endpoint(self) -> str:
        """`v4/checkpresent`."""
        path = self.target.partition("?")[0].split("/")
        return "/".join(path[3:5])


@dataclass(frozen=True)
class Cut:
    """Bytes after which the connection is closed."""

    data: bytes = b""


Answering = Callable[[Asked], bytes | Cut]


def answer(
    body: bytes = b"",
    status: str = "200 OK",
    content_type: str = "application/json",
    **headers: object,
) -> bytes:
    """Give the bytes of an answer; `X_git_annex_data_length=3` gives that header."""
    given = {"Content-Type": content_type, "Content-Length": len(body)}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


@dataclass
class ScriptedServer:
    """Its answers come from `script`, in order, and then from `otherwise`. `asked` lists the
    requests."""

    otherwise: Answering | None = None
    script: list[bytes | Cut] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    connections: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)  # a client closed a connection
    reads_bodies: bool = True
    silent: asyncio.Event | None = None  # when set: answers nothing more until it is set

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                asked = await self._read(reader)
                self.asked.append(asked)
                if self.silent is not None:
                    await self.silent.wait()
                reply = self._answer(asked)
                writer.write(reply.data if isinstance(reply, Cut) else reply)
                await writer.drain()
                if isinstance(reply, Cut):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()
        finally:
            writer.close()

    def _answer(self, asked: Asked) -> bytes | Cut:
        if self.script:
            return self.script.pop(0)
        assert self.otherwise is not None, asked
        return self.otherwise(asked)

    async def _read(self, reader: asyncio.StreamReader) -> Asked:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {n.lower(): v.strip() for n, _, v in (x.partition(":") for x in lines[1:-2])}
        body = b""
        if self.reads_bodies:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Asked(method, target, headers, body)


@asynccontextmanager
async def scripted(
    server: ScriptedServer, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedServer]:
    """Run the server while the context is open."""
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        if server.silent is not None:
            server.silent.set()
        await listener.wait_closed()
