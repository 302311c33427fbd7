"""Requests and answers recorded from the real client and the real server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shoal.p2phttp import codec
from shoal.p2phttp.routes import BadRequest, Endpoint, Request, parse_request, render_target

_FIXTURES = Path(__file__).parent.parent / "fixtures" / "p2p"
_SERVER_FILES = ("basic", "errors", "put", "lock")

# What is answered otherwise on purpose: (status, text) here.
_BETTER = {
    "unknown version: 400, not 404": (404, "bad version"),
    "endpoint that does not exist in this version": (404, "bad version"),
    "wrong method": (405, ""),
}
# What is not decided by path and parameters alone.
_DECIDED_LATER = {
    "unknown server uuid": 404,
    "remove while locked: 500": 500,
    "Accept that does not match": 406,
    "Authorization other than Basic": 400,
}


def _exchanges() -> list[Any]:
    return [
        pytest.param(exchange, id=f"{name}-{number}")
        for name in _SERVER_FILES
        for number, exchange in enumerate(
            json.loads((_FIXTURES / f"http-server-{name}.json").read_text())["exchanges"]
        )
    ]


def _split(message: str) -> tuple[str, dict[str, str], str]:
    head, _, body = message.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


def _dechunk(body: str) -> bytes:
    """Undo the chunked encoding; give all there is, also of a body that did not end."""
    rest, data = body.encode(), b""
    while found := re.match(rb"([0-9a-fA-F]+)\r\n", rest):
        start, size = found.end(), int(found[1], 16)
        data += rest[start : start + size]
        rest = rest[start + size + 2 :]
    return data


def _parse(request: str) -> Request:
    line, headers, _ = _split(request)
    method, target, _ = line.split(" ")
    path, _, query = target.partition("?")
    return parse_request(method, path, query, headers.get(codec.LENGTH_HEADER))


@pytest.mark.parametrize("exchange", _exchanges())
def test_requests_get_the_recorded_status(exchange: dict[str, Any]) -> None:
    answer = exchange["response"]["text"].removeprefix("HTTP/1.1 100 Continue\r\n\r\n")
    line, _, body = _split(answer)
    expected = int(line.split(" ")[1]), _dechunk(body).decode()
    label = exchange["label"]
    if label in _DECIDED_LATER:
        assert expected[0] == _DECIDED_LATER[label]
        _parse(exchange["request"]["text"])
    elif expected[0] == 200:
        _parse(exchange["request"]["text"])
    else:
        with pytest.raises(BadRequest) as caught:
            _parse(exchange["request"]["text"])
        assert (caught.value.status, str(caught.value)) == _BETTER.get(label, expected)


@pytest.mark.parametrize("exchange", _exchanges())
def test_answers_are_rendered_as_recorded(exchange: dict[str, Any]) -> None:
    answer = exchange["response"]["text"].removeprefix("HTTP/1.1 100 Continue\r\n\r\n")
    line, headers, body = _split(answer)
    if headers.get("Content-Type") != codec.JSON_TYPE:
        assert "200" not in line or headers["Content-Type"] == codec.BYTES_TYPE
        return
    request = _parse(exchange["request"]["text"])
    assert _read_and_render(request, _dechunk(body)) == _dechunk(body)


def _read_and_render(request: Request, body: bytes) -> bytes:
    version = request.protocol
    match request.endpoint:
        case Endpoint.CHECK_PRESENT:
            return codec.render_present(codec.parse_present(body))
        case Endpoint.LOCK_CONTENT | Endpoint.KEEP_LOCKED:
            return codec.render_locked(codec.parse_locked(body))
        case Endpoint.GET_TIMESTAMP:
            return codec.render_timestamp(codec.parse_timestamp(body))
        case Endpoint.PUT:
            return codec.render_stored(codec.parse_stored(body), version)
        case Endpoint.PUT_OFFSET:
            return codec.render_put_offset(codec.parse_put_offset(body), version)
        case Endpoint.REMOVE | Endpoint.REMOVE_BEFORE:
            return codec.render_removed(codec.parse_removed(body), version)
        case Endpoint.KEY:
            raise AssertionError("content is no JSON")


def _client_requests() -> list[str]:
    sessions = json.loads((_FIXTURES / "http-client.json").read_text())["sessions"]
    texts = [
        event["text"]
        for session in sessions
        for event in session["events"]
        if event["from"] == "C" and "text" in event
    ]
    return [text for text in texts if re.match(r"(GET|POST) /git-annex/", text)]


def test_requests_of_the_real_client_are_rendered_as_recorded() -> None:
    texts = _client_requests()
    assert len(texts) > 15
    for text in texts:
        target = text.split(" ")[1]
        assert "/git-annex" + render_target(_parse(text)) == target


def test_unlock_stream_of_the_real_client() -> None:
    bodies = [_dechunk(_split(text)[2]) for text in _client_requests() if "/keeplocked" in text]
    assert bodies
    for body in bodies:
        reader = codec.KeepLockedBody()
        assert [reader.feed(codec.KEEP), reader.feed(codec.UNLOCK)] == [False, True]
        assert codec.KeepLockedBody().feed(body) is body.endswith(codec.UNLOCK)
