"""The HTTP server in front of a remote, in this process, and a client that sends raw bytes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from shoal.errors import KeyNotPresent
from shoal.remotes.base import NOBODY, Caller, Remote
from shoal.remotes.content import Chunk, Content, Region
from shoal.server.app import App
from shoal.server.http import Server
from shoal.server.options import Limits
from shoal.server.permissions import EVERYTHING, Permissions
from shoal.server.repositories import OneRepository
from shoal.server.target import Site
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.memory_remote import MemoryRemote

CLIENT = UUID("cccccccc-0000-4000-8000-000000000001")
WIDE_OPEN = Permissions(EVERYTHING)


class FixedSite(Site):
    """Serves the given remotes."""

    def __init__(self, remotes: Mapping[UUID, Remote], jobs: int) -> None:
        super().__init__(jobs)
        self.remotes = dict(remotes)

    async def remote(self, uuid: UUID) -> Remote | None:
        return self.remotes.get(uuid)

    def remote_at_once(self, uuid: UUID) -> Remote | None:
        return self.remotes.get(uuid)

    async def aclose(self) -> None:
        assert self.users == 0
        self.remotes.clear()


class FileContent(Content):
    """Content that is a file here. `stream` comes from memory, as if from another node."""

    def __init__(self, file: Path, data: bytes, offset: int, *, valid: bool) -> None:
        self._data = data
        self._valid = valid
        self.offset = offset
        self.size = len(data) - offset
        self.region = Region(str(file), offset, self.size)
        self.skipped: int | None = None  # what stream() was asked to leave out

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        self.skipped = skip
        for start in range(self.offset + skip, len(self._data), 50_000):
            yield self._data[start : start + 50_000]

    async def confirm(self) -> bool:
        return self._valid


@dataclass
class FileRemote(MemoryRemote):
    """A MemoryRemote whose content is offered as files of `folder`, made by keep()."""

    folder: Path = Path()
    opened: list[FileContent] = field(default_factory=list)

    def keep(self, content: bytes) -> Key:
        """Hold `content`, in memory and as a file."""
        key = self.put(content)
        self.file(key).write_bytes(content)
        return key

    def file(self, key: Key) -> Path:
        return self.folder / str(key)

    def retrieve(
        self, key: Key, offset: int = 0, *, file: str = "", caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Content]:
        return self._retrieve_file(key, offset)

    @asynccontextmanager
    async def _retrieve_file(self, key: Key, offset: int) -> AsyncIterator[Content]:
        if key not in self.objects:
            raise KeyNotPresent(self.name, str(key))
        data = self.objects[key]
        valid = key not in self.changing
        content = FileContent(self.file(key), data, min(offset, len(data)), valid=valid)
        self.opened.append(content)
        yield content


@dataclass(frozen=True)
class Answer:
    """An answer as it came. `complete` is False when the connection ended within the body."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool = True


@dataclass
class TestServer:
    """A running server for one remote."""

    __test__ = False
    app: App
    site: FixedSite
    port: int
    uuid: UUID
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def path(self, endpoint: str, /, version: object = 4, **parameters: object) -> str:
        """Give path and query; without a version there is no client either."""
        words = [f"/git-annex/{self.uuid}"]
        if version is not None:
            words.append(f"v{version}")
            parameters = {"clientuuid": CLIENT, **parameters}
        query = "&".join(f"{name.replace('_', '-')}={value}" for name, value in parameters.items())
        return "/".join([*words, endpoint]) + (f"?{query}" if query else "")

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection; it is closed with the server."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        self.writers.append(writer)
        return reader, writer

    async def raw(self, request: bytes, *, head: bool = False) -> Answer:
        """Send bytes on a connection of their own; read one answer."""
        reader, writer = await self.connect()
        writer.write(request)
        answer = await read_answer(reader, head=head)
        writer.close()
        return answer

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, object] | None = None
    ) -> Answer:
        return await self.raw(request_bytes(method, path, body, headers), head=method == "HEAD")

    async def post(self, endpoint: str, /, **parameters: object) -> Answer:
        return await self.ask("POST", self.path(endpoint, **parameters))

    async def put(self, key: Key, body: bytes, **parameters: object) -> Answer:
        path = self.path("put", key=key, **parameters)
        return await self.ask("POST", path, body, {"X-git-annex-data-length": len(body)})

    async def get(self, key: Key, **parameters: object) -> Answer:
        return await self.ask("GET", self.path(f"key/{key}", **parameters))


def request_bytes(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, object] | None = None
) -> bytes:
    """Give the bytes of a request."""
    given: dict[str, object] = {"Host": "test", **(headers or {})}
    if method == "POST" and not {"Transfer-Encoding", "Content-Length"} & given.keys():
        given["Content-Length"] = len(body)
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


async def read_answer(reader: asyncio.StreamReader, *, head: bool = False) -> Answer:
    """Read one answer; 100 Continue is passed over."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ")[1])
    if status == 100:
        return await read_answer(reader, head=head)
    headers = {n.lower(): v.strip() for n, _, v in (x.partition(":") for x in lines[1:-2])}
    if head or status in {204, 304}:
        return Answer(status, headers, b"")
    try:
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, await _chunked(reader))
        return Answer(status, headers, await reader.readexactly(int(headers["content-length"])))
    except asyncio.IncompleteReadError as error:
        return Answer(status, headers, error.partial, complete=False)
    except ConnectionError:
        return Answer(status, headers, b"", complete=False)


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


@asynccontextmanager
async def serving(
    remote: Remote,
    *,
    permissions: Permissions = WIDE_OPEN,
    limits: Limits | None = None,
    jobs: int = 8,
) -> AsyncIterator[TestServer]:
    """Serve `remote` while the context is open; afterwards nothing of it may be left."""
    limits = limits or Limits()
    site = FixedSite({remote.info.uuid: remote}, jobs)
    app = App(OneRepository(site), permissions, limits)
    server = Server(app, limits)
    listener = socket.create_server(("127.0.0.1", 0))
    acceptor = await asyncio.get_running_loop().create_server(server, sock=listener)
    served = TestServer(app, site, listener.getsockname()[1], remote.info.uuid)
    try:
        yield served
    finally:
        acceptor.close()
        for writer in served.writers:
            writer.close()
        await server.shutdown(1)
        await app.locks.aclose()
        await site.aclose()
        await acceptor.wait_closed()
