"""Exchanges recorded from the real server, replayed byte by byte against this one.

Compared are status, type and body of each answer. What is answered otherwise on purpose is in
the table below, with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import pytest

from shoal.values.uuid import UUID
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote, key_of
from tests.support.served import Answer, serving

_FIXTURES = Path(__file__).parent.parent / "fixtures" / "p2p"
_FILES = ("basic", "put", "errors", "lock")


class Difference(TypedDict):
    status: int
    body: str
    why: str


_ABSENT = 'remote "memory" does not have the content of SHA256-s3--' + "0" * 64
DIFFERENCES: dict[str, Difference] = {
    "absent key: 200 with length 0": {
        "status": 404,
        "body": _ABSENT,
        "why": "as the protocol's page says; 0 bytes would look like good content",
    },
    "unknown version: 400, not 404": {
        "status": 404,
        "body": "bad version",
        "why": "clients look for an older version after 404 only",
    },
    "endpoint that does not exist in this version": {
        "status": 404,
        "body": "bad version",
        "why": "clients look for an older version after 404 only",
    },
    "wrong method": {"status": 405, "body": "", "why": "the version is not what is bad"},
    "remove while locked: 500": {
        "status": 200,
        "body": '{"plusuuids":[],"removed":false}',
        "why": "an expected answer, not an internal error",
    },
}


class Exchange(TypedDict):
    label: str
    request: dict[str, str]
    response: dict[str, str]


class Recording(TypedDict):
    server_uuid: str
    exchanges: list[Exchange]


def _recording(name: str) -> Recording:
    recording: Recording = json.loads((_FIXTURES / f"http-server-{name}.json").read_text())
    return recording


def _parse(message: str) -> Answer:
    """Read a recorded answer; every one is chunked, or has no body."""
    head, _, body = message.removeprefix("HTTP/1.1 100 Continue\r\n\r\n").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split(" ")[1]), headers, b"".join(_chunks(body.encode())))


def _chunks(body: bytes) -> Iterator[bytes]:
    while found := re.match(rb"([0-9A-Fa-f]+)\r\n", body):
        size, start = int(found[1], 16), found.end()
        yield body[start : start + size]
        body = body[start + size + 2 :]


def _expected(exchange: Exchange) -> tuple[int, str | None, bytes]:
    recorded = _parse(exchange["response"]["text"])
    other = DIFFERENCES.get(exchange["label"])
    if other is not None:
        return other["status"], _type_of(other["status"]), other["body"].encode()
    return recorded.status, recorded.headers.get("content-type"), recorded.body


def _type_of(status: int) -> str | None:
    return "application/json;charset=utf-8" if status == 200 else None


def _known(text: bytes, numbers: dict[bytes, bytes]) -> bytes:
    """Put this server's lock ids in place of the recorded ones."""
    for theirs, ours in numbers.items():
        text = text.replace(theirs, ours)
    return text


_LOCK_ID = re.compile(rb'"lockid":"([^"]+)"')
_TIMESTAMP = re.compile(rb'"timestamp":\d+')


@pytest.mark.parametrize("name", _FILES)
@in_loop
async def test_replayed(name: str) -> None:
    recording = _recording(name)
    remote = MemoryRemote(uuid=UUID(recording["server_uuid"]))
    if name == "errors":
        remote.put(b"hello world\n")
    if name == "put":  # an upload was cut off before "server has 20 bytes"
        content = b"http fixture content 005 ..............."
        remote.partial[key_of(content, "SHA256")] = content[:20]
    lock_ids: dict[bytes, bytes] = {}
    async with serving(remote) as server:
        for exchange in recording["exchanges"]:
            request = _known(exchange["request"]["text"].encode(), lock_ids)
            answer = await server.raw(request, head=request.startswith(b"HEAD"))
            status, content_type, body = _expected(exchange)
            theirs, ours = _LOCK_ID.search(body), _LOCK_ID.search(answer.body)
            if theirs and ours:
                lock_ids[theirs[1]] = ours[1]
            assert (exchange["label"], answer.status) == (exchange["label"], status)
            got = _TIMESTAMP.sub(b"", answer.body)
            assert got == _known(_TIMESTAMP.sub(b"", body), lock_ids)
            if content_type is not None:
                assert answer.headers["content-type"] == content_type
            recorded = _parse(exchange["response"]["text"]).headers
            if status == 200:
                length = recorded.get("x-git-annex-data-length")
                assert answer.headers.get("x-git-annex-data-length") == length


def test_every_difference_is_met() -> None:
    labels = {exchange["label"] for name in _FILES for exchange in _recording(name)["exchanges"]}
    assert labels >= DIFFERENCES.keys()
