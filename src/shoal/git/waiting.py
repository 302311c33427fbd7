"""Work that must not wait: it is done in an event loop, where everybody else would wait, too.

Who asks or starts another process, or takes a lock that others may hold for long, calls
about_to_wait() first. In a without_waiting() block that ends the work, and a thread does it
from its beginning: so whatever may wait has to come before anything is changed.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager


class WouldWait(Exception):
    """The work cannot go on without waiting. It is nobody's error, so it is no ShoalError."""


class _Here(threading.local):
    depth = 0


_here = _Here()


class _Block:
    def __enter__(self) -> None:
        _here.depth += 1

    def __exit__(self, *error: object) -> None:
        _here.depth -= 1


_BLOCK = _Block()


def without_waiting() -> AbstractContextManager[None]:
    """In this block, in this thread, about_to_wait() raises WouldWait."""
    return _BLOCK


def must_not_wait() -> bool:
    """Tell whether this is inside of a without_waiting() block."""
    return _here.depth > 0


def about_to_wait() -> None:
    """Raise WouldWait in a without_waiting() block."""
    if _here.depth:
        raise WouldWait
