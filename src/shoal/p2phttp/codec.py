"""Words, headers and bodies of the HTTP form of the P2P protocol: bytes and text to data and back.

Source: git-annex's design page "p2p protocol over http", and golden exchanges with
git-annex 10.20261026 (tests/fixtures/p2p/http-*.json). Nothing here reads, writes or waits.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from shoal.errors import RemoteProtocolError
from shoal.values.uuid import UUID, parse_uuid, uuid_bytes

JSON_TYPE = "application/json;charset=utf-8"
BYTES_TYPE = "application/octet-stream"
TEXT_TYPE = "text/plain; charset=utf-8"
LENGTH_HEADER = "X-git-annex-data-length"
WWW_AUTHENTICATE = 'Basic realm="git-annex", charset="UTF-8"'
MAX_BODY = 64 * 1024
"""Longer JSON answers are refused: the longest is a list of a cluster's nodes."""

_MAX_LOCK_LINE = 4096  # bytes of a keeplocked request without a newline
_NUMBER = re.compile(r"\s*(\d{1,20})\s*", re.ASCII)


# Words: keys, UUIDs and file names in paths, parameters and JSON


def wrap_word(word: bytes) -> str:
    """Give `word` as text: itself, or `[base64url]` when it is not UTF-8 or looks wrapped."""
    try:
        text = word.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if (not text and word) or (text.startswith("[") and text.endswith("]")):
        return f"[{base64.urlsafe_b64encode(word).decode('ascii')}]"
    return text


def unwrap_word(word: bytes) -> bytes:
    """Undo wrap_word(). Raises ValueError when the brackets hold no base64."""
    if not (word.startswith(b"[") and word.endswith(b"]") and len(word) > 1):
        return word
    try:
        standard = word[1:-1].translate(bytes.maketrans(b"-_", b"+/"))
        return base64.b64decode(standard, validate=True)
    except binascii.Error:
        raise ValueError("unable to base64 decode [] wrapped value") from None


def quote_word(word: bytes) -> str:
    """Give `word` as it stands in a path or a parameter: wrapped if need be, percent-encoded."""
    return quote(wrap_word(word), safe="")


def parse_count(text: str) -> int:
    """Read a number of bytes or seconds. Raises ValueError when it is no plain decimal."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError(f"not a number: {text[:40]!r}")
    return int(found[1])


# Headers


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password of HTTP basic authentication."""

    user: str
    password: str

    def header(self) -> str:
        """Give the Authorization header."""
        pair = f"{self.user}:{self.password}".encode("utf-8", "surrogateescape")
        return f"Basic {base64.b64encode(pair).decode('ascii')}"

    def __repr__(self) -> str:
        return f"Credentials({self.user!r}, …)"  # passwords stay out of logs


