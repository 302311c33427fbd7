"""HTTP requests with streams for bodies, and without surprises.

Hosts that need neither TLS nor a proxy are talked to by http_plain.py; aiohttp, which is imported
when it is needed, does all others, and what is out of the ordinary, such as redirects.
Connections are kept only after an answer that came whole; whatever else happens, the connection
is closed. There is no limit on how long an answer may take where verifying a large content does
take long: TCP notices a dead peer.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shoal import __version__, debug
from shoal.transport.addresses import PUBLIC_ONLY, AllowedAddresses
from shoal.transport.http_answer import HttpAnswer, HttpFailure, Piece, failure_of, text_of
from shoal.transport.http_connection import Tell
from shoal.transport.http_plain import Body, PlainHttp, render_head
from shoal.transport.sockets import AddressInfo, MakeSocket

if TYPE_CHECKING:
    import ssl

    import aiohttp

USER_AGENT = f"shoal/{__version__}"
_SOURCE = "transport.http_client"  # of what --debug shows
_CONNECT = 30.0  # seconds
_IDLE = 10.0  # seconds for which an unused connection is kept
_READ_AHEAD = 1 << 20  # bytes of a body that are read before somebody wants them
_PIECE = 256 << 10  # bytes of borrowed memory that are copied at once
_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 6}  # seconds, seconds, times
_UNSENT = 150_000  # milliseconds for which the peer may leave what was sent unacknowledged
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How to make requests. `headers` are sent with every one of them."""

    allowed: AllowedAddresses = PUBLIC_ONLY
    headers: tuple[tuple[str, str], ...] = ()


