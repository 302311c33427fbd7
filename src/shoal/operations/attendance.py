"""Which repositories can be asked, as that changes during a long run.

A disk that fails in the middle would make every later step that needs it fail, and leave keys
half done: copied, and not dropped. So a repository that failed is asked whether it is there; if
not, what is planned from then on does without it, until it is there again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from shoal.operations.probing import Health, State, probe

if TYPE_CHECKING:
    from shoal.operations.fleet import Fleet
    from shoal.values.uuid import UUID

_AGAIN = 30.0  # seconds after which one that was not there is asked again


class Attendance:
    """Those that can be asked are in `up`, which look() changes.

    `down` are others to look out for. `tell` hears of each that went away or came back. `clock`
    gives seconds, from any start.
    """

    def __init__(
        self,
        fleet: Fleet,
        up: Iterable[UUID],
        down: Iterable[UUID] = (),
        *,
        tell: Callable[[UUID, Health], None] = lambda repo, health: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.up = set(up)
        self._fleet = fleet
        self._tell = tell
        self._clock = clock
        self._asked = dict.fromkeys(down, clock())  # those that are not there, and when
        self._looking = False

    async def look(self) -> None:
        """Ask those that failed since, and now and then those that were not there. Whoever
        calls this while others are asked goes by what was known before."""
        due = [repo for repo in self.up if self._fleet.node(repo).state.failures]
        due += [repo for repo, at in self._asked.items() if self._clock() - at >= _AGAIN]
        if not due or self._looking:
            return
        self._looking = True
        try:
            for repo, health in (await probe(self._fleet, due)).items():
                self._note(repo, health)
        finally:
            self._looking = False

    def _note(self, repo: UUID, health: Health) -> None:
        was_up = repo in self.up
        if health.state is State.UP:
            self._asked.pop(repo, None)
            self.up.add(repo)
        else:
            self._asked[repo] = self._clock()
            self.up.discard(repo)
        if was_up != (repo in self.up):
            self._tell(repo, health)
