"""Vector clocks: exact, canonical, and always moving on."""

from __future__ import annotations

import pytest

from shoal.values.clock import (
    SECOND,
    Clock,
    clock_from_nanoseconds,
    clock_from_seconds,
    next_clock,
    parse_clock,
    render_clock,
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (b"100s", b"100s"),
        (b"100", b"100s"),
        (b"+5s", b"5s"),
        (b"0100.500s", b"100.5s"),
        (b"7.1234567890129s", b"7.123456789012s"),
        (b"-7.5s", b"-7.5s"),
        (b"-7.1234567890129s", b"-7.123456789012s"),
        (b"-0.5s", b"0.5s"),
        (b"-0s", b"0s"),
        (b"5.000000000001s", b"5.000000000001s"),
        (b"12345678901234567890123456789s", b"12345678901234567890123456789s"),
    ],
)
def test_a_clock_is_written_back_in_its_canonical_form(text: bytes, canonical: bytes) -> None:
    assert render_clock(parse_clock(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [b"", b"s", b"1ss", b"5.s", b".5s", b"5e3s", b"--7s", b"0x10s", b"8.5.5s", b"1_0s", b"6,5s",
     b" 5s", b"5s ", b"5s\n", b"7.S", "٣s".encode()],
)  # fmt: skip
def test_other_text_is_no_clock(text: bytes) -> None:
    with pytest.raises(ValueError, match="clock"):
        parse_clock(text)


def test_clocks_compare_as_numbers() -> None:
    texts = [b"-7.5s", b"-7s", b"0s", b"9s", b"9.5s", b"9.500000000001s", b"10s", b"100s"]
    clocks = [parse_clock(text) for text in texts]
    assert clocks == sorted(clocks)


def test_the_next_clock_is_now_unless_that_is_not_later() -> None:
    now = parse_clock(b"100s")
    assert next_clock(now, None) == now
    assert next_clock(now, parse_clock(b"99.999999999999s")) == now
    assert next_clock(now, now) == parse_clock(b"101s")
    assert next_clock(now, parse_clock(b"300.5s")) == parse_clock(b"301.5s")


@pytest.mark.parametrize("digits", [4000, 4301, 50_000])
def test_every_clock_has_a_next_one(digits: int) -> None:
    greatest = parse_clock(b"9" * digits)
    after = render_clock(next_clock(clock_from_seconds(0), greatest))
    assert after == b"1" + b"0" * digits + b"s"
    assert parse_clock(after) > greatest


def test_clocks_from_the_time_of_day() -> None:
    assert clock_from_seconds(5) == Clock(5 * SECOND)
    precise = clock_from_nanoseconds(1_795_346_056_365_625_357)
    assert render_clock(precise) == b"1795346056.365625357s"
