"""Spans of time as users write them."""

from __future__ import annotations

import pytest

from shoal.values.duration import parse_duration, show_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5), ("5s", 5), ("0", 0), ("1m", 60), ("1h5m", 3900), ("1d", 86400),
        ("1y", 31536000), ("5d3", 432003), ("1m1m", 120),
    ],
)  # fmt: skip
def test_what_is_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-5d", " 5d", "5 d", "5d ", "5w", "1.5h", "1e3", "d"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="failed to parse duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (59, "59s"), (60, "1m"), (3605, "1h"), (3900, "1h5m"), (90061, "1d1h"),
        (31536000 * 2 + 86400, "2y1d"),
    ],
)  # fmt: skip
def test_what_is_shown(seconds: int, text: str) -> None:
    assert show_duration(seconds) == text
