"""A client that says the lines of the P2P protocol itself, to a remote that is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from shoal.errors import ShoalError
from shoal.p2p.server import Access
from shoal.remotes.base import Remote
from shoal.server.p2p_session import serve_p2p
from shoal.transport.memory import MemoryStream, memory_streams
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.memory_remote import MEMORY_UUID

CLIENT = UUID("cccccccc-0000-4000-8000-000000000001")


@dataclass
class Client:
    """The client's end of a session."""

    stream: MemoryStream
    held: bytes = b""
    reports: list[str] = field(default_factory=list)

    async def line(self) -> bytes:
        while b"\n" not in self.held:
            data = await self.stream.receive()
            if not data:
                return self.held
            self.held += data
        line, _, self.held = self.held.partition(b"\n")
        return line

    async def read(self, size: int) -> bytes:
        while len(self.held) < size and (data := await self.stream.receive()):
            self.held += data
        got, self.held = self.held[:size], self.held[size:]
        return got

    async def ask(self, line: str) -> str:
        await self.stream.send(line.encode() + b"\n")
        return (await self.line()).decode()

    async def get(self, key: Key, offset: int = 0) -> tuple[bytes, str]:
        """Get content; give it with what the server says of it."""
        word, length = (await self.ask(f"GET {offset}  {key}")).split()
        assert word == "DATA"
        data = await self.read(int(length))
        validity = (await self.line()).decode()
        await self.stream.send(b"SUCCESS\n")
        return data, validity

    async def put(self, key: Key, data: bytes, validity: str = "VALID", offset: int = 0) -> str:
        assert await self.ask(f"PUT a%file {key}") == f"PUT-FROM {offset}"
        return await self.send(data[offset:], validity)

    async def send(self, data: bytes, validity: str = "VALID") -> str:
        await self.stream.send(b"DATA %d\n" % len(data))
        await self.stream.send(data)
        return await self.ask(validity)


@asynccontextmanager
async def session(
    remote: Remote,
    *,
    version: int = 4,
    access: Access = Access.FULL,
    ends: type[ShoalError] | None = None,
) -> AsyncIterator[Client]:
    """Serve `remote` while the context is open; `ends` is the error that the session ends with."""
    here, there = memory_streams(limit=100_000, piece=50_000)
    client = Client(here)

    async def serve() -> ShoalError | None:
        try:
            await serve_p2p(
                remote, there, client=CLIENT, access=access, report=client.reports.append
            )
        except ShoalError as error:
            return error
        finally:
            await there.aclose()
        return None

    serving = asyncio.create_task(serve())
    assert await client.line() == b"AUTH-SUCCESS %s" % MEMORY_UUID.encode()
    if version:
        assert await client.ask(f"VERSION {version}") == f"VERSION {version}"
    yield client
    await here.end()
    error = await serving
    if ends is None:
        assert error is None
    else:
        assert isinstance(error, ends), error
