"""Words, headers and bodies of the HTTP form."""

from __future__ import annotations

import pytest

from shoal.errors import RemoteProtocolError
from shoal.p2phttp import codec
from shoal.values.uuid import UUID

U1, U2 = UUID("aaaaaaaa-0000-4000-8000-000000000001"), UUID("aaaaaaaa-0000-4000-8000-000000000002")


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (b"", ""),
        (b"plain", "plain"),
        ("é".encode(), "é"),
        (b"[x]", "[W3hd]"),
        (b"[]", "[W10=]"),
        (b"[x", "[x"),
        (b"\xff\xfe", "[__4=]"),
    ],
)
def test_words_are_wrapped_only_when_they_must_be(word: bytes, text: str) -> None:
    assert codec.wrap_word(word) == text
    assert codec.unwrap_word(text.encode()) == word


def test_both_base64_alphabets_are_read_and_nothing_else() -> None:
    assert codec.unwrap_word(b"[//4=]") == b"\xff\xfe"
    for bad in (b"[!!!]", b"[__4]", b"[_ _4=]"):
        with pytest.raises(ValueError, match="unable to base64 decode"):
            codec.unwrap_word(bad)


def test_words_are_quoted_with_no_character_left_to_chance() -> None:
    assert codec.quote_word(b"a/b c+d&e=f%g") == "a%2Fb%20c%2Bd%26e%3Df%25g"


@pytest.mark.parametrize("text", ["", "x", "-1", "+1", "1_0", "1.5", "0x10", "٣", "9" * 30])
def test_counts_are_plain_decimals(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        codec.parse_count(text)


def test_count_may_stand_between_blanks() -> None:
    assert codec.parse_count(" 042 ") == 42


def test_credentials_go_round_and_hide_the_password() -> None:
    alice = codec.Credentials("alice", "se:same é")
    assert codec.parse_authorization(alice.header()) == alice
    assert "same" not in repr(alice)


@pytest.mark.parametrize("header", ["", "Basic", "Bearer x", "Basic !!!", "Basic YWxpY2U="])
def test_authorization_other_than_basic_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="invalid basic auth header"):
        codec.parse_authorization(header)


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        (None, True),
        ("application/octet-stream", True),
        ("text/html, application/*;q=0.5", True),
        ("*/*", True),
        ("text/html", False),
        ("application/octet-stream;q=0", False),
        ("", False),
    ],
)
def test_accept(accept: str | None, answer: bool) -> None:
    assert codec.accepts(accept, codec.BYTES_TYPE) is answer


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-3", (0, 4)),
        ("bytes=5-", (5, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-300", (0, 10)),
        ("bytes=8-99", (8, 10)),
        ("Bytes = 1 - 2", (1, 3)),
        ("bytes=3-1", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=-", None),
        (None, None),
    ],
)
def test_range(header: str | None, expected: tuple[int, int] | None) -> None:
    found = codec.parse_range(header, 10)
    assert found == (None if expected is None else codec.ByteRange(*expected))


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_range_outside_of_the_content(header: str, size: int) -> None:
    with pytest.raises(codec.RangeNotSatisfiable):
        codec.parse_range(header, size)


def test_range_names_itself() -> None:
    assert codec.ByteRange(2, 5).header(10) == "bytes 2-4/10"


def test_answers_of_version_2_list_uuids_and_older_ones_do_not() -> None:
    stored = codec.Stored(True, (U1, U2))
    assert codec.render_stored(stored, 1) == b'{"stored":true}'
    assert codec.render_stored(codec.Stored(False), 2) == b'{"plusuuids":[],"stored":false}'
    newest = codec.render_stored(stored, 4)
    assert newest == b'{"plusuuids":["%b","%b"],"stored":true}' % (U1.encode(), U2.encode())
    assert codec.parse_stored(newest) == stored
    removed = codec.Removed(True, (U1,))
    assert codec.parse_removed(codec.render_removed(removed, 3)) == removed
    have = codec.AlreadyHave((U2,))
    assert codec.parse_put_offset(codec.render_put_offset(have, 2)) == have
    assert codec.render_put_offset(have, 1) == b'{"alreadyhave":true}'
    assert codec.render_put_offset(codec.PutOffset(7), 4) == b'{"offset":7}'
    assert codec.parse_put_offset(b'{"offset":7}') == codec.PutOffset(7)


def test_simple_answers_go_round() -> None:
    assert codec.parse_present(codec.render_present(True)) is True
    assert codec.parse_locked(codec.render_locked(None)) is None
    assert codec.render_locked("id1") == b'{"locked":true,"lockid":"id1"}'
    assert codec.parse_locked(codec.render_locked("[x]")) == "[x]"
    assert codec.parse_timestamp(codec.render_timestamp(12)) == 12


def test_uuids_in_answers_may_be_wrapped() -> None:
    body = b'{"plusuuids":["[YWJj]"],"removed":false,"more":1}'
    assert codec.parse_removed(body) == codec.Removed(False, (UUID("abc"),))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b"\xff", b"{}", b'{"present":1}', b'{"present":"true"}',
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_nothing_but_a_plain_yes_means_present(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        codec.parse_present(body)


@pytest.mark.parametrize(
    "body",
    [b'{"locked":true}', b'{"locked":true,"lockid":""}', b'{"locked":true,"lockid":7}', b"1"],
)
def test_a_lock_without_an_id_is_no_lock(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        codec.parse_locked(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"offset":-1}', b'{"offset":true}', b'{"offset":1.5}', b"{}", b'{"alreadyhave":false}',
        b'{"alreadyhave":true,"plusuuids":"x"}', b'{"alreadyhave":true,"plusuuids":[1]}',
        b'{"alreadyhave":true,"plusuuids":[""]}', b'{"alreadyhave":true,"plusuuids":["[!]"]}',
    ],
)  # fmt: skip
def test_unusable_offsets(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        codec.parse_put_offset(body)


def feed_all(pieces: list[bytes]) -> bool:
    body = codec.KeepLockedBody()
    return [body.feed(piece) for piece in pieces][-1]


@pytest.mark.parametrize(
    ("body", "released"),
    [
        (codec.KEEP, False),
        (codec.KEEP + codec.UNLOCK, True),
        (b'{"unlock":fal', False),
        (b"\n\n", False),
        (b"garbage\n", True),
        (b"{}\n", True),
        (b'{"unlock":0}\n', True),
        (b"x" * 5000, True),
    ],
)
def test_keep_locked_body_however_it_is_split(body: bytes, released: bool) -> None:
    assert feed_all([body]) is released
    assert feed_all([body[i : i + 1] for i in range(len(body))]) is released


def test_a_released_lock_stays_released() -> None:
    assert feed_all([codec.UNLOCK, codec.KEEP]) is True
