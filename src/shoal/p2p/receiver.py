"""Received bytes in, messages and payload chunks out; nothing here waits.

A line is held back until its end has come, never more than MAX_LINE bytes of it. Payload is
handed on as it came and never gathered. Whoever reads the messages knows whether a Data is
followed by a payload: it says so with expect_payload() (a Data out of place has none).
"""

from __future__ import annotations

from shoal.errors import LocalProtocolError, RemoteProtocolError
from shoal.p2p.messages import MAX_LINE, Message
from shoal.p2p.parsing import Unknown, parse_line
from shoal.values.record import record


@record
class Chunk:
    """Some bytes of a payload; `last` with its last one."""

    data: memoryview
    last: bool


class Receiver:
    """Splits a stream of bytes. None from next_event() means: feed() more."""

    def __init__(self) -> None:
        self._line = bytearray()  # the start of a line whose end has not come
        self._fresh = b""  # what was fed last
        self._at = 0  # how much of it is used up
        self._payload_left = 0
        self._broken = False

    @property
    def payload_left(self) -> int:
        """Bytes of the current payload that have not been handed out yet."""
        return self._payload_left

    @property
    def mid_line(self) -> bool:
        """Part of a line has come, but not its end."""
        return bool(self._line) or self._at < len(self._fresh)

    def feed(self, data: bytes) -> None:
        """Take bytes as they came. Get all events before the next feed(): that costs no copy."""
        if self._at < len(self._fresh):
            data = self._fresh[self._at :] + data
        self._fresh = data
        self._at = 0

    def expect_payload(self, length: int) -> None:
        """After a Data: let `length` bytes come as Chunks before the next line."""
        if self._payload_left:
            raise LocalProtocolError("a payload within a payload")
        self._payload_left = length

    def take_payload(self, buffer: memoryview) -> int:
        """Move bytes of the payload that were fed into `buffer`, and give how many.

        After 0 the rest of the payload need not be fed: see payload_came().
        """
        count = min(len(buffer), self._payload_left, len(self._fresh) - self._at)
        buffer[:count] = memoryview(self._fresh)[self._at : self._at + count]
        self._at += count
        self._payload_left -= count
        return count

    def payload_came(self, length: int) -> None:
        """Count bytes of the payload that went past this."""
        if length > self._payload_left or self._at < len(self._fresh):
            raise LocalProtocolError("bytes went past that are no payload")
        self._payload_left -= length

    def next_event(self) -> Message | Unknown | Chunk | None:
        """Give the next message or chunk.

        Raises RemoteProtocolError, from then on, after a line of MAX_LINE bytes.
        """
        if self._payload_left:
            return self._next_chunk()
        line = self._next_line()
        return None if line is None else parse_line(line.removesuffix(b"\r"))

    def _next_chunk(self) -> Chunk | None:
        data = memoryview(self._fresh)[self._at : self._at + self._payload_left]
        if not data:
            return None
        self._at += len(data)
        self._payload_left -= len(data)
        return Chunk(data, last=not self._payload_left)

    def _next_line(self) -> bytes | None:
        if self._broken:
            raise RemoteProtocolError("the connection is broken by a line that is too long")
        stop = self._at + MAX_LINE - len(self._line)  # an LF must be before this
        end = self._fresh.find(b"\n", self._at, stop)
        if end >= 0:
            line = bytes(self._line) + self._fresh[self._at : end]
            self._line.clear()
            self._at = end + 1
            return line
        self._line += self._fresh[self._at : stop]
        self._at = min(stop, len(self._fresh))
        if len(self._line) >= MAX_LINE:
            self._broken = True
            raise RemoteProtocolError(f"no newline in the first {MAX_LINE} bytes of a line")
        return None
