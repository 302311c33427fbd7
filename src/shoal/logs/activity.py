"""`activity.log`: the last thing of note that was done in each repository."""

from __future__ import annotations

import re

from shoal.logs.uuidlog import UuidLog
from shoal.values.clock import Clock
from shoal.values.text import SPACE, to_text
from shoal.values.uuid import UUID

PATH = "activity.log"
FSCK = b"Fsck"

# Groups: the opening parentheses before the word, the closing ones behind it.
_FSCK = re.compile(rf"([{SPACE}(]*)Fsck(?![\w'])((?:[{SPACE}]*\))*)")


def _read(text: bytes) -> bytes:
    """Recognise the one word that is known, as laxly as the real program; else keep the text."""
    found = _FSCK.match(to_text(text))
    if found is None or found[1].count("(") > found[2].count(")"):
        return text
    return FSCK


LOG: UuidLog[bytes] = UuidLog(_read, bytes)


def parse(log: bytes) -> dict[UUID, tuple[bytes, Clock | None]]:
    """Give the last activity of each repository (as a rule `Fsck`) and when it was."""
    return {uuid: (entry.value, entry.clock) for uuid, entry in LOG.parse(log).items()}


def change(log: bytes, uuid: UUID, activity: bytes, now: Clock) -> bytes:
    """Record an activity; it takes the place of the one before."""
    return LOG.change(log, uuid, activity, now)
