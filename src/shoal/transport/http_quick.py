"""Short HTTP requests without a task for each, over connections of their own.

For requests without a body whose answers are small: no TLS, no proxies, no redirects. Whatever is
not a plain answer with status 200 ends with the word that there is none, and with a closed
connection; whoever asked then makes the request in the usual way.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress

from shoal.values.record import record

_MOST = 128 << 10  # bytes of an answer
_CONNECTIONS = 64  # to one host
_LONGEST = 10.0  # seconds for an answer
_IDLE = 10.0  # seconds for which an unused connection is kept
_REST = 1.0  # seconds for which nobody tries again to connect to a host that did not answer
_OK = b"HTTP/1.1 200 "

_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}(?=[ \t;]|$)")

AddressInfo = tuple[int, int, int, str, tuple[str, int]]


@record
class QuickAnswer:
    """An answer with status 200. Names of headers are in lower case."""

    headers: dict[str, str]
    body: bytes


Tell = Callable[[QuickAnswer | None], None]


class QuickHttp:
    """Connections to one host, which `make_socket` makes sockets for (raising OSError for an
    address that must not be used). For one event loop."""

    def __init__(
        self, host: str, port: int, make_socket: Callable[[AddressInfo], socket.socket]
    ) -> None:
        self._host = host
        self._port = port
        self._make_socket = make_socket
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._connecting: asyncio.Task[None] | None = None
        self._rests_until = 0.0  # of the loop's clock
        self._closed = False

    def ask(self, request: bytes, tell: Tell) -> bool:
        """Send a whole request, if a connection is idle; else make one for later, and give
        False. `tell` is called once, later: with the answer, or with None."""
        if self._idle:
            self._idle.pop().ask(request, tell)
            return True
        loop = asyncio.get_running_loop()
        ready = self._connecting is None and loop.time() >= self._rests_until
        if ready and not self._closed and len(self._all) < _CONNECTIONS:
            self._connecting = loop.create_task(self._connect(), name=f"connect to {self._host}")
        return False

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_LONGEST):
                await self._connect_to_any(loop)
        except (OSError, TimeoutError):  # the usual way will tell
            self._rests_until = loop.time() + _REST
        finally:
            self._connecting = None

    async def _connect_to_any(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connect to the first of the host's addresses that answers. Raises OSError."""
        infos = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        failure = OSError("the host has no address")
        for family, kind, protocol, name, address in infos:
            where = (str(address[0]), int(address[1]))
            try:
                made = self._make_socket((family, kind, protocol, name, where))
            except OSError as error:
                failure = error
                continue
            try:
                made.setblocking(False)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(made, address)
                await loop.create_connection(lambda: _Connection(self), sock=made)
                return
            except OSError as error:
                made.close()
                failure = error
            except BaseException:
                made.close()
                raise
        raise failure

    def made(self, connection: _Connection) -> None:
        """A connection is there."""
        self._all.add(connection)
        self.free(connection)

    def free(self, connection: _Connection) -> None:
        """A connection is idle."""
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        """A connection is closed."""
        self._all.discard(connection)
        with suppress(ValueError):
            self._idle.remove(connection)

    async def aclose(self) -> None:
        """Close all connections; who waits for an answer is told that there is none."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        for connection in tuple(self._all):
            connection.close()


class _Connection(asyncio.Protocol):
    """One connection, and the request that it is busy with."""

    def __init__(self, owner: QuickHttp) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._tell: Tell | None = None
        self._got = b""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._owner.made(self)
        self._set_deadline(_IDLE)

    def ask(self, request: bytes, tell: Tell) -> None:
        assert self._transport is not None
        self._tell = tell
        self._set_deadline(_LONGEST)
        self._transport.write(request)

    def _set_deadline(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self.close)

    def data_received(self, data: bytes) -> None:
        self._got = self._got + data if self._got else data
        if self._tell is None:  # nobody asked
            self.close()
            return
        try:
            answer = parse_answer(self._got)
        except ValueError:
            self.close()
            return
        if answer is None:
            return
        tell, self._tell, self._got = self._tell, None, b""
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        else:
            self._set_deadline(_IDLE)
            self._owner.free(self)
        tell(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self._owner.lost(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self._transport is not None:
            self._transport.abort()
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(None)


def parse_answer(got: bytes) -> QuickAnswer | None:
    """Read an answer; None when some of it is still to come.

    Raises ValueError when it is not one of the kind that is expected, or there is too much.
    """
    if len(got) > _MOST or not got.startswith(_OK[: len(got)]):
        raise ValueError("no plain answer")
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = got[:end].decode("latin-1").split("\r\n")[1:]
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    rest = got[end + 4 :]
    body: bytes | None
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"].lower() != "chunked" or "content-length" in headers:
            raise ValueError("an encoding that is not known")
        body = _joined_chunks(rest)
    else:
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()) or len(rest) > int(length):
            raise ValueError("the length is not right")
        body = rest if len(rest) == int(length) else None
    return None if body is None else QuickAnswer(headers, body)


def _joined_chunks(data: bytes) -> bytes | None:
    """Give what is in the chunks; None when some of them are still to come."""
    pieces: list[bytes] = []
    at = 0
    while (end := data.find(b"\r\n", at)) >= 0:
        if (found := _CHUNK_SIZE.match(data, at, end)) is None:
            raise ValueError("a chunk without a size")
        size = int(found[0], 16)
        at = end + 2
        if len(data) < at + size + 2:
            return None
        if data[at + size : at + size + 2] != b"\r\n":
            raise ValueError("a chunk that does not end, or a trailer")
        if size == 0:
            if len(data) > at + 2:
                raise ValueError("more than the answer")
            return b"".join(pieces)
        pieces.append(data[at : at + size])
        at += size + 2
    return None