def parse_authorization(header: str) -> Credentials:
    """Read an Authorization header; the password may hold colons. Raises ValueError."""
    scheme, _, pair = header.strip().partition(" ")
    try:
        text = base64.b64decode(pair.strip(), validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        text = ""
    if scheme.lower() != "basic" or ":" not in text:
        raise ValueError("invalid basic auth header")
    user, _, password = text.partition(":")
    return Credentials(user, password)


@lru_cache(maxsize=64)  # clients say the same again and again
def accepts(accept: str | None, content_type: str) -> bool:
    """Tell whether an Accept header (None: there is none) lets us answer with `content_type`."""
    if accept is None:
        return True
    kind, name = content_type.partition(";")[0].strip().split("/")
    for choice in accept.split(","):
        media, *parameters = (part.strip().lower() for part in choice.split(";"))
        if any(re.fullmatch(r"q\s*=\s*0(\.0*)?", parameter) for parameter in parameters):
            continue
        if media in {"*/*", f"{kind}/*", f"{kind}/{name}"}:
            return True
    return False


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes from `start` to before `stop`; never empty."""

    start: int
    stop: int

    def header(self, size: int) -> str:
        """Give the Content-Range header of a 206 answer about content of `size` bytes."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


class RangeNotSatisfiable(ValueError):
    """A Range that lies outside of the content: the answer is 416."""


_RANGE = re.compile(r"bytes\s*=\s*(\d{0,20})\s*-\s*(\d{0,20})\s*", re.ASCII | re.IGNORECASE)


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """Read a Range header about content of `size` bytes (RFC 9110, section 14).

    None means that all of the content is to be sent: no header, several ranges, another unit,
    or nonsense. Raises RangeNotSatisfiable.
    """
    found = _RANGE.fullmatch(header.strip()) if header is not None else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, stop = max(0, size - int(found[2])), size
    else:
        start, stop = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    if start >= stop:
        raise RangeNotSatisfiable(f"bytes */{size}")
    return ByteRange(start, stop)


# Answers. A real client cannot read an answer of version 2 or later without `plusuuids`.


@dataclass(frozen=True, slots=True)
class Stored:
    """Answer to put: whether it was stored, and where besides (version 2 and later)."""

    stored: bool
    stored_in: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Removed:
    """Answer to remove and remove-before, and from where besides (version 2 and later)."""

    removed: bool
    removed_from: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class PutOffset:
    """Answer to putoffset: send from here on."""

    offset: int  # bytes


@dataclass(frozen=True, slots=True)
class AlreadyHave:
    """Answer to putoffset: nothing needs to be sent."""

    stored_in: tuple[UUID, ...] = ()


def render_present(present: bool) -> bytes:
    """Answer checkpresent."""
    return _render({"present": present})


def render_locked(lock_id: str | None) -> bytes:
    """Answer lockcontent (None: not locked) and, always with None, keeplocked."""
    if lock_id is None:
        return _render({"locked": False})
    wrapped = wrap_word(lock_id.encode("utf-8", "surrogateescape"))
    return _render({"locked": True, "lockid": wrapped})


def render_timestamp(seconds: int) -> bytes:
    """Answer gettimestamp."""
    return _render({"timestamp": seconds})


def render_stored(answer: Stored, version: int) -> bytes:
    """Answer put."""
    return _render({"stored": answer.stored}, answer.stored_in, version)


def render_removed(answer: Removed, version: int) -> bytes:
    """Answer remove and remove-before."""
    return _render({"removed": answer.removed}, answer.removed_from, version)


def render_put_offset(answer: PutOffset | AlreadyHave, version: int) -> bytes:
    """Answer putoffset."""
    if isinstance(answer, PutOffset):
        return _render({"offset": answer.offset})
    return _render({"alreadyhave": True}, answer.stored_in, version)


def _render(fields: dict[str, object], uuids: Iterable[UUID] = (), version: int = 0) -> bytes:
    if version >= 2:
        fields = {**fields, "plusuuids": [wrap_word(uuid_bytes(uuid)) for uuid in uuids]}
    return json.dumps(fields, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


# Reading answers: RemoteProtocolError unless they say plainly what they have to say.


def parse_present(body: bytes) -> bool:
    """Read the answer to checkpresent."""
    return _flag(_object(body), "present")


def parse_locked(body: bytes) -> str | None:
    """Read the answer to lockcontent: the lock's id, or None when it is not locked."""
    fields = _object(body)
    if not _flag(fields, "locked"):
        return None
    lock_id = fields.get("lockid")
    if not isinstance(lock_id, str) or not lock_id:
        raise RemoteProtocolError("the server says that the content is locked, but gives no id")
    return _unwrap_text(lock_id).decode("utf-8", "surrogateescape")


def parse_timestamp(body: bytes) -> int:
    """Read the answer to gettimestamp."""
    return _count(_object(body), "timestamp")


def parse_stored(body: bytes) -> Stored:
    """Read the answer to put."""
    fields = _object(body)
    return Stored(_flag(fields, "stored"), _uuids(fields))


def parse_removed(body: bytes) -> Removed:
    """Read the answer to remove and remove-before."""
    fields = _object(body)
    return Removed(_flag(fields, "removed"), _uuids(fields))


def parse_put_offset(body: bytes) -> PutOffset | AlreadyHave:
    """Read the answer to putoffset."""
    fields = _object(body)
    if fields.get("alreadyhave") is True:
        return AlreadyHave(_uuids(fields))
    return PutOffset(_count(fields, "offset"))


def _object(body: bytes) -> dict[str, object]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise RemoteProtocolError(f"the server's answer is no JSON object: {body[:80]!r}")
    return fields


def _flag(fields: dict[str, object], name: str) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool):
        raise RemoteProtocolError(f'the server\'s answer does not say whether "{name}"')
    return value


def _count(fields: dict[str, object], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RemoteProtocolError(f'the server\'s answer has no usable "{name}"')
    return value


def _uuids(fields: dict[str, object]) -> tuple[UUID, ...]:
    listed = fields.get("plusuuids", [])
    if not isinstance(listed, list) or not all(isinstance(uuid, str) for uuid in listed):
        raise RemoteProtocolError("the server's list of UUIDs is not one")
    try:
        return tuple(parse_uuid(_unwrap_text(uuid)) for uuid in listed)
    except ValueError as error:
        raise RemoteProtocolError(f"the server lists an unusable UUID ({error})") from error


def _unwrap_text(text: str) -> bytes:
    try:
        return unwrap_word(text.encode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise RemoteProtocolError(f"the server's answer cannot be read ({error})") from error


# The body of keeplocked: JSON objects, a newline after each, over as long as the lock is needed

KEEP = b'{"unlock":false}\n'
UNLOCK = b'{"unlock":true}\n'


class KeepLockedBody:
    """Reads the request body of keeplocked as it arrives.

    The lock is to be released when feed() says so, and when the body ends in any way.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.released = False

    def feed(self, data: bytes) -> bool:
        """Take what arrived. True: release the lock now (asked for, or not understood)."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.released = (
            self.released
            or any(not _keeps(line) for line in lines)
            or len(self._rest) > _MAX_LOCK_LINE
        )
        return self.released


def _keeps(line: bytes) -> bool:
    if not line.strip():
        return True
    try:
        wish = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(wish, dict) and wish.get("unlock") is False
