"""An upload to a cluster: the content goes to all nodes that agreed to take it."""

from __future__ import annotations

from functools import partial

from shoal.errors import LocalProtocolError
from shoal.gateway import outcome
from shoal.gateway.patience import Patience, uninterrupted
from shoal.gateway.placing import Placing
from shoal.gateway.records import in_thread
from shoal.gateway.spread import Results, spread
from shoal.remotes.base import StoreResult, Upload
from shoal.remotes.content import Content
from shoal.values.backend import verifier


class ClusterUpload(Upload):
    """What nodes agreed to take, each from its own offset; `offset` is the least of them."""

    def __init__(self, placing: Placing, patience: Patience) -> None:
        self._placing = placing
        self._patience = patience
        self._spent = False
        self.offset = min(upload.offset for upload in placing.uploads.values())

    async def store(self, content: Content) -> StoreResult:
        """Store `content` on all nodes, and tell which of them confirmed it.

        What they confirmed is in the location log when this ends, however it ends. When the
        content breaks off, its error is raised after that.
        """
        if self._spent or content.offset != self.offset:
            raise LocalProtocolError("store() for a second time, or from another offset")
        self._spent = True
        placing = self._placing
        uploads = {placing.nodes[uuid]: upload for uuid, upload in placing.uploads.items()}
        results: Results = {}
        try:
            await spread(uploads, content, verifier(placing.key), self._patience, results)
        finally:
            result = outcome.stored([*placing.nodes], results, placing.already)
            if result.stored_in:
                record = partial(placing.records.record, placing.key, result.stored_in, ())
                await uninterrupted(in_thread(record))
        outcome.raise_bugs(results)
        return result

    async def aclose(self) -> None:
        await self._placing.close()
