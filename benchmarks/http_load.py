"""A small HTTP/1.1 client for measuring: it costs little, so that the server is what is seen."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_END_OF_CHUNKS = b"0\r\n\r\n"


class Connection:
    """One kept connection to a server on this machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(1 << 20)

    def close(self) -> None:
        self._socket.close()

    def request(self, method: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
        """Send a request, read the whole answer, give its body's last bytes.

        Raises AssertionError when the status is not 200 or 206.
        """
        length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n{length}{headers}\r\n"
        self._socket.sendall(head.encode() + body)
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


def run_requests(
    port: int, requests: Sequence[Callable[[Connection], object]], connections: int
) -> Rate:
    """Make all `requests`, shared out over `connections` at once, each on a kept connection."""
    failures: list[BaseException] = []
    todo = iter(requests)
    lock = threading.Lock()

    def work() -> None:
        try:
            connection = Connection(port)
            while True:
                with lock:
                    request = next(todo, None)
                if request is None:
                    break
                request(connection)
            connection.close()
        except (OSError, AssertionError) as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(connections)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if failures:
        raise failures[0]
    return Rate(len(requests), seconds)
