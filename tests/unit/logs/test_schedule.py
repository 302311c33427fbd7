"""Scheduled activities are recorded in one form, as git-annex 10.20261026 records them."""

from __future__ import annotations

import pytest

from shoal.logs.schedule import canonical_activities


@pytest.mark.parametrize(
    ("text", "recorded"),
    [
        ("", ""),
        ("fsck self 30m every day at any time", "fsck self 30m every day at any time"),
        ("fsck self 1h every month at 3 AM;", "fsck self 1h every month at 3 AM"),
        ("fsck u 90m every year at 4:00 PM", "fsck u 1h30m every year at 4 PM"),
        ("fsck u 90 every week at 0:05", "fsck u 1m30s every week at 12:05 AM"),
        ("fsck u 9 on day 3 of every year at 16:30", "fsck u 9s on day 3 of every year at 4:30 PM"),
        ("fsck a 1h every week divisible by 2 at 12 PM ;  fsck b 1h every day at 12 AM",
         "fsck a 1h weeks divisible by 2 at 12 PM; fsck b 1h every day at 12 AM"),
    ],
)  # fmt: skip
def test_what_is_recorded(text: str, recorded: str) -> None:
    assert canonical_activities(text) == recorded
    assert canonical_activities(recorded) == recorded


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bogus", 'unknown activity in "bogus"'),
        ("fsck self 1h every 2 days at any time", "bad recurrence: every 2 days in"),
        ("fsck self 1h every week", "bad time of day:  in"),
        ("fsck self 1h every week at 25", "bad time of day: 25 in"),
        ("fsck self 1h every week at 13 PM", "bad time of day: 13 PM in"),
        ("fsck self xx every week at 3 PM", 'failed to parse duration "xx"'),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        canonical_activities(text)
