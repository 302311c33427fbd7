"""HTTP answers, and the headers that all of them have."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache

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


def json_answer(body: bytes) -> web.Response:
    """Answer 200 with JSON that is rendered already."""
    return web.Response(body=body, headers=_JSON)


def present_at_once(present: bool) -> bytes:
    """Give the whole answer to checkpresent, headers and all."""
    return _whole_answer(JSON_TYPE, render_present(present))


def content_at_once(content: bytes, *, ranges: bool) -> bytes:
    """Give the whole answer with some content. `ranges`: parts of it may be asked for."""
    accepts = "Accept-Ranges: bytes\r\n" if ranges else ""
    return _whole_answer(BYTES_TYPE, content, f"{LENGTH_HEADER}: {len(content)}\r\n{accepts}")


def _whole_answer(content_type: str, body: bytes, more_headers: str = "") -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nServer: {SERVER}\r\n{more_headers}"
        f"Content-Length: {len(body)}\r\nDate: {_date(int(time.time()))}\r\n\r\n"
    )
    return head.encode("ascii") + body


@lru_cache(maxsize=1)
def _date(now: int) -> str:
    return formatdate(now, usegmt=True)


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
