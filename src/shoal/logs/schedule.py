"""`schedule.log`: what each repository's assistant should do, and when."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shoal.logs.uuidlog import UuidLog
from shoal.values.clock import Clock
from shoal.values.duration import parse_duration, show_duration
from shoal.values.uuid import UUID

PATH = "schedule.log"
_ACTIVITY = re.compile(r"fsck (\S+) (\S+) (.*)")
_RECURRENCE = re.compile(
    r"every (?:day|week|month|year)|on day [0-9]+ of every (?:week|month|year)"
    r"|(?:days|weeks|months|years) divisible by [0-9]+"
)
_TIME = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))?(?: ?([AP]M))?")
LOG: UuidLog[bytes] = UuidLog(bytes, bytes)


def parse(log: bytes) -> dict[UUID, list[bytes]]:
    """Give the texts of each repository's scheduled activities."""
    return {
        uuid: [text for text in value.split(b"; ") if text]
        for uuid, value in LOG.values(log).items()
    }


def change(log: bytes, uuid: UUID, activities: Sequence[bytes], now: Clock) -> bytes:
    """Set all scheduled activities of a repository."""
    if any(b"\n" in text or b"\r" in text for text in activities):
        raise ValueError("a scheduled activity is a single line")
    return LOG.change(log, uuid, b"; ".join(activities), now)


def canonical_activities(text: str) -> str:
    """Give scheduled activities in the form in which they are recorded, as
    `fsck self 30m every day at 4 AM; fsck UUID 1h every month at any time`.

    Raises ValueError. (Forms and messages are those of git-annex 10.20261026.)
    """
    return "; ".join(_canonical(one.strip()) for one in text.split(";") if one.strip())


def _canonical(text: str) -> str:
    found = _ACTIVITY.fullmatch(text)
    if found is None:
        raise ValueError(f'unknown activity in "{text}"')
    whom, duration, rest = found.groups()
    try:
        duration = show_duration(parse_duration(duration))
    except ValueError as error:
        raise ValueError(f'{error} in "{text}"') from error
    recurrence, _, time = rest.partition(" at ")
    # The manual has `every week divisible by 2`; `weeks divisible by 2` is what is recorded.
    recurrence = re.sub(r"every (week|month|year)s?( divisible )", r"\1s\2", recurrence)
    if not _RECURRENCE.fullmatch(recurrence):
        raise ValueError(f'bad recurrence: {recurrence} in "{text}"')
    return f"fsck {whom} {duration} {recurrence} at {_time(time, text)}"


def _time(time: str, text: str) -> str:
    if time == "any time":
        return time
    found = _TIME.fullmatch(time)
    hour, minute = (int(found[1]), int(found[2] or 0)) if found else (99, 0)
    if found and found[3]:
        hour = hour % 12 + (12 if found[3] == "PM" else 0) if 1 <= hour <= 12 else 99
    if hour > 23 or minute > 59:
        raise ValueError(f'bad time of day: {time} in "{text}"')
    minutes = f":{minute:02}" if minute else ""
    return f"{hour % 12 or 12}{minutes} {'AM' if hour < 12 else 'PM'}"
