"""Union merge beyond the vectors."""

from __future__ import annotations

from shoal.logs.merge import union_merge


def test_a_side_that_has_all_lines_is_kept_as_it_is() -> None:
    assert union_merge(b"b\na\n", b"a\n") == b"b\na\n"
    assert union_merge(b"a\n", b"b\na\nb\n") == b"b\na\nb\n"
    assert union_merge(b"b\na\n", b"a\nb\n") == b"a\nb\n"


def test_nothing_merges_with_anything() -> None:
    assert union_merge(b"", b"x") == b"x"
    assert union_merge(b"x", b"") == b"x"
    assert union_merge(b"", b"") == b""


def test_lines_are_bytes() -> None:
    assert union_merge(b"a\r\n", b"a\n") == b"a\na\r\n"
    assert union_merge(b"\xff\n", b"9\n10\n") == b"10\n9\n\xff\n"
    assert union_merge(b"a", b"b") == b"a\nb\n"
