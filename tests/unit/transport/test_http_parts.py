"""Heads and framings of HTTP answers, whatever the pieces that they come in."""

from __future__ import annotations

import pytest

from shoal.transport.http_parts import (
    BadAnswer,
    Chunked,
    Framing,
    Head,
    Sized,
    UntilClose,
    framing_of,
    parse_head,
)

OK = b"HTTP/1.1 200 OK"


def test_a_head() -> None:
    head = parse_head(OK + b"\r\nX-Length:  3 \r\nEmpty:\r\nX-y: \xe9")
    assert head == Head(200, "OK", {"x-length": "3", "empty": "", "x-y": "é"}, keeps=True)
    assert parse_head(b"HTTP/1.1 404").reason == ""


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"nonsense",
        b"HTTP/2 200 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 999 OK",
        OK + b"\r\nno colon",
        OK + b"\r\n folded: x",
        OK + b"\r\nspace : x",
        OK + b"\r\n: x",
        OK + b"\r\nContent-Length: 1\r\ncontent-length: 2",
    ],
)
def test_what_is_no_head(lines: bytes) -> None:
    with pytest.raises(BadAnswer):
        parse_head(lines)


@pytest.mark.parametrize(
    ("lines", "keeps"),
    [
        (OK, True),
        (OK + b"\r\nConnection: keep-alive", True),
        (OK + b"\r\nConnection: Close", False),
        (b"HTTP/1.0 200 OK", False),
    ],
)
def test_whether_the_connection_is_kept(lines: bytes, keeps: bool) -> None:
    assert parse_head(lines).keeps is keeps


def framing(*headers: bytes, status: bytes = b"200") -> Framing:
    return framing_of(parse_head(b"\r\n".join((b"HTTP/1.1 " + status, *headers))))


def test_which_framing_a_body_has() -> None:
    assert isinstance(framing(), UntilClose)
    assert isinstance(framing(b"Content-Length: 3"), Sized)
    assert isinstance(framing(b"Transfer-Encoding: Chunked"), Chunked)
    assert framing(b"Content-Length: 0").ended
    assert framing(status=b"204").ended
    assert framing(b"Content-Length: 7", status=b"304").ended
    assert not framing(b"Content-Length: 1").ended


@pytest.mark.parametrize(
    "headers",
    [
        [b"Content-Length: -3"],
        [b"Content-Length: 3, 3"],
        [b"Content-Length: \xb2"],
        [b"Transfer-Encoding: gzip"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 3"],
    ],
)
def test_framings_that_are_not_understood(headers: list[bytes]) -> None:
    with pytest.raises(BadAnswer):
        framing(*headers)


def unframed(framing: Framing, data: bytes, size: int) -> bytes:
    """Read `data` through memory of `size` bytes, then the end of the connection."""
    found = b""
    buffer = memoryview(bytearray(size))
    while data and not framing.ended:
        room = framing.room(size)
        piece, data = data[:room], data[room:]
        buffer[: len(piece)] = piece
        found += buffer[: framing.take(buffer, len(piece))]
    assert not data
    framing.close()
    return found


CHUNKS = b"3\r\nabc\r\n00a;x=y\r\n0123456789\r\n1 \r\n\n\r\n0\r\n\r\n"


@pytest.mark.parametrize("size", range(1, len(CHUNKS) + 2))
def test_chunks_in_pieces_of_any_size(size: int) -> None:
    assert unframed(Chunked(), CHUNKS, size) == b"abc0123456789\n"


def test_trailers_are_dropped() -> None:
    assert unframed(Chunked(), b"1\r\na\r\n0\r\nX: y\r\nZ: w\r\n\r\n", 100) == b"a"


@pytest.mark.parametrize("size", [1, 7, 5000])
@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"-3\r\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nab\r\n0\r\n\r\n",
        b"3" * 2000,
        b"3\r\nabc\r\n0\r\n\r\nmore",
        b"3\r\nabc\r\n0\r\n",
        b"3\r\nab",
        b"",
    ],
)
def test_chunks_that_are_wrong_or_break_off(data: bytes, size: int) -> None:
    chunked = Chunked()
    with pytest.raises((BadAnswer, AssertionError)):
        unframed(chunked, data, size)
    assert not chunked.ended or data.endswith(b"more")


def test_a_sized_body_takes_no_more_than_its_size() -> None:
    sized = Sized(5)
    assert unframed(sized, b"abcde", 3) == b"abcde"
    assert sized.room(3) == 0
    with pytest.raises(BadAnswer):
        unframed(Sized(5), b"abcd", 3)


def test_a_body_until_the_end_of_the_connection() -> None:
    until = UntilClose()
    assert unframed(until, b"abcde", 3) == b"abcde"
    assert until.ended
