"""Associated files on the wire."""

from __future__ import annotations

import pytest

from shoal.values.associated import escape_associated, parse_associated


@pytest.mark.parametrize(
    ("path", "wire"),
    [
        (b"two two%x.txt", b"two%two%%x.txt"),
        (b"", b""),
        (b"a\tb\nc\rd", b"a%b%c%d"),
        ("a\u00a0b\u2003c".encode(), b"a%b%c"),
        ("日本\u2028語".encode(), "日本\u2028語".encode()),
        (b"\xff %", b"\xff%%%"),
    ],
)
def test_white_space_becomes_a_percent_sign(path: bytes, wire: bytes) -> None:
    assert escape_associated(path) == wire


@pytest.mark.parametrize(
    ("wire", "path"),
    [
        (b"two%two%%x.txt", b"two_two%x.txt"),
        (b"a%b", b"a_b"),
        (b"a%%%b", b"a%_b"),
        (b"a\tb\x1b[31m\x7f", b"a_b_[31m_"),
        ("a\u0085b".encode(), b"a_b"),
        (b"\xff", b"\xff"),
        (b"", b""),
        (b"../x", b"../x"),
    ],
)
def test_what_cannot_be_known_becomes_an_underscore(wire: bytes, path: bytes) -> None:
    assert parse_associated(wire) == path


def test_an_absolute_path_is_refused() -> None:
    with pytest.raises(ValueError, match="absolute path"):
        parse_associated(b"/etc/passwd")
