"""Requests to a gateway written by hand, so that tests can break them anywhere."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
from dataclasses import dataclass

CLIENT = "11111111-2222-4333-8444-555555555555"


def key_of(content: bytes) -> str:
    """Give the SHA256 key of `content`."""
    return f"SHA256-s{len(content)}--{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class Answer:
    """A whole answer of the server."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class RawClient:
    """Speaks to one served UUID."""

    port: int
    uuid: str

    def url(self, endpoint: str, **parameters: object) -> str:
        words = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"/git-annex/{self.uuid}/v4/{endpoint}?clientuuid={CLIENT}&{words}"

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """Make one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            got = connection.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            connection.close()

    def put(self, key: str, content: bytes, **parameters: object) -> Answer:
        headers = {"X-git-annex-data-length": str(len(content))}
        return self.ask("POST", self.url("put", key=key, **parameters), content, headers)

    def get(self, key: str, **parameters: object) -> Answer:
        return self.ask("GET", self.url(f"key/{key}", **parameters))

    def present(self, key: str) -> bool:
        answer = self.ask("POST", self.url("checkpresent", key=key))
        assert answer.status == 200, answer
        return answer.json() == {"present": True}

    def put_request(self, key: str, content: bytes) -> bytes:
        """Give the bytes of a whole put request."""
        head = (
            f"POST {self.url('put', key=key)} HTTP/1.1\r\nHost: x\r\n"
            f"X-git-annex-data-length: {len(content)}\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    def start(self, data: bytes) -> socket.socket:
        """Send bytes on a new connection and leave it open."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall(data)
        return connection


def receives(connection: socket.socket, words: bytes) -> bool:
    """Receive until `words` have come; False when the connection ends before that."""
    got = b""
    while words not in got:
        more = connection.recv(4096)
        if not more:
            return False
        got += more
    return True
