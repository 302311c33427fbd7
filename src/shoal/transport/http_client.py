"""HTTP requests with streams for bodies, and without surprises: a thin layer over aiohttp.

aiohttp is imported when the first request is made. Connections are pooled only after an answer
that came whole; whatever else happens, the connection is closed. There is no limit on how long
an answer may take where verifying a large content does take long: TCP notices a dead peer.
Short requests to hosts that need neither TLS nor a proxy can be made by http_quick.py.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shoal import __version__, debug
from shoal.p2phttp.codec import MAX_BODY
from shoal.transport.addresses import PUBLIC_ONLY, AllowedAddresses
from shoal.transport.http_quick import AddressInfo, QuickHttp

if TYPE_CHECKING:
    import ssl

    import aiohttp

USER_AGENT = f"shoal/{__version__}"
_SOURCE = "transport.http_client"  # of what --debug shows
_CONNECT = 30.0  # seconds
_IDLE = 10.0  # seconds for which an unused connection is kept
_READ_AHEAD = 1 << 20  # bytes of a body that are read before somebody wants them
_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 6}  # seconds, seconds, times
_UNSENT = 150_000  # milliseconds for which the peer may leave what was sent unacknowledged


class HttpFailure(Exception):
    """There was no answer, or it broke off; the text says why, in a few words.

    `disconnected`: the connection ended before any of the answer came, as a kept connection
    does when it was idle for too long.
    """

    def __init__(self, text: str, *, disconnected: bool = False) -> None:
        super().__init__(text)
        self.disconnected = disconnected


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How to make requests. `headers` are sent with every one of them."""

    allowed: AllowedAddresses = PUBLIC_ONLY
    headers: tuple[tuple[str, str], ...] = ()
    connections: int = 0  # at most so many to one host; 0: any number


class HttpAnswer:
    """An answer whose body has not been read yet."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.reason = response.reason or ""

    @property
    def summary(self) -> str:
        """Status and reason: `404 Not Found`."""
        return f"{self.status} {self.reason}".strip()

    def header(self, name: str) -> str | None:
        """Give a header of the answer."""
        return self._response.headers.get(name)

    async def read(self) -> bytes:
        """Give the whole body, which must be short. Raises HttpFailure."""
        body = b""
        async for chunk in self.chunks():
            body += chunk
            if len(body) > MAX_BODY:
                raise HttpFailure("the answer is too long")
        return body

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the body as it arrives. Raises HttpFailure when it breaks off."""
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
        self._quick: dict[str, QuickHttp | None] = {}

    def quick(self, base: str) -> QuickHttp | None:
        """Give what makes short requests to the host of the url `base` at once; None when that
        is not possible there. To be closed with this one."""
        self._use_this_loop()
        if base not in self._quick:
            self._quick[base] = self._quick_for(base)
        return self._quick[base]

    def _quick_for(self, base: str) -> QuickHttp | None:
        parts = urlsplit(base)
        if parts.scheme != "http" or not parts.hostname or "@" in parts.netloc:
            return None
        if _proxy_for(base) is not None:
            return None
        return QuickHttp(parts.hostname, parts.port or 80, _socket_factory(self._options.allowed))

    @property
    def headers(self) -> dict[str, str]:
        """The headers that all requests have."""
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        sent.update(self._options.headers)
        return sent

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: AsyncIterator[bytes] | bytes | None = None,
        length: int | None = None,
        patience: float | None = None,
    ) -> AsyncIterator[HttpAnswer]:
        """Make a request and give its answer, whatever its status.

        `body` is sent as it comes, or is all in memory; with `length` (bytes) it is not chunked,
        and must be that long. `patience` is how many seconds may pass without anything received.
        Redirects of requests without a body are followed. Raises HttpFailure; leaving the context
        closes the connection unless the answer was read to its end.
        """
        import aiohttp
        from yarl import URL

        sent = self.headers
        sent.update(headers or {})
        if body is not None and length is not None:
            sent["Content-Length"] = str(length)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=patience)
        session = self._open()
        with _failures():
            response = await session.request(
                method,
                URL(url, encoded=True),
                headers=sent,
                data=body,
                timeout=timeout,
                allow_redirects=body is None,
                proxy=_proxy_for(url),
                ssl=self._trust() if url.startswith("https:") else True,
            )
        debug.say(_SOURCE, f"{method} {url}: {response.status} {response.reason}")
        try:
            yield HttpAnswer(response)
        finally:
            response.close()  # no effect when it was read to its end: then it is pooled already

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        self._use_this_loop()
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(
                limit=0,
                limit_per_host=self._options.connections,
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
            self._loop, self._session, self._quick = loop, None, {}

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
        quick, self._quick = self._quick, {}
        if self._loop is asyncio.get_running_loop():
            for host in quick.values():
                if host is not None:
                    await host.aclose()
        if session is not None and self._loop is asyncio.get_running_loop():
            await session.close()


@contextmanager
def _failures() -> Iterator[None]:
    """Make HttpFailure of what aiohttp and sockets raise."""
    import aiohttp

    try:
        yield
    except TimeoutError as error:
        raise HttpFailure("no answer in time") from error
    except aiohttp.ClientConnectorError as error:
        raise HttpFailure(_text_of(error.os_error)) from error
    except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError) as error:
        raise HttpFailure("the connection was closed", disconnected=True) from error
    except (aiohttp.ClientError, OSError) as error:
        raise HttpFailure(_text_of(error)) from error


def _text_of(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)


def _socket_factory(allowed: AllowedAddresses) -> Callable[[AddressInfo], socket.socket]:
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
