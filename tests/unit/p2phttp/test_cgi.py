"""What git-http-backend is told of a request, and the head of its answer."""

from __future__ import annotations

import pytest

from shoal.p2phttp.cgi import MAX_HEAD, BadAnswer, Head, parse_head, request_environment
from shoal.p2phttp.gitroutes import GitRequest, Service
from shoal.p2phttp.routes import BadRequest

_ANSWER = (
    b"Status: 404 Not Found\r\nExpires: Fri\r\nContent-Length: 3\r\nX: \r\n"
    b"transfer-encoding: chunked\r\n\r\nrest\n\nmore"
)
_HEAD = Head(404, (("Expires", "Fri"), ("X", "")), b"rest\n\nmore")
_PUSH = GitRequest("", Service.RECEIVE_PACK)
_TYPE = {"Content-Type": "application/x-git-receive-pack-request"}


def test_a_head() -> None:
    assert parse_head(_ANSWER) == _HEAD
    assert parse_head(_ANSWER.replace(b"\r\n", b"\n", 6).replace(b"\r", b"")) == _HEAD
    assert parse_head(b"A: b\n\n") == Head(200, (("A", "b"),), b"")


def test_a_head_that_comes_byte_by_byte() -> None:
    end = _ANSWER.index(b"\r\n\r\n") + 4
    assert [parse_head(_ANSWER[:count]) for count in range(end)] == [None] * end
    assert parse_head(_ANSWER[:end]) == Head(404, _HEAD.headers, b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"no header\n\n",
        b"A b: c\n\n",
        b"A: \x00\n\n",
        b"Status: x\n\n",
        b"Status: 99\n\n",
        b"Status: 600\n\n",
        b"\xff: c\n\n",
        b"A: b\rc\n\n",
        b"x" * (MAX_HEAD + 1),
    ],
)
def test_what_is_no_head(answer: bytes) -> None:
    with pytest.raises(BadAnswer):
        parse_head(answer)


def test_variables_of_an_advertisement() -> None:
    asked = GitRequest("a/b", Service.UPLOAD_PACK, is_advertisement=True)
    headers = {"Git-Protocol": "version=2", "Content-Type": "x", "Proxy": "evil"}
    assert request_environment("GET", asked, headers, user=None, peer="127.0.0.1") == {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/info/refs",
        "QUERY_STRING": "service=git-upload-pack",
        "REMOTE_ADDR": "127.0.0.1",
        "GIT_PROTOCOL": "version=2",
        "HTTP_GIT_PROTOCOL": "version=2",
    }


def test_variables_of_a_push() -> None:
    headers = {**_TYPE, "Content-Length": "12", "Content-Encoding": "gzip"}
    found = request_environment("POST", _PUSH, headers, user="alice", peer="")
    assert found["PATH_INFO"] == "/git-receive-pack"
    assert found["QUERY_STRING"] == ""
    assert found["REMOTE_USER"] == "alice"
    assert found["CONTENT_TYPE"] == _TYPE["Content-Type"]
    assert "CONTENT_LENGTH" not in found  # git would look for the rest of a body for ever
    assert found["HTTP_CONTENT_ENCODING"] == "gzip"
    assert "GIT_PROTOCOL" not in found


def test_what_is_not_there_is_not_told() -> None:
    found = request_environment("POST", _PUSH, _TYPE, user=None, peer="")
    assert not {"HTTP_CONTENT_ENCODING", "REMOTE_USER"} & found.keys()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/x-git-upload-pack-request"},
        {**_TYPE, "Content-Encoding": "br"},
    ],
)
def test_bodies_that_git_cannot_read(headers: dict[str, str]) -> None:
    with pytest.raises(BadRequest) as caught:
        request_environment("POST", _PUSH, headers, user=None, peer="")
    assert caught.value.status == 415


def test_odd_protocol_versions_are_not_passed_on() -> None:
    headers = {**_TYPE, "Git-Protocol": "version=2\nX=y"}
    found = request_environment("POST", _PUSH, headers, user=None, peer="")
    assert "GIT_PROTOCOL" not in found
