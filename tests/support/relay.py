"""A TCP relay on this machine that a test can cut, as a network is cut."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass


class Relay:
    """Passes connections to `port` on. Its own port is `here`."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.here: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._watch: _Watch | None = None
        self.sent = {"to": 0, "from": 0}  # bytes, to the target and back
        self.is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections, and take no more."""
        with self._lock:
            self.is_cut = True
            connections, self._open = self._open, set()
        for connection in connections:
            _end(connection)

    def cut_after(self, count: int) -> None:
        """Cut when so many more bytes have passed towards the target."""
        self.when_passed(count, self.cut)

    def when_passed(self, count: int, event: Callable[[], None], side: str = "to") -> None:
        """Call `event` once when so many more bytes have passed `to` the target, or `from` it; or
        when it begins to `answer` after that, before anybody sees its answer."""
        self._watch = _Watch(side, count, event)

    def mend(self) -> None:
        self._watch = None
        self.is_cut = False

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = (
                    None if self.is_cut else socket.create_connection(("127.0.0.1", self._target))
                )
            except OSError:
                server = None
            if server is None:
                _end(client)
                continue
            with self._lock:
                self._open |= {client, server}
            for pair in ((client, server, "to"), (server, client, "from")):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, side: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self.sent[side] += len(data)
                watch = self._watch
                if watch is not None and watch.is_due(side, len(data)):
                    self._watch = None
                    watch.event()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
            return
        _end(source)
        _end(sink)


@dataclass
class _Watch:
    side: str
    left: int  # bytes
    event: Callable[[], None]

    def is_due(self, side: str, count: int) -> bool:
        """Take note of bytes that pass; tell whether this is the moment."""
        answers = self.side == "answer"
        if side == ("to" if answers else self.side):
            self.left -= count
            return self.left < 0 and not answers
        return answers and self.left <= 0


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
