"""What holds for all keys, clocks, numbers, sizes and names, whoever makes them up."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from shoal.values.associated import escape_associated, parse_associated
from shoal.values.backend import BACKENDS, hash_name, hasher, key_for, verifier
from shoal.values.base64text import decode_base64, encode_base64
from shoal.values.clock import Clock, next_clock, parse_clock, render_clock
from shoal.values.extension import select_extension
from shoal.values.humansize import exact_size, rough_size
from shoal.values.key import Key
from shoal.values.keynames import sanitised_name, worm_key
from shoal.values.keypath import hash_dir_lower, hash_dir_mixed, key_file, parse_key_file
from shoal.values.number import read_float, read_int, write_int
from shoal.values.size import parse_size
from shoal.values.text import to_bytes, to_text, words
from tests.support.strategies import clocks, hostile_bytes, keys

_NUMBERS = st.integers(-(10**30), 10**30)


@given(keys)
def test_a_key_survives_its_text_and_its_file_name(key: Key) -> None:
    assert Key.parse(bytes(key)) == key
    assert parse_key_file(to_bytes(key_file(key))) == key
    assert "/" not in key_file(key)
    assert key_file(key) not in {".", ".."}


@given(keys)
def test_chunks_lie_where_their_parent_does(key: Key) -> None:
    assert key.parent.parent == key.parent
    assert hash_dir_lower(key) == hash_dir_lower(key.parent)
    assert hash_dir_mixed(key) == hash_dir_mixed(key.parent)


@given(keys, keys)
def test_different_keys_have_different_file_names(one: Key, other: Key) -> None:
    assert (key_file(one) == key_file(other)) == (one == other)


@given(hostile_bytes)
def test_any_bytes_are_a_key_or_a_value_error(text: bytes) -> None:
    with suppress(ValueError):
        key = Key.parse(text)
        assert Key.parse(bytes(key)) == key
        verifier(key)
    with suppress(ValueError):
        key = parse_key_file(text)
        assert parse_key_file(to_bytes(key_file(key))) == key


@given(clocks)
def test_a_clock_survives_its_text(clock: Clock) -> None:
    # Between -1 and 0 seconds the real program loses the sign.
    assert parse_clock(render_clock(clock)) == (abs(clock) if -(10**12) < clock < 0 else clock)


@given(clocks, clocks)
def test_a_new_clock_is_later_than_the_old_one(now: Clock, newest: Clock) -> None:
    assert next_clock(now, newest) > newest
    assert next_clock(now, newest) >= now


@given(hostile_bytes)
def test_any_bytes_are_a_number_or_a_value_error(text: bytes) -> None:
    for read in (parse_clock, read_int, read_float, parse_size, decode_base64):
        with suppress(ValueError):
            read(text)


@given(_NUMBERS, st.text(alphabet=" )xg/_,;é", max_size=5))
def test_a_number_is_read_whatever_follows_it(number: int, rest: str) -> None:
    assert read_int(write_int(number) + rest.encode()) == number


@given(st.binary())
def test_base64_survives(raw: bytes) -> None:
    assert decode_base64(encode_base64(raw)) == raw


@given(st.integers(-(10**40), 10**40))
def test_every_size_can_be_shown(size: int) -> None:
    assert rough_size(size).count(" ") == 1
    assert exact_size(size).count(" ") == 1


@given(st.integers(0, 999_999))
def test_a_size_that_is_shown_exactly_can_be_read(size: int) -> None:
    assert parse_size(exact_size(size)) == size


@given(st.binary())
def test_an_associated_file_can_always_be_parsed_once_escaped(path: bytes) -> None:
    wire = escape_associated(path)
    assert not set(wire) & set(b" \t\r\n\v\f")
    if not path.startswith(b"/"):
        assert b"\n" not in parse_associated(wire)


@given(st.binary(min_size=1))
def test_names_made_into_keys_can_be_read(raw: bytes) -> None:
    key = worm_key(raw, 5, 7)
    assert Key.parse(bytes(key)) == key
    assert set(sanitised_name(raw)) <= set(
        b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/%:,"
    )


@given(st.binary(max_size=40).filter(lambda name: b"\n" not in name and b"\0" not in name))
def test_a_key_made_of_a_content_verifies_it(name: bytes) -> None:
    checksum = hasher(b"SHA256E")
    checksum.update(name)
    key = key_for(b"SHA256E", checksum.hexdigest(), len(name), select_extension(name))
    assert Key.parse(bytes(key)) == key
    checking = verifier(key)
    assert checking is not None
    checking.update(name)
    assert checking.matches()


@given(
    st.sampled_from([name for name in BACKENDS if hash_name(name)]),
    st.lists(st.binary(max_size=300), max_size=6),
)
def test_the_pieces_of_a_content_do_not_matter(backend: bytes, pieces: list[bytes]) -> None:
    whole, split = hasher(backend), hasher(backend)
    whole.update(b"".join(pieces))
    for piece in pieces:
        split.update(memoryview(piece))
    assert whole.hexdigest() == split.hexdigest()


@given(st.binary())
def test_text_keeps_every_byte(raw: bytes) -> None:
    assert to_bytes(to_text(raw)) == raw
    assert all(words(word) == [word] for word in words(to_text(raw)))
