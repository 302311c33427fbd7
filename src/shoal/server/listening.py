"""Where clients connect: TCP, a unix socket, sockets passed on by systemd; with TLS or without."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import stat
import tempfile
from collections.abc import Callable, Coroutine, MutableMapping
from types import TracebackType
from typing import Self

from shoal.errors import ShoalError, UsageError
from shoal.server.options import Listening

Factory = Callable[[], asyncio.Protocol]

_BACKLOG = 1024
_FIRST_PASSED_ON = 3  # file descriptor, by systemd's convention
_TLS_HANDSHAKE = b"\x16"
_HANDSHAKE_TIME = 60.0  # seconds
_NOT_TLS_TEXT = b"This server only accepts secure HTTPS connections."
_NOT_TLS = (
    b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.2, HTTP/1.1\r\nConnection: Upgrade, close\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
) % (len(_NOT_TLS_TEXT), _NOT_TLS_TEXT)


class CannotListen(ShoalError):
    """An address, port, socket path or certificate that cannot be used."""


def listening_sockets(
    listening: Listening, environment: MutableMapping[str, str], stall: float
) -> list[socket.socket]:
    """Open the sockets to listen on; those that systemd passes on win. Raises CannotListen.

    A peer that takes nothing of what was sent to it for `stall` seconds is given up.
    """
    found = _passed_on(environment)
    if not found:
        found = [_unix_socket(listening.socket)] if listening.socket else _tcp_sockets(listening)
    for each in found:
        each.setblocking(False)
        if each.family != socket.AF_UNIX:
            _find_dead_peers(each, stall)
    return found


def _passed_on(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """Take the sockets that systemd opened for this process (sd_listen_fds(3))."""
    count = environment.pop("LISTEN_FDS", "")
    process = environment.pop("LISTEN_PID", "")
    environment.pop("LISTEN_FDNAMES", None)
    if process != str(os.getpid()) or not count.isdecimal():
        return []
    numbers = range(_FIRST_PASSED_ON, _FIRST_PASSED_ON + int(count))
    try:
        return [socket.socket(fileno=number) for number in numbers]
    except OSError as error:
        raise CannotListen(f"cannot use the sockets of LISTEN_FDS: {error.strerror}") from error


def _tcp_sockets(listening: Listening) -> list[socket.socket]:
    where = f"{listening.address or 'all addresses'} port {listening.port}"
    opened: list[socket.socket] = []
    try:
        for family, address in _addresses(listening):
            opened.append(_tcp_socket(family, address))
    except OSError as error:
        for each in opened:
            each.close()
        raise CannotListen(f"cannot listen on {where}: {error.strerror}") from error
    return opened


def _addresses(listening: Listening) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
    infos = socket.getaddrinfo(
        listening.address, listening.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    families = {socket.AF_INET} | ({socket.AF_INET6} if socket.has_ipv6 else set())
    return [(info[0], info[4]) for info in infos if info[0] in families]


def _tcp_socket(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        opened.listen(_BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _unix_socket(path: str) -> socket.socket:
    """Listen at `path`, for this user only. A file that a server left behind is replaced."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o077)
    try:
        try:
            opened.bind(path)
        except OSError:
            if not _is_left_behind(path):
                raise
            os.unlink(path)
            opened.bind(path)
        opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        raise CannotListen(f"cannot listen on {path}: {error.strerror}") from error
    finally:
        os.umask(mask)
    return opened


def _is_left_behind(path: str) -> bool:
    """Tell whether `path` is a unix socket where nobody listens."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _find_dead_peers(listener: socket.socket, stall: float) -> None:
    """Let the kernel end connections whose peer is gone; accepted sockets inherit this."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 30)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
    milliseconds = max(1, round(stall * 1000))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def tls_context(listening: Listening) -> ssl.SSLContext | None:
    """Read the certificate files; None when there are none. Raises CannotListen, UsageError."""
    if not listening.certificate and not listening.private_key:
        return None
    if not listening.certificate or not listening.private_key:
        raise UsageError(
            "You must use both --certfile and --privatekeyfile options to enable HTTPS."
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    try:
        with tempfile.NamedTemporaryFile() as joined:
            for path in (listening.certificate, *listening.chain):
                with open(path, "rb") as part:
                    joined.write(part.read() + b"\n")
            joined.flush()
            context.load_cert_chain(joined.name, listening.private_key)
    except ssl.SSLError as error:
        raise CannotListen(f"cannot use the TLS files: {error.reason or error}") from error
    except OSError as error:
        raise CannotListen(f"cannot read {error.filename}: {error.strerror}") from error
    return context


class Listener:
    """Accepts connections on some sockets until closed."""

    def __init__(
        self, sockets: list[socket.socket], factory: Factory, tls: ssl.SSLContext | None
    ) -> None:
        self._sockets = sockets
        self._factory = factory
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            if self._tls is None:
                server = await loop.create_server(self._factory, sock=each, backlog=_BACKLOG)
                self._servers.append(server)
            else:
                self._start(self._accept(each, self._tls))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Take no more connections. Those that are open stay."""
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for each in self._sockets:
            each.close()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket, tls: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError:  # too many open files: others will be closed
                await asyncio.sleep(1)
                continue
            self._start(self._greet(connection, tls))

    async def _greet(self, connection: socket.socket, tls: ssl.SSLContext) -> None:
        """Start TLS; tell a client that does not that it must."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_HANDSHAKE_TIME):
                first = await _peek(connection)
                if first == _TLS_HANDSHAKE:
                    await loop.connect_accepted_socket(self._factory, connection, ssl=tls)
                    return
                if first:
                    await loop.sock_sendall(connection, _NOT_TLS)
                    connection.shutdown(socket.SHUT_WR)
                    while await loop.sock_recv(connection, 65536):
                        pass
        except OSError:  # also TimeoutError and ssl.SSLError: the client's own affair
            pass
        except asyncio.CancelledError:
            connection.close()
            raise
        connection.close()


async def _peek(connection: socket.socket) -> bytes:
    """Give the first byte that comes, and leave it there; b"" when none does."""
    loop = asyncio.get_running_loop()
    connection.setblocking(False)
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)
    return connection.recv(1, socket.MSG_PEEK)
