"""HTTP answers, and the headers that all of them have."""

from __future__ import annotations

from aiohttp import web
from multidict import CIMultiDict, istr

import shoal
from shoal.p2phttp.codec import BYTES_TYPE, JSON_TYPE, TEXT_TYPE, WWW_AUTHENTICATE

SERVER = f"shoal/{shoal.__version__}"
_SERVER = istr("Server")
_TYPE = istr("Content-Type")
_JSON = CIMultiDict({_TYPE: JSON_TYPE, _SERVER: SERVER})
_PLAIN = CIMultiDict({_SERVER: SERVER})
_TEXT = CIMultiDict({_TYPE: TEXT_TYPE, _SERVER: SERVER})


def json_answer(body: bytes) -> web.Response:
    """Answer 200 with JSON that is rendered already."""
    return web.Response(body=body, headers=_JSON)


def plain_answer(status: int, text: str = "", *, allow: str = "") -> web.Response:
    """Answer with a status and one sentence, or with nothing but the status."""
    answer = web.Response(
        status=status,
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
