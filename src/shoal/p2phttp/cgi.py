"""CGI (RFC 3875): what a program is told of a request, and the head of its answer.

Only what git-http-backend needs. The program gets no header of the client as it came, but what
was read of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shoal.p2phttp.gitroutes import GitRequest
from shoal.p2phttp.routes import BadRequest

MAX_HEAD = 64 * 1024  # bytes
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_GIT_PROTOCOL = re.compile(r"[0-9A-Za-z.=:_-]{1,200}")
_ENCODINGS = {"gzip", "x-gzip"}
_OF_THE_CONNECTION = {"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"}


class BadAnswer(ValueError):
    """A program's answer does not begin as CGI wants it."""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a program's answer. `rest` is what came of the body with it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    rest: bytes


def parse_head(data: bytes) -> Head | None:
    """Read the head of an answer; None: it is not whole yet. Raises BadAnswer.

    Headers that are about the connection are left out: that is the server's own.
    """
    end = re.search(rb"\r?\n\r?\n", data)
    if end is None:
        if len(data) > MAX_HEAD:
            raise BadAnswer("the head is too long")
        return None
    status = 200
    headers = []
    for line in data[: end.start()].split(b"\n"):
        name, colon, value = line.removesuffix(b"\r").partition(b":")
        text = value.strip(b" \t").decode("latin-1")
        if not colon or not _TOKEN.fullmatch(name) or any(c < " " and c != "\t" for c in text):
            raise BadAnswer(f"this is no header: {line[:100]!r}")
        if name.lower() == b"status":
            status = _status(text)
        elif name.decode().lower() not in _OF_THE_CONNECTION:
            headers.append((name.decode(), text))
    return Head(status, tuple(headers), data[end.end() :])


def _status(text: str) -> int:
    digits = text[:3]
    if not digits.isdecimal() or not digits.isascii() or not 200 <= int(digits) <= 599:
        raise BadAnswer(f"this is no status: {text[:100]!r}")
    return int(digits)


def request_environment(
    method: str, asked: GitRequest, headers: Mapping[str, str], *, user: str | None, peer: str
) -> dict[str, str]:
    """Give the variables that tell git-http-backend of a request.

    `user` is who logged in, `peer` the client's address. The length of the body is not told:
    a git that knows it waits for all of it without a pause, using up a processor, when the server
    is killed. It sees from the body itself when that broke off. Raises BadRequest when a header
    of the request cannot be passed on.
    """
    assert asked.service is not None
    found = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_METHOD": method,
        "PATH_INFO": asked.path_info,
        "QUERY_STRING": f"service={asked.service.text}" if asked.is_advertisement else "",
        "REMOTE_ADDR": peer,
    }
    if user is not None:
        found["REMOTE_USER"] = user.replace("\0", "")
    protocol = headers.get("Git-Protocol", "")
    if _GIT_PROTOCOL.fullmatch(protocol):
        found["GIT_PROTOCOL"] = found["HTTP_GIT_PROTOCOL"] = protocol
    if asked.is_advertisement:
        return found
    if headers.get("Content-Type", "").lower() != asked.content_type:
        raise BadRequest(415, f"the body must be {asked.content_type}")
    found["CONTENT_TYPE"] = asked.content_type
    encoding = headers.get("Content-Encoding", "identity").lower()
    if encoding in _ENCODINGS:
        found["HTTP_CONTENT_ENCODING"] = encoding
    elif encoding != "identity":
        raise BadRequest(415, "a body may be compressed with gzip only")
    return found
