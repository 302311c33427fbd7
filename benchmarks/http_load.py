"""A small HTTP/1.1 client for measuring: it costs little, so that the server is what is seen."""

from __future__ import annotations

import re
import select
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

_END_OF_CHUNKS = b"0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_GOOD = (b"HTTP/1.1 200 ", b"HTTP/1.1 206 ")
_ANY = (b"HTTP/1.1 ",)
_LONGEST_WAIT = 120  # seconds for any answer
_PIECE = 1 << 16  # bytes; for more than twice that, each read would map fresh memory


def request_bytes(method: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
    """Give a whole request; `headers` are lines with their ends."""
    length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n{length}{headers}\r\n"
    return head.encode() + body


class Connection:
    """One kept connection to a server on this machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_LONGEST_WAIT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(1 << 20)

    def close(self) -> None:
        self._socket.close()

    def request(self, method: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
        """Send a request, read the whole answer, give its body's last bytes.

        Raises AssertionError when the status is not 200 or 206.
        """
        self._socket.sendall(request_bytes(method, path, headers, body))
        return self.answer()

    def send_file(self, path: str, file: str, size: int) -> bytes:
        """POST a file as the body of a put, with sendfile()."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nContent-Length: {size}\r\n"
            f"Content-Type: application/octet-stream\r\nX-git-annex-data-length: {size}\r\n\r\n"
        )
        self._socket.sendall(head.encode())
        with open(file, "rb") as stream:
            self._socket.sendfile(stream)
        return self.answer()

    def answer(self) -> bytes:
        """Read one answer, whatever its size, and give the last bytes of its body."""
        head, rest = self._head()
        lines = head.split(b"\r\n")
        status = lines[0].split(b" ")[1]
        fields = {n.lower(): v.strip() for n, _, v in (x.partition(b":") for x in lines[1:])}
        if b"content-length" in fields:
            last = self._read_sized(rest, int(fields[b"content-length"]))
        else:
            last = self._read_chunked(rest)
        if status not in {b"200", b"206"}:
            raise AssertionError(f"{lines[0]!r} {last[-300:]!r}")
        return last

    def first_byte(self, path: str) -> float:
        """Give the seconds from sending a GET to the first byte of its body."""
        started = time.perf_counter()
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n".encode())
        _, rest = self._head()
        if not rest:
            self._socket.recv_into(self._buffer, 1)
        return time.perf_counter() - started

    def _head(self) -> tuple[bytes, bytes]:
        got = b""
        while b"\r\n\r\n" not in got:
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionError(f"closed in the middle of an answer: {got!r}")
            got += piece
        head, _, rest = got.partition(b"\r\n\r\n")
        return head, rest

    def _read_sized(self, rest: bytes, size: int) -> bytes:
        left, last = size - len(rest), rest
        while left > 0:
            got = self._socket.recv_into(self._buffer, min(left, len(self._buffer)))
            if not got:
                raise ConnectionError(f"closed with {left} bytes to come")
            left -= got
            last = bytes(memoryview(self._buffer)[max(0, got - 512) : got])
        return last

    def _read_chunked(self, rest: bytes) -> bytes:
        last = rest
        while not last.endswith(_END_OF_CHUNKS):
            got = self._socket.recv_into(self._buffer)
            if not got:
                raise ConnectionError("closed in the middle of a chunked body")
            last = last[-8:] + bytes(memoryview(self._buffer)[max(0, got - 512) : got])
        return last


@dataclass(frozen=True, slots=True)
class Rate:
    """How many requests were answered, in how many seconds."""

    requests: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class _Kept:
    """One of many kept connections, on which one request after the other is made. The server
    has accepted it, and answered a request to which the answer is 404."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        longest_wait = struct.pack("ll", _LONGEST_WAIT, 0)  # Python's own would ask poll() first
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, longest_wait)
        self._got = b""
        self._size = 0  # bytes of the whole answer; 0: not known yet, -1: its end will tell
        self.send(request_bytes("GET", "/"))
        while not self.receive(_ANY):
            pass

    def send(self, request: bytes) -> None:
        self._got, self._size = b"", 0
        self.socket.sendall(request)

    def receive(self, good: tuple[bytes, ...] = _GOOD) -> bool:
        """Take what came; tell whether that was the end of an answer.

        Raises AssertionError when it does not begin with any of `good`.
        """
        piece = self.socket.recv(_PIECE)
        if not piece:
            raise ConnectionError(f"closed in the middle of an answer: {self._got[:300]!r}")
        self._got = self._got + piece if self._got else piece
        if not self._size and (end := self._got.find(b"\r\n\r\n")) > 0:
            if not self._got.startswith(good):
                raise AssertionError(f"{self._got[:300]!r}")
            length = _LENGTH.search(self._got, 0, end + 2)
            self._size = -1 if length is None else end + 4 + int(length[1])
        if self._size < 0:
            return self._got.endswith(_END_OF_CHUNKS)
        return 0 < self._size <= len(self._got)


def run_requests(port: int, requests: Sequence[bytes], connections: int) -> Rate:
    """Make all `requests`, shared out over `connections` at once, each on a kept connection.

    The clock starts when the server has answered on all connections. One thread does it all:
    threads would compete for the processor with the server, and with each other for the
    interpreter. With a single connection reading is waiting: to ask first which one can be read
    would only take time.
    """
    kept = {one.socket.fileno(): one for one in (_Kept(port) for _ in range(connections))}
    only = [*kept.values()] if connections == 1 else []
    todo = iter(requests)
    left = len(requests)
    with select.epoll() as poll:
        started = time.perf_counter()
        for number, one in kept.items():
            if (request := next(todo, None)) is not None:
                poll.register(number, select.EPOLLIN)
                one.send(request)
        while left:
            ready = only or [kept[number] for number, _ in poll.poll(_LONGEST_WAIT)]
            if not ready:
                raise TimeoutError("the server does not answer")
            for one in ready:
                if one.receive():
                    left -= 1
                    if (request := next(todo, None)) is not None:
                        one.send(request)
        seconds = time.perf_counter() - started
    for one in kept.values():
        one.socket.close()
    return Rate(len(requests), seconds)
