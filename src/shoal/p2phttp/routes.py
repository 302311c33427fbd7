"""Endpoints of the HTTP form of the P2P protocol, and requests as data, for server and client.

    /git-annex/SERVER-UUID/key/KEY                        any HTTP client
    /git-annex/SERVER-UUID/vN/key/KEY?clientuuid=…        GET
    /git-annex/SERVER-UUID/vN/ENDPOINT?key=…&clientuuid=… POST

Source: git-annex's design page "p2p protocol over http"; checked against git-annex 10.20261026,
which answers an unknown version with 400 `bad version` where the page (and its own client's
search for a version) wants 404: here it is a 404 with that text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes, urlsplit

from shoal.errors import (
    KeyNotPresent,
    RemoteUnavailable,
    ShoalError,
    UsageError,
)
from shoal.p2phttp.codec import LENGTH_HEADER, parse_count, quote_word, unwrap_word
from shoal.values.key import Key
from shoal.values.uuid import UUID, parse_uuid, uuid_bytes

NEWEST_VERSION = 4
DEFAULT_PORT = 9417  # for http and for https
PREFIX = "/git-annex/"


class Need(Enum):
    """What a client must be allowed to do to use an endpoint."""

    READ = "read"
    WRITE = "write"
    REMOVE = "remove"
    LOCK = "lock"


class Endpoint(Enum):
    """name in the path, first version, what it needs."""

    KEY = ("key", 0, Need.READ)
    CHECK_PRESENT = ("checkpresent", 0, Need.READ)
    LOCK_CONTENT = ("lockcontent", 0, Need.LOCK)
    KEEP_LOCKED = ("keeplocked", 0, Need.LOCK)
    REMOVE = ("remove", 0, Need.REMOVE)
    REMOVE_BEFORE = ("remove-before", 3, Need.REMOVE)
    GET_TIMESTAMP = ("gettimestamp", 3, Need.READ)
    PUT = ("put", 0, Need.WRITE)
    PUT_OFFSET = ("putoffset", 1, Need.WRITE)

    def __init__(self, path: str, first_version: int, need: Need) -> None:
        self.path = path
        self.first_version = first_version
        self.need = need
        self.method = "GET" if path == "key" else "POST"  # HEAD goes where GET goes
        self.asks_for_key = path not in {"key", "keeplocked", "gettimestamp"}  # in the query


_ENDPOINTS = {endpoint.path: endpoint for endpoint in Endpoint if endpoint is not Endpoint.KEY}
_RECENT = 256  # UUIDs and versions that are kept as read: requests name the same ones


class BadRequest(ShoalError):
    """A request that is answered with `status` and one sentence (or nothing) as plain text."""

    def __init__(self, status: int, message: str = "", *, allow: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.allow = allow  # the Allow header of a 405


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `version` is None for the plain /key/KEY, which means the newest."""

    endpoint: Endpoint
    server: UUID
    version: int | None = NEWEST_VERSION
    key: Key | None = None
    client: UUID | None = None
    file: str = ""  # associated file, a relative path with any characters
    offset: int | None = None  # bytes
    timestamp: int | None = None  # seconds of the server's clock
    lock_id: str = ""
    data_present: bool = False
    data_length: int | None = None  # bytes that follow in the body of a put
    bypass: tuple[UUID, ...] = field(default=())

    @property
    def protocol(self) -> int:
        """The P2P protocol version that decides how to answer."""
        return NEWEST_VERSION if self.version is None else self.version


def parse_request(method: str, path: str, query: str, data_length: str | None = None) -> Request:
    """Read a request from its line, as it came (percent-encoded), and its data length header.

    Raises BadRequest with the status that the real server gives, and its text.
    """
    endpoint, server, version, key = _parse_path(path)
    if method != endpoint.method and (method, endpoint) != ("HEAD", Endpoint.KEY):
        allow = "GET, HEAD" if endpoint is Endpoint.KEY else "POST"
        raise BadRequest(405, allow=allow)
    values = _Parameters(query)
    if endpoint.asks_for_key:
        key = values.key()
    needs_client = version is not None and endpoint is not Endpoint.KEEP_LOCKED
    is_put = endpoint is Endpoint.PUT
    is_transfer = is_put or endpoint is Endpoint.KEY
    return Request(
        endpoint,
        server,
        version,
        key,
        values.uuid("clientuuid", required=needs_client),
        values.file() if is_transfer else "",
        values.number("offset") if is_transfer else None,
        values.required_number("timestamp") if endpoint is Endpoint.REMOVE_BEFORE else None,
        values.lock_id() if endpoint is Endpoint.KEEP_LOCKED else "",
        values.flag("data-present") if is_put and (version or 0) >= 4 else False,
        _data_length(data_length) if is_put else None,
        values.bypass(),
    )


