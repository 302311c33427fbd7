"""Telling the operator of nodes that fail, once for many requests.

A request that a node missed may succeed all the same, since the others took its part. So the
client hears nothing of it, and somebody else has to.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_AGAIN = 600.0  # seconds after which a trouble that lasts is told again
_CHANGED = 10.0  # seconds after which another trouble of the same node is told


class Troubles:
    """Tells what keeps nodes from answering, of each node only so often."""

    def __init__(
        self, tell: Callable[[Exception], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` gives seconds, from any start."""
        self._tell = tell
        self._clock = clock
        self._told: dict[str, tuple[str, float]] = {}  # by node: what, and when

    def hear(self, node: str, error: Exception) -> None:
        """A call to a node failed with `error`."""
        text, now = str(error), self._clock()
        told, when = self._told.get(node, ("", float("-inf")))
        if now - when >= (_AGAIN if text == told else _CHANGED):
            self._told[node] = text, now
            self._tell(error)
