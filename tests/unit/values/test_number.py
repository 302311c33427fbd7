"""Numbers are read as the real program reads them (maxsize.log, checked with 10.20261026)."""

from __future__ import annotations

import math

import pytest

from shoal.values.number import read_float, read_int, read_whole_float, write_int


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5), ("0x10", 16), ("0X1f", 31), ("0o17", 15), ("0O17", 15), ("007", 7),
        ("5abc", 5), ("-5", -5), (" 7", 7), ("(8)", 8), ("0b11", 0), ("- 3", -3), ("1_000", 1),
        ("5e", 5), ("5.", 5), ("0x", 0), ("0o", 0), ("((4) )", 4), ("(-4)", -4), ("5-3", 5),
        ("\u00a07", 7), ("4)", 4), ("-0x10", -16), ("1.e3", 1), ("5'a", 5), ("( - 6 )", -6),
        ("12345678901234567890123", 12345678901234567890123),
    ],
)  # fmt: skip
def test_a_whole_number_at_the_start_is_read(text: str, number: int) -> None:
    assert read_int(text) == number
    assert read_int(text.encode()) == number


@pytest.mark.parametrize(
    "text",
    ["", "x", "1e3", "1e0", "1.5", "+9", "--3", "-", "-(4)", "(4", "()", "-+5", "٣", "\x1c4",
     "NaN", "Infinity", ".5",
    ],
)  # fmt: skip
def test_anything_else_is_no_integer(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        read_int(text)


def test_bytes_that_are_not_utf8_end_a_number() -> None:
    assert read_int(b"5\xff") == 5
    with pytest.raises(ValueError, match="not a number"):
        read_int(b"\xff5")


@pytest.mark.parametrize(
    ("text", "number", "rest"),
    [
        ("1.5 GB", 1.5, " GB"), ("1e3kb", 1000.0, "kb"), ("1.kb", 1.0, ".kb"),
        ("0x10b", 267.0, ""), ("(2.5)x", 2.5, "x"), ("-1.5e-1", -0.15, ""),
        ("Infinity", math.inf, ""), ("-Infinity", -math.inf, ""), ("1e999", math.inf, ""),
        ("0x" + "f" * 300, math.inf, ""),
    ],
)  # fmt: skip
def test_a_number_and_what_follows_it(text: str, number: float, rest: str) -> None:
    assert read_float(text) == (number, rest)


def test_a_number_from_end_to_end() -> None:
    assert read_whole_float(" ( 1e1 )\u00a0\n") == 10
    for text in ("10x", "2023-11-14", "10 10", "+10", ""):
        with pytest.raises(ValueError, match="number"):
            read_whole_float(text)


def test_not_a_number_is_a_number_of_its_own() -> None:
    number, rest = read_float("NaN!")
    assert math.isnan(number)
    assert rest == "!"
    with pytest.raises(ValueError, match="not a number"):
        read_float("NaNs")


@pytest.mark.parametrize("text", ["9" * 5000, "-" + "9" * 5000, "1" + "0" * 4000])
def test_numbers_have_no_limit(text: str) -> None:
    assert write_int(read_int(text)) == text.encode()
    assert read_int("0x" + "f" * 5000) == 16**5000 - 1
