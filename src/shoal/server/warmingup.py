"""Getting ready for uploads while there are none: what takes long is done at the start."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from shoal.errors import ShoalError
from shoal.gateway.publishing import plan_of
from shoal.git.countapart import CountApart
from shoal.git.preferences import Preferences
from shoal.git.repository import Repository

_PATIENCE = 5.0  # seconds


class WarmingUp:
    """Has the sizes of repositories counted, in the background, when uploads through the gateway
    `repository` look at them. Make it in the event loop."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._count = CountApart(repository)
        self._task = asyncio.create_task(asyncio.to_thread(self._run), name="count sizes")

    def _run(self) -> None:
        # What goes wrong here goes wrong in the first upload, too, which says so.
        with suppress(ShoalError, OSError):
            plan = plan_of(self._repository)
            nodes = {node.uuid for cluster in plan.clusters.values() for node in cluster.nodes}
            uuids = {*plan.proxied, *(uuid for uuid in nodes if uuid is not None)}
            if Preferences(self._repository).counts_sizes(uuids):
                self._count.run()

    async def aclose(self) -> None:
        """Leave off. A disk that hangs is left alone."""
        self._count.stop()
        await asyncio.wait({self._task}, timeout=_PATIENCE)
