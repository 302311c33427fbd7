"""How much was in each repository, over time: from the versions of all location logs.

Versions are fed oldest first. Those of clones that had not merged yet come one after the other,
so a version is combined with all before it: that is what a merge of all clones at that time
would have said. Keys whose size is not known do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from shoal.logs import presence, trust
from shoal.logs.entries import Entry, newest
from shoal.logs.trust import TrustLevel
from shoal.values.clock import parse_clock
from shoal.values.key import Key
from shoal.values.uuid import UUID

_PRESENT = presence.Status.PRESENT.value
_Lines = dict[bytes, tuple[bytes, bytes]]  # INFO: clock and status, as in the log


class SizeHistory:
    """What is where, as far as it has been fed.

    `received`: what a repository lost still counts, so that the sizes only grow.
    """

    def __init__(self, *, received: bool = False) -> None:
        self._received = received
        self._logs: dict[bytes, _Lines] = {}
        self._sizes: dict[bytes, int] = {}  # by INFO of the location logs
        self._infos: dict[bytes, bytes] = {}  # each once: the same few are in all logs
        self._trust: dict[UUID, Entry[TrustLevel]] = {}

    def add_location(self, key: Key, log: bytes) -> None:
        """Take in a version of a key's location log."""
        known = self._logs.setdefault(bytes(key), {})
        size = key.size or 0
        for clock, status, info in presence.split(log):
            old_clock, old = known.get(info, (b"", b""))
            if old_clock and not _is_later(clock, old_clock):
                continue
            info = self._infos.setdefault(info, info)
            known[info] = clock, status
            if status == _PRESENT != old:
                self._sizes[info] = self._sizes.get(info, 0) + size
            elif old == _PRESENT != status and not self._received:
                self._sizes[info] -= size

    def add_trust(self, log: bytes) -> None:
        """Take in a version of trust.log."""
        self._trust = newest([*self._trust.items(), *trust.LOG.parse(log).items()])

    def sizes(self) -> dict[UUID, int]:
        """Give the size of each repository in bytes; there is nothing in those that are dead."""
        found = {UUID(i.decode("utf-8", "surrogateescape")): n for i, n in self._sizes.items()}
        for uuid, entry in self._trust.items():
            if entry.value is TrustLevel.DEAD and uuid in found:
                found[uuid] = 0
        return found


def _is_later(clock: bytes, than: bytes) -> bool:
    return clock != than and parse_clock(clock) > parse_clock(than)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which sizes a row has: of these `repositories`, or one for the sum of all."""

    repositories: tuple[UUID, ...] = ()
    total: bool = False

    def of(self, sizes: Mapping[UUID, int]) -> list[int]:
        """Give the sizes of a row."""
        if self.total:
            return [sum(sizes.values())]
        return [sizes.get(uuid, 0) for uuid in self.repositories]


class Rows:
    """Chooses the moments to show: `interval` seconds apart, when what is shown changed.

    `render` turns the sizes of a row into text: a change that the text does not show is none.
    The rules are those of git-annex 10.20261026. Of the changes of one commit only the first
    that makes a difference is shown, unless `interval` is 0.
    """

    def __init__(
        self,
        columns: Columns,
        render: Callable[[Iterable[int]], str],
        *,
        interval: int = 1,
        received: bool = False,
    ) -> None:
        self._columns = columns
        self._render = render
        self._interval = interval
        self._received = received
        self._time = 0
        self._before: Mapping[UUID, int] = {}  # what had been received at the last row
        self._begun = False
        self.last: str | None = None
        """The last row, without its time; None when there is none."""

    def add(self, time: int, history: SizeHistory) -> str | None:
        """Tell of a change at `time` (seconds since 1970); give the row to show, if any."""
        is_due = time - self._time >= self._interval
        if not is_due and time >= self._time:
            return None
        sizes = history.sizes()
        shown = self._columns.of(self._since_last_row(sizes) if self._received else sizes)
        text = self._render(shown)
        if is_due and self._differs(shown, text):
            self._time, self.last, self._before, self._begun = time, text, sizes, True
            return text
        if time < self._time:  # a clone's history goes back
            self._time, self.last = time, text
        return None

    def _differs(self, shown: list[int], text: str) -> bool:
        if self._received:
            return any(shown) or text != self.last
        return (self._begun or any(shown)) and text != self.last

    def _since_last_row(self, sizes: Mapping[UUID, int]) -> dict[UUID, int]:
        return {uuid: max(0, size - self._before.get(uuid, 0)) for uuid, size in sizes.items()}
