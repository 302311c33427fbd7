"""--time-limit and --size-limit: ends for a command that could do more."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from shoal.values.duration import show_duration

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.key import Key

REACHED = 101
"""The exit code of a command that a limit kept from doing all it was asked to."""


class Limits:
    """How long a command may begin to work on something, and how much content in all.

    `seconds` count from now on; `size` is in bytes. None: as long, or as much, as there is.
    """

    def __init__(self, seconds: int | None, size: int | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds
        self._size_left = size
        self.reached = False

    def is_time_up(self) -> bool:
        """Tell whether nothing more may begin."""
        if self._end is None or time.monotonic() < self._end:
            return False
        self.reached = True
        return True

    @property
    def farewell(self) -> str:
        """What the user hears when the time is up."""
        return f"Time limit ({show_duration(self._seconds or 0)}) reached! Shutting down..."

    def admit(self, key: Key, repository: Repository) -> bool:
        """Tell whether a key may be worked on, and count it if so.

        A key too large for what is left is passed over; a smaller one may still come. Nor may
        one whose size nobody knows.
        """
        if self._size_left is None:
            return True
        size = _size_of(key, repository)
        if size is None or size > self._size_left:
            self.reached = True
            return False
        self._size_left -= size
        return True


def _size_of(key: Key, repository: Repository) -> int | None:
    if key.size is not None:
        return key.size
    try:
        return os.stat(repository.objects.location(key)).st_size
    except FileNotFoundError:
        return None
