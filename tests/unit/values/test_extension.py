"""Extensions beyond the vectors."""

from __future__ import annotations

import pytest

from shoal.values.extension import select_extension


@pytest.mark.parametrize(
    ("path", "extension"),
    [
        (b"dir.d/foo.tar.gz", b".tar.gz"),
        (b"dir.tar/foo", b""),
        (b"foo.\xff\xfe", b".\xff\xfe"),
        ("foo.日".encode(), ".日".encode()),
        ("foo.日本".encode(), b""),  # six bytes
        (b"", b""),
        (b"...", b""),
    ],
)
def test_only_the_file_name_counts(path: bytes, extension: bytes) -> None:
    assert select_extension(path) == extension


def test_limits() -> None:
    assert select_extension(b"a.1.2.3.4", max_number=3) == b".2.3.4"
    assert select_extension(b"a.12345", max_length=5) == b".12345"
    assert select_extension(b"a.b", max_number=-1) == b""
