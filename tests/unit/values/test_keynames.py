"""Keys named after files."""

from __future__ import annotations

from shoal.values.keynames import sanitised_name, worm_key


def test_worm_keys_keep_directories() -> None:
    assert bytes(worm_key(b"a/b c", 3, 1300000000)) == b"WORM-s3-m1300000000--a/b,32c"


def test_a_long_name_is_cut_and_gets_the_checksum_of_the_raw_name() -> None:
    assert len(sanitised_name(b"x" * 64)) == 64
    assert len(sanitised_name(b"x" * 65)) == 64
    assert sanitised_name(b"x" * 65)[31:32] == b"-"


def test_bytes_that_are_not_utf8_have_a_number_too() -> None:
    assert sanitised_name(b"\xff").startswith(b",")
