"""The parts of an HTTP/1.1 answer: its head, and how its body is framed. Nothing is read here.

Whoever reads puts bytes into memory of its own, and the framing says which of them are the
body's: it moves them to the front, so that what frames them is not copied anywhere.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from shoal.values.record import record

MOST_HEAD = 64 << 10  # bytes
_NO_BODY = frozenset({204, 304})
_STATUS_LINE = re.compile(r"HTTP/(1\.[01]) ([1-5][0-9]{2})(?: (.*))?")
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,12}(?=[ \t;]|$)")
_LONGEST_LINE = 1024  # bytes that say how long a chunk is, or are a trailer
_NO_LINE = b"\r\n"


class BadAnswer(ValueError):
    """This is no answer of HTTP/1.1, or none that is understood."""


@record
class Head:
    """What comes before the body. Names of headers are in lower case."""

    status: int
    reason: str
    headers: dict[str, str]
    keeps: bool  # the connection can be used again


def parse_head(lines: bytes) -> Head:
    """Read a head, without the empty line that ends it. Raises BadAnswer."""
    first, *rest = lines.decode("latin-1").split("\r\n")
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise BadAnswer("the answer is no HTTP")
    headers: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon or not name or name.strip() != name:
            raise BadAnswer("the answer has a header that is none")
        name = name.lower()
        if name in headers and name in {"content-length", "transfer-encoding"}:
            raise BadAnswer(f"the answer has {name} twice")
        headers[name] = value.strip()
    connection = headers.get("connection", "").lower()
    keeps = match[1] == "1.1" and "close" not in connection
    return Head(int(match[2]), match[3] or "", headers, keeps)


class Framing(ABC):
    """Where a body ends. `ended` when all of it was taken."""

    ended = False

    @abstractmethod
    def room(self, size: int) -> int:
        """Give how many bytes may be read into memory of `size` bytes."""

    @abstractmethod
    def take(self, buffer: memoryview, came: int) -> int:
        """Move what the first `came` bytes have of the body to the front of `buffer`; give how
        many bytes that is. Raises BadAnswer."""

    def close(self) -> None:
        """The connection has ended. Raises BadAnswer when the body has not."""
        if not self.ended:
            raise BadAnswer("the answer broke off")


class Sized(Framing):
    """A body of a known length."""

    def __init__(self, left: int) -> None:
        self._left = left
        self.ended = not left

    def room(self, size: int) -> int:
        return min(size, self._left)

    def take(self, buffer: memoryview, came: int) -> int:
        self._left -= came
        self.ended = not self._left
        return came


class UntilClose(Framing):
    """A body that ends with the connection."""

    def room(self, size: int) -> int:
        return size

    def take(self, buffer: memoryview, came: int) -> int:
        return came

    def close(self) -> None:
        self.ended = True


class Chunked(Framing):
    """A body in chunks. Nothing may follow it, as nothing else was asked for."""

    def __init__(self) -> None:
        self._left = 0  # bytes of the chunk
        self._line = b""  # of which some is still to come
        self._after_chunk = False  # an empty line is due
        self._last = False  # the last chunk was announced: trailers, then an empty line

    def room(self, size: int) -> int:
        return size

    def take(self, buffer: memoryview, came: int) -> int:
        at = kept = 0
        while at < came:
            if self.ended:
                raise BadAnswer("more than the answer")
            if self._left:
                count = min(self._left, came - at)
                if at != kept:
                    buffer[kept : kept + count] = buffer[at : at + count]
                at, kept = at + count, kept + count
                self._left -= count
                self._after_chunk = not self._left
            else:
                at += self._take_line(bytes(buffer[at : min(came, at + _LONGEST_LINE)]))
        return kept

    def _take_line(self, data: bytes) -> int:
        """Read a line, or what is there of it; give how many bytes of `data` that was."""
        line = self._line + data
        end = line.find(b"\r\n")
        if end < 0:
            if len(line) >= _LONGEST_LINE:
                raise BadAnswer("a chunk without a size")
            self._line = line
            return len(data)
        used = end + len(_NO_LINE) - len(self._line)
        self._line = b""
        self._understand(line[:end])
        return used

    def _understand(self, line: bytes) -> None:
        if self._after_chunk:
            if line:
                raise BadAnswer("a chunk that does not end")
            self._after_chunk = False
        elif self._last:
            self.ended = not line
        elif (found := _CHUNK_SIZE.match(line)) is None:
            raise BadAnswer("a chunk without a size")
        else:
            self._left = int(found[0], 16)
            self._last = not self._left


def framing_of(head: Head) -> Framing:
    """Tell how the body after `head` ends. Raises BadAnswer."""
    if head.status in _NO_BODY:
        return Sized(0)
    length, encoding = head.headers.get("content-length"), head.headers.get("transfer-encoding")
    if encoding is not None:
        if encoding.lower() != "chunked" or length is not None:
            raise BadAnswer("an encoding that is not known")
        return Chunked()
    if length is None:
        return UntilClose()
    if not (length.isascii() and length.isdigit()):
        raise BadAnswer("the length is not right")
    return Sized(int(length))
