"""An upload to a cluster: the content goes to all nodes that agreed to take it.

A node that fails in the middle, such as one whose disk is full, is replaced: the next node that
wants the content gets it from one that has it, before the client hears of its upload. When no
node has it, there is nothing to be copied; the client hears of a failure, and tries again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial

from shoal.errors import LocalProtocolError, ShoalError
from shoal.gateway import outcome
from shoal.gateway.download import ClusterDownload
from shoal.gateway.node import Node
from shoal.gateway.patience import Patience, noting, uninterrupted
from shoal.gateway.placing import Placing
from shoal.gateway.reading import Reading
from shoal.gateway.records import at_once, soon
from shoal.gateway.select import Unwanted
from shoal.gateway.spread import spread
from shoal.git.waiting import WouldWait
from shoal.remotes.base import AlreadyPresent, StoreResult, Upload
from shoal.remotes.content import Content, WholeContent
from shoal.values.backend import verifier
from shoal.values.uuid import UUID


class ClusterUpload(Upload):
    """What nodes agreed to take, each from its own offset; `offset` is the least of them."""

    def __init__(self, placing: Placing, patience: Patience) -> None:
        self._placing = placing
        self._patience = patience
        self._spent = False
        placing.recorded.update(holders_before(placing))
        self.offset = min(upload.offset for upload in placing.uploads.values())

    async def store(self, content: Content) -> StoreResult:
        """Store `content` on all nodes, and tell which of them confirmed it.

        What they confirmed is in the location log soon after they did: another gateway may
        remove it while a slow node is waited for. All is when this ends, however it ends. When
        the content breaks off, its error is raised after that.
        """
        if self._spent or content.offset != self.offset:
            raise LocalProtocolError("store() for a second time, or from another offset")
        self._spent = True
        placing = self._placing
        async with noting(self._record):
            await self._spread(placing.uploads, content)
            if placing.confirmed and len(placing.confirmed) < len(placing.results):
                await self._replace_failed()
        outcome.raise_bugs(placing.results)
        return placing.result

    async def _spread(self, to: Mapping[UUID, Upload], content: Content) -> None:
        placing = self._placing
        uploads = {placing.nodes[uuid]: upload for uuid, upload in to.items()}
        await spread(uploads, content, verifier(placing.key), self._patience, placing.results)

    async def _record(self) -> None:
        placing = self._placing
        if fresh := [u for u in placing.result.stored_in if u not in placing.recorded]:
            await uninterrupted(soon(partial(placing.records.record, placing.key, fresh, ())))
            placing.recorded.update(fresh)

    async def _replace_failed(self) -> None:
        """The content has gone by; others get it from nodes that have it now. They have no
        more time for that than a node has to finish: a client waits."""
        limits = self._patience.limits
        with contextlib.suppress(ShoalError, OSError):  # what is stored is stored
            await self._patience.call("cluster", self._copy_to_others(), limits.finish)

    async def _copy_to_others(self) -> None:
        placing = self._placing

        def read(node: Node, start: int) -> Reading:
            return Reading(node, placing.key, start, placing.file, placing.caller)

        while uploads := await placing.replace_failed():
            sources = [placing.nodes[uuid] for uuid in placing.confirmed]
            copy = ClusterDownload("cluster", sources, read)
            try:
                if await copy.open(min(upload.offset for upload in uploads.values())) is not None:
                    await self._spread(uploads, copy)
            finally:
                await copy.close()

    async def aclose(self) -> None:
        await self._placing.close()


def holders_before(placing: Placing) -> tuple[UUID, ...]:
    """Give who had the content before the upload, by what nodes said."""
    already = placing.already
    return outcome.gathered((u, *already[u]) for u in placing.nodes if u in already)


class WholeUpload:
    """A small content, which nodes are given right away: at once, as far as nothing needs to be
    waited for, and else by going on from there."""

    def __init__(self, placing: Placing, content: WholeContent, patience: Patience) -> None:
        self._placing = placing
        self._content = content
        self._patience = patience

    def store_at_once(self) -> StoreResult | AlreadyPresent | None:
        """Give what the client is to hear, if all is done and recorded; else None."""
        if not self._placing.place_at_once(self._content):
            return None
        result = self._placing.result
        try:
            at_once(partial(self._record, self._fresh(result)))
        except WouldWait:
            return None
        return self._told(result)

    async def store(self, cluster: str, unwanted: Unwanted) -> StoreResult | AlreadyPresent:
        """Do the rest. Raises what Placing.place() raises. What nodes confirmed is in the
        location log soon after they did, and when this ends, however it ends."""
        placing = self._placing
        try:
            async with noting(self._note):
                await placing.place(cluster, unwanted)
            if placing.uploads:  # to nodes that only the log said to have it
                upload = ClusterUpload(placing, self._patience)
                return await upload.store(self._content.from_offset(upload.offset))
        finally:
            await placing.close()
        return self._told(placing.result)

    async def _note(self) -> None:
        if fresh := self._fresh(self._placing.result):
            await soon(partial(self._record, fresh))
            self._placing.recorded.update(fresh)

    def _fresh(self, result: StoreResult) -> list[UUID]:
        known = self._placing.logged | self._placing.recorded
        return [uuid for uuid in result.stored_in if uuid not in known]

    def _record(self, fresh: list[UUID]) -> None:
        if fresh:
            self._placing.records.record(self._placing.key, fresh, ())

    def _told(self, result: StoreResult) -> StoreResult | AlreadyPresent:
        return result if self._placing.results else AlreadyPresent(result.stored_in)