def _parse_path(path: str) -> tuple[Endpoint, UUID, int | None, Key | None]:
    if not path.startswith(PREFIX):
        raise BadRequest(404)
    words = path[len(PREFIX) :].split("/")
    if len(words) > 2 and not words[-1]:
        words.pop()
    match words:
        case [server, "key", key]:
            return Endpoint.KEY, _path_uuid(server), None, _path_key(key)
        case [server, version, "key", key]:
            number = _path_version(version, Endpoint.KEY)
            return Endpoint.KEY, _path_uuid(server), number, _path_key(key)
        case [server, version, name] if name in _ENDPOINTS:
            endpoint = _ENDPOINTS[name]
            return endpoint, _path_uuid(server), _path_version(version, endpoint), None
        case _:
            raise BadRequest(404)


@lru_cache(_RECENT)
def _path_version(word: str, endpoint: Endpoint) -> int:
    if not re.fullmatch(r"v[0-9]", word, re.ASCII):
        raise BadRequest(404, "bad version")
    if not endpoint.first_version <= int(word[1:]) <= NEWEST_VERSION:
        raise BadRequest(404, "bad version")
    return int(word[1:])


@lru_cache(_RECENT)
def _path_uuid(word: str) -> UUID:
    try:
        return parse_uuid(unwrap_word(unquote_to_bytes(word)))
    except ValueError:
        raise BadRequest(404) from None  # no repository has such a UUID


def _path_key(word: str) -> Key:
    try:
        text = unwrap_word(unquote_to_bytes(word))
    except ValueError as error:
        raise BadRequest(400, str(error)) from None
    try:
        return Key.parse(text)
    except ValueError:
        raise BadRequest(400, "key parse error") from None


def _data_length(header: str | None) -> int:
    if header is None:
        raise BadRequest(400, f"Header {LENGTH_HEADER} is required")
    try:
        return parse_count(header)
    except ValueError:
        problem = f"{LENGTH_HEADER} parse error"
        raise BadRequest(400, f"Error parsing header {LENGTH_HEADER} failed: {problem}") from None


class _Parameters:
    """The query of a request. Of a repeated parameter the first one counts, but of bypass all."""

    def __init__(self, query: str) -> None:
        self._values: dict[str, list[str]] = {}  # as they came
        for part in query.split("&"):
            name, equals, value = part.partition("=")
            if equals:  # a bare name counts as not given
                word = _unquoted(name).decode("utf-8", "replace")
                self._values.setdefault(word, []).append(value)

    def _first(self, name: str) -> bytes | None:
        values = self._values.get(name)
        return None if values is None else _unquoted(values[0])

    def _required(self, name: str) -> bytes:
        value = self._first(name)
        if value is None:
            raise BadRequest(400, f"Query parameter {name} is required")
        return value

    def key(self) -> Key:
        text = _unwrapped("key", self._required("key"))
        try:
            return Key.parse(text)
        except ValueError:
            raise _bad_parameter("key", "key parse error") from None

    def uuid(self, name: str, *, required: bool) -> UUID | None:
        if required:
            self._required(name)
        values = self._values.get(name)
        return None if values is None else _parameter_uuid(name, values[0])

    def bypass(self) -> tuple[UUID, ...]:
        return tuple(_parameter_uuid("bypass", value) for value in self._values.get("bypass", ()))

    def file(self) -> str:
        name = _unwrapped("associatedfile", self._first("associatedfile") or b"")
        # The line protocol knows no absolute names either; the name is for logs and for
        # preferred content only.
        if name.startswith(b"/") or b"\0" in name:
            return ""
        return name.decode("utf-8", "surrogateescape")

    def number(self, name: str) -> int | None:
        return None if self._first(name) is None else self.required_number(name)

    def required_number(self, name: str) -> int:
        value = self._required(name)
        try:
            return parse_count(value.decode("ascii", "replace"))
        except ValueError:
            raise _bad_parameter(name, f"{name} parse error") from None

    def lock_id(self) -> str:
        word = _unwrapped("lockid", self._required("lockid"))
        return word.decode("utf-8", "surrogateescape")

    def flag(self, name: str) -> bool:
        value = (self._first(name) or b"false").decode("utf-8", "replace")
        if value.lower() not in {"true", "false"}:
            raise _bad_parameter(name, f"could not parse: `{value[:40]}'")
        return value.lower() == "true"


