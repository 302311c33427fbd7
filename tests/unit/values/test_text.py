"""Words are split where Haskell sees white space, and only there."""

from __future__ import annotations

import pytest

from shoal.values.base64text import decode_base64
from shoal.values.text import to_bytes, to_text, words


def test_words() -> None:
    assert words(" a\tb\u00a0c\u3000d ") == ["a", "b", "c", "d"]
    assert words("a\x1cb\u0085c\u2028d") == ["a\x1cb\u0085c\u2028d"]
    assert words("") == []


def test_no_byte_is_lost() -> None:
    raw = bytes(range(256))
    assert to_bytes(to_text(raw)) == raw


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        (b"", b""), (b"YWJj", b"abc"), (b"YQ==", b"a"), (b"YR==", b"a"), (b"YQ==YQ==", b"a"),
        (b"YWJ=x", b"ab"), (b"YWJjYQ==zz", b"abca"), (b"YQ===", b"a"), (b"YQ== b", b"a"),
    ],
)  # fmt: skip
def test_base64_ends_at_its_padding(text: bytes, decoded: bytes) -> None:
    assert decode_base64(text) == decoded


@pytest.mark.parametrize(
    "text", [b"Y", b"YQ", b"YQ=", b"YWJjYQ", b"====", b"YWJj=", b"YW-_", b"YQ=\t=", b"YWJj\n"]
)
def test_base64_must_be_padded(text: bytes) -> None:
    with pytest.raises(ValueError, match="base64"):
        decode_base64(text)
