"""HTTP answers, and the headers that all of them have."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from aiohttp import web
from multidict import CIMultiDict, istr

import shoal
from shoal.p2phttp.codec import (
    BYTES_TYPE,
    JSON_TYPE,
    LENGTH_HEADER,
    TEXT_TYPE,
    WWW_AUTHENTICATE,
    render_present,
)

SERVER = f"shoal/{shoal.__version__}"
_SERVER = istr("Server")
_TYPE = istr("Content-Type")
_JSON = CIMultiDict({_TYPE: JSON_TYPE, _SERVER: SERVER})
_PLAIN = CIMultiDict({_SERVER: SERVER})
_TEXT = CIMultiDict({_TYPE: TEXT_TYPE, _SERVER: SERVER})
_PRESENT = {present: render_present(present) for present in (True, False)}


def json_answer(body: bytes) -> web.Response:
    """Answer 200 with JSON that is rendered already."""
    return web.Response(body=body, headers=_JSON)


def present_at_once(present: bool) -> bytes:
    """Give the whole answer to checkpresent, headers and all."""
    body = _PRESENT[present]
    return _head(JSON_TYPE, len(body), "", int(time.time())) + body


def stored_at_once(body: bytes) -> bytes:
    """Give the whole answer to a put, headers and all."""
    return _head(JSON_TYPE, len(body), "", int(time.time())) + body


def content_at_once(content: bytes, *, ranges: bool) -> bytes:
    """Give the whole answer with some content. `ranges`: parts of it may be asked for."""
    accepts = "Accept-Ranges: bytes\r\n" if ranges else ""
    length = len(content)
    more = f"{LENGTH_HEADER}: {length}\r\n{accepts}"
    return _head(BYTES_TYPE, length, more, int(time.time())) + content


def error_at_once(status: int, text: str, *, reason: str | None = None) -> bytes:
    """Give the whole answer that plain_answer() gives to a request that went wrong."""
    body = text.encode("utf-8", "replace")
    first = f"{status} {reason or HTTPStatus(status).phrase}"
    return _head(TEXT_TYPE, len(body), "", int(time.time()), first) + body


@lru_cache(maxsize=64)
def _head(
    content_type: str, length: int, more_headers: str, now: int, status: str = "200 OK"
) -> bytes:
    """Give all before the body of `length` bytes; `now` is in seconds of Unix time."""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nServer: {SERVER}\r\n{more_headers}"
        f"Content-Length: {length}\r\nDate: {formatdate(now, usegmt=True)}\r\n\r\n"
    ).encode("ascii")


def plain_answer(
    status: int, text: str = "", *, allow: str = "", reason: str | None = None
) -> web.Response:
    """Answer with a status and one sentence, or with nothing but the status. `reason` takes
    the place of the status's usual one."""
    answer = web.Response(
        status=status,
        reason=reason,
        body=text.encode("utf-8", "replace") if text else b"",
        headers=_TEXT if text else _PLAIN,
    )
    if allow:
        answer.headers["Allow"] = allow
    if status == 401:
        answer.headers["WWW-Authenticate"] = WWW_AUTHENTICATE
    return answer


def content_headers(extra: dict[str, str]) -> CIMultiDict[str]:
    """Give the headers of an answer with content."""
    headers = CIMultiDict({_TYPE: BYTES_TYPE, _SERVER: SERVER})
    headers.update(extra)
    return headers