class _AnyAnswer(HttpAnswer):
    """An answer that aiohttp reads."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        super().__init__(response.status, response.reason or "")
        self._response = response

    def header(self, name: str) -> str | None:
        return self._response.headers.get(name)

    async def chunks(self) -> AsyncIterator[Piece]:
        content = self._response.content
        with _failures():
            while chunk := await content.readany():
                yield chunk


class HttpClient:
    """Makes requests. Use it in one event loop at a time; close it there."""

    def __init__(self, options: HttpOptions = HttpOptions()) -> None:
        self._options = options
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tls: ssl.SSLContext | None = None
        self._plain: dict[str, PlainHttp | None] = {}
        self._headers = {
            "User-Agent": USER_AGENT,
            "Accept-Encoding": "identity",
            **dict(options.headers),
        }

    def ask(self, method: str, url: str, headers: Mapping[str, str], tell: Tell) -> bool:
        """Make a request without a body at once, if a connection is idle to a host that needs
        neither TLS nor a proxy. `tell` is called once, later: with the answer, or with None when
        there is none with status 200, for whatever reason. False: nothing was asked."""
        host, target = _split(url)
        plain = self._plain_for(host)
        if plain is None:
            return False
        try:
            head = self._render(method, host, target, headers, None, None)
        except HttpFailure:
            return False
        return plain.ask(head, tell)

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        length: int | None = None,
        patience: float | None = None,
    ) -> AsyncIterator[HttpAnswer]:
        """Make a request and give its answer, whatever its status.

        `body` is sent as it comes, or is all in memory; with `length` (bytes) it is not chunked,
        and must be that long. `patience` is how many seconds may pass without anything received.
        Redirects of requests without a body are followed. Raises HttpFailure; leaving the context
        closes the connection unless the answer was read to its end.
        """
        host, target = _split(url)
        plain = self._plain_for(host)
        if plain is not None:
            head = self._render(method, host, target, headers or {}, body, length)
            chunked = body is not None and length is None
            async with plain.request(head, body, patience, chunked=chunked) as answer:
                debug.say(_SOURCE, f"{method} {url}: {answer.summary}")
                if body is not None or answer.status not in _REDIRECTS:
                    yield answer
                    return
        async with self._request(method, url, headers or {}, body, length, patience) as answer:
            debug.say(_SOURCE, f"{method} {url}: {answer.summary}")
            yield answer

    def _plain_for(self, host: str) -> PlainHttp | None:
        """Give what makes requests to a host, as `http://name:port`; None when that is to be
        left to aiohttp."""
        self._use_this_loop()
        if host not in self._plain:
            parts = urlsplit(host)
            usual = parts.scheme == "http" and parts.hostname and "@" not in parts.netloc
            self._plain[host] = None
            if usual and parts.hostname and _proxy_for(host) is None:
                make_socket = _socket_factory(self._options.allowed)
                self._plain[host] = PlainHttp(parts.hostname, parts.port or 80, make_socket)
        return self._plain[host]

    def _render(
        self,
        method: str,
        host: str,
        target: str,
        headers: Mapping[str, str],
        body: Body,
        length: int | None,
    ) -> bytes:
        """Give the head of a request. Raises HttpFailure."""
        sent = {"Host": host.rpartition("/")[2], "Accept": "*/*", **self._headers, **headers}
        if body is not None and length is None:
            sent["Transfer-Encoding"] = "chunked"
        elif body is not None or method == "POST":
            sent["Content-Length"] = str(length or 0)
        return render_head(method, target, sent.items())

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body,
        length: int | None,
        patience: float | None,
    ) -> AsyncIterator[HttpAnswer]:
        """As request(), by aiohttp."""
        import aiohttp
        from yarl import URL

        sent = {**self._headers, **headers}
        if body is not None and length is not None:
            sent["Content-Length"] = str(length)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=patience)
        session = self._open()
        with _failures():
            response = await session.request(
                method,
                URL(url, encoded=True),
                headers=sent,
                data=body if body is None or isinstance(body, bytes) else _owned(body),
                timeout=timeout,
                allow_redirects=body is None,
                proxy=_proxy_for(url),
                ssl=self._trust() if url.startswith("https:") else True,
            )
        try:
            yield _AnyAnswer(response)
        finally:
            response.close()  # no effect when it was read to its end: then it is pooled already

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        self._use_this_loop()
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=_IDLE,
                socket_factory=_socket_factory(self._options.allowed),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=_READ_AHEAD,
                skip_auto_headers={"Content-Type"},
            )
        return self._session

    def _use_this_loop(self) -> None:
        """Forget what belongs to another event loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._session, self._plain = loop, None, {}

    def _trust(self) -> ssl.SSLContext:
        """Give what certificates are checked with: the system's authorities (or those that
        SSL_CERT_FILE and SSL_CERT_DIR name)."""
        if self._tls is None:
            import ssl

            self._tls = ssl.create_default_context()
        return self._tls

    async def aclose(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        hosts, self._plain = self._plain, {}
        if self._loop is asyncio.get_running_loop():
            for host in hosts.values():
                if host is not None:
                    host.close()
        if session is not None and self._loop is asyncio.get_running_loop():
            await session.close()


@contextmanager
def _failures() -> Iterator[None]:
    """Make HttpFailure of what aiohttp and sockets raise."""
    import aiohttp

    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise HttpFailure(text_of(error.os_error)) from error
    except aiohttp.ServerDisconnectedError as error:
        raise HttpFailure("the connection was closed", disconnected=True) from error
    except OSError as error:
        raise failure_of(error) from error
    except aiohttp.ClientError as error:
        raise HttpFailure(text_of(error)) from error


async def _owned(body: AsyncIterator[Piece]) -> AsyncIterator[bytes]:
    """Give a body as bytes that a connection may hold on to, not many at a time."""
    async for piece in body:
        if isinstance(piece, bytes):
            yield piece
        else:
            view = memoryview(piece)
            for start in range(0, len(view), _PIECE):
                yield bytes(view[start : start + _PIECE])


def _split(url: str) -> tuple[str, str]:
    """Split a URL into what names the host, and the rest."""
    end = url.find("/", url.find("//") + 2)
    return (url, "/") if end < 0 else (url[:end], url[end:])


def _socket_factory(allowed: AllowedAddresses) -> MakeSocket:
    """Make sockets for addresses that may be connected to, and notice peers that died."""

    def make(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if not allowed.allow(address[0], address[1]):
            raise PermissionError(
                "Configuration of annex.security.allowed-ip-addresses does not allow accessing "
                f"address {address[0]}"
            )
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _ALIVE.items():
            if hasattr(socket, name):
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNSENT)
        return made

    return make


def _proxy_for(url: str) -> str | None:
    """Give the proxy that the environment names for `url` (http_proxy, https_proxy, no_proxy)."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    return None if proxy is None or proxy_bypass(parts.hostname or "") else proxy
