"""Finding out that a node which did not answer is there again, before a request has to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shoal.errors import RemoteUnavailable, ShoalError
from shoal.gateway.patience import Patience
from shoal.remotes.base import Remote
from shoal.values.key import Key

NOBODYS_KEY = Key.parse(b"SHA256E-s0--" + b"0" * 64)
"""A key that no content has. Whether a node has it does not matter: that it answers does."""

_MOST_WAIT = 5.0  # seconds for one answer; a node that needs longer may as well be left alone


class Probe:
    """Asks a remote for something small at intervals, until it answers."""

    def __init__(self, remote: Remote, patience: Patience) -> None:
        self._remote = remote
        self._patience = patience
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, every: float, times: int, answered: Callable[[], None]) -> None:
        """Ask up to so many times, first after `every` seconds. `answered` is called when the
        remote answers, if only to refuse. What was begun before is ended."""
        self.stop()

        def ask() -> None:
            self._task = asyncio.create_task(self._ask(every, times - 1, answered))

        self._timer = asyncio.get_running_loop().call_later(every, ask)

    def stop(self) -> None:
        """Ask no more."""
        for running in (self._timer, self._task):
            if running is not None:
                running.cancel()
        self._timer = self._task = None

    async def _ask(self, every: float, left: int, answered: Callable[[], None]) -> None:
        seconds = min(self._patience.limits.answer, _MOST_WAIT)
        asking = self._remote.check_present(NOBODYS_KEY)
        try:
            await self._patience.call(self._remote.info.name, asking, seconds)
        except (RemoteUnavailable, OSError):
            self._task = None  # it is this one, which has ended
            if left:
                self.begin(every, left, answered)
            return
        except ShoalError:
            pass
        answered()
