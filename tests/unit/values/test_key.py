"""What a key is, beyond the vectors: equality, hashing, chunks, hostile text."""

from __future__ import annotations

import copy
import pickle

import pytest

from shoal.values.key import Key, extension_of, has_extension
from shoal.values.keypath import hash_dir_lower, hash_dir_mixed, key_file, parse_key_file


def test_keys_are_equal_when_their_text_is() -> None:
    parsed = Key.parse(b"SHA256E-s05--a.txt")
    assert parsed == Key(b"SHA256E", b"a.txt", 5)
    assert hash(parsed) == hash(Key(b"SHA256E", b"a.txt", 5))
    assert parsed != Key(b"SHA256E", b"a.txt", 6)
    assert parsed != "SHA256E-s5--a.txt"
    assert len({parsed, Key(b"SHA256E", b"a.txt", 5)}) == 1


def test_a_key_cannot_be_changed() -> None:
    key = Key.parse(b"SHA256-s5--x")
    with pytest.raises(AttributeError):
        key.size = 6  # type: ignore[misc]


def test_a_key_survives_copying_and_pickling() -> None:
    key = Key.parse(b"SHA256-s5-S2-C1--x")
    assert copy.copy(key) == key
    assert pickle.loads(pickle.dumps(key)) == key
    assert pickle.loads(pickle.dumps(key)).chunk_size == 2


def test_the_text_of_a_key_keeps_bytes_that_are_not_utf8() -> None:
    key = Key.parse(b"WORM-s5-m7--\xff")
    assert str(key).encode("utf-8", "surrogateescape") == bytes(key)
    assert parse_key_file(key_file(key).encode("utf-8", "surrogateescape")) == key


def test_a_chunk_lies_with_its_parent() -> None:
    chunk, parent = Key.parse(b"SHA256-s5-S2-C1--x"), Key.parse(b"SHA256-s5--x")
    assert chunk.parent == parent
    assert parent.parent is parent
    assert hash_dir_lower(chunk) == hash_dir_lower(parent)
    assert hash_dir_mixed(chunk) == hash_dir_mixed(parent)
    assert key_file(chunk) != key_file(parent)


def test_one_level_of_hash_directories() -> None:
    key = Key.parse(b"SHA256E-s12--abc.txt")
    assert hash_dir_lower(key, levels=1) == "4b6/"
    assert hash_dir_mixed(key, levels=1) == "5q/"


@pytest.mark.parametrize(
    "text", [b"SHA256--a\nb", b"SHA256--a\0b", b"A\nB--x", b"SHA256-s%s--x" % (b"9" * 5000)]
)
def test_hostile_text_is_no_key(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"key|digits"):
        Key.parse(text)


@pytest.mark.parametrize("name", [b"../../etc/passwd", b"..", b".", b"/", b"a/../b"])
def test_a_key_is_one_path_component_whatever_its_name(name: bytes) -> None:
    file = key_file(Key(b"URL", name))
    assert "/" not in file
    assert file not in {".", ".."}


@pytest.mark.parametrize(
    ("file", "key"),
    [
        (b"FOO--&", b"FOO--"),
        (b"FOO--&&", b"FOO--&"),
        (b"FOO--&x", b"FOO--x"),
        (b"FOO--%&s&a&c", b"FOO--/%&:"),
        (b"FOO--&%", b"FOO--%"),
    ],
)
def test_reading_a_file_name_is_forgiving(file: bytes, key: bytes) -> None:
    assert bytes(parse_key_file(file)) == key


def test_extensions() -> None:
    assert extension_of(b"abc.tar.gz") == b".tar.gz"
    assert extension_of(b"abc") == b""
    assert has_extension(b"SHA256E")
    assert has_extension(b"XFOOE")
    assert not has_extension(b"GITBUNDLE")
    assert not has_extension(b"SHA256")


def test_the_longest_extension() -> None:
    assert Key.parse(b"SHA256E--x." + b"a" * 63).name.endswith(b"a")
    with pytest.raises(ValueError, match="extension"):
        Key.parse(b"SHA256E--x." + b"a" * 64)
    with pytest.raises(ValueError, match="extension"):
        Key.parse(b"SHA256E-s05--x." + b"a" * 64)
    assert Key.parse(b"SHA256--x." + b"a" * 64).backend == b"SHA256"