def _unquoted(text: str) -> bytes:
    return unquote_to_bytes(text.replace("+", " "))


def _unwrapped(name: str, value: bytes) -> bytes:
    try:
        return unwrap_word(value)
    except ValueError as error:
        raise _bad_parameter(name, str(error)) from None


@lru_cache(_RECENT)
def _parameter_uuid(name: str, value: str) -> UUID:
    word = _unwrapped(name, _unquoted(value))
    if not word:
        raise _bad_parameter(name, "empty UUID")
    try:
        return parse_uuid(word)
    except ValueError:
        raise _bad_parameter(name, "UUID parse error") from None


def _bad_parameter(name: str, problem: str) -> BadRequest:
    return BadRequest(400, f"Error parsing query parameter {name} failed: {problem}")


def render_target(request: Request) -> str:
    """Give path and query of `request` below the server's base URL, in the order of parameters
    that the real client has: `/UUID/v4/put?key=…&clientuuid=…`."""
    words = [quote_word(uuid_bytes(request.server))]
    if request.version is not None:
        words.append(f"v{request.version}")
    words.append(request.endpoint.path)
    if request.endpoint is Endpoint.KEY:
        words.append(quote_word(bytes(_the_key(request))))
    query = "&".join(f"{name}={value}" for name, value in _render_parameters(request))
    return "/" + "/".join(words) + (f"?{query}" if query else "")


def _render_parameters(request: Request) -> list[tuple[str, str]]:
    given: list[tuple[str, str]] = []
    if request.data_present:
        given.append(("data-present", "true"))
    if request.endpoint is Endpoint.KEEP_LOCKED:
        given.append(("lockid", quote_word(request.lock_id.encode("utf-8", "surrogateescape"))))
    elif request.endpoint is not Endpoint.KEY and request.key is not None:
        given.append(("key", quote_word(bytes(request.key))))
    if request.client is not None:
        given.append(("clientuuid", quote_word(uuid_bytes(request.client))))
    given += [("bypass", quote_word(uuid_bytes(uuid))) for uuid in request.bypass]
    if request.file:
        given.append(
            ("associatedfile", quote_word(request.file.encode("utf-8", "surrogateescape")))
        )
    for name, number in (("offset", request.offset), ("timestamp", request.timestamp)):
        if number is not None:
            given.append((name, str(number)))
    return given


def _the_key(request: Request) -> Key:
    if request.key is None:
        raise ValueError("a request for content needs a key")
    return request.key


def is_annex_url(url: str) -> bool:
    """Tell whether `url` (the value of remote.NAME.annexUrl) speaks this protocol."""
    return url.startswith(("annex+http://", "annex+https://"))


def base_url(url: str) -> str:
    """Give the HTTP URL below which an `annex+http(s)://HOST[:PORT]/[PATH/]git-annex/` URL's
    repositories are, without a final slash. User and password in it are ignored.

    Raises UsageError when it is no such URL.
    """
    try:
        parts = urlsplit(url.removeprefix("annex+"))
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:
        host, port = None, 0
    if not is_annex_url(url) or not host:
        raise UsageError(f"not an annex+http URL: {url}")
    if ":" in host:
        host = f"[{host}]"
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._").rstrip("/")
    if path.endswith("/git-annex"):
        path = path.removesuffix("/git-annex")
    return f"{parts.scheme}://{host}:{port}{path}/git-annex"


def status_of(error: ShoalError) -> int:
    """Give the HTTP status that tells a client of `error`."""
    match error:
        case BadRequest():
            return error.status
        case KeyNotPresent():
            return 404
        case RemoteUnavailable():
            return 502
        case _:
            return 500
