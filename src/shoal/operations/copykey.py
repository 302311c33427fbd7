"""Copying one key to several nodes at once: read once, verified by each node that stores it.

Sources are tried one after another, the best first. What a target got from one that broke off
is kept, and the next one goes on there. A source whose bytes are not the key's content is
found out, since no target takes them, and another is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shoal.errors import ContentMismatch, RemoteUnavailable, ShoalError, TransferInProgress
from shoal.gateway import outcome
from shoal.gateway.download import ClusterDownload
from shoal.gateway.node import Node
from shoal.gateway.patience import uninterrupted
from shoal.gateway.reading import Reading
from shoal.gateway.spread import Results, spread
from shoal.operations.pace import Paced, Throttle
from shoal.operations.verify import State, verify
from shoal.remotes.base import AlreadyPresent, Caller, StoreResult, Upload
from shoal.values.backend import verifier

if TYPE_CHECKING:
    from shoal.operations.fleet import Fleet
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

_FIRST_WAIT = 0.1  # seconds, doubled each time, for somebody else who sends the same key
_LONGEST_WAIT = 2.0


@dataclass(slots=True)
class Copied:
    """What came of copying one key."""

    stored: list[UUID] = field(default_factory=list)
    """Nodes that got it."""
    had: list[UUID] = field(default_factory=list)
    """Nodes that said that they have it already."""
    failed: dict[UUID, str] = field(default_factory=dict)
    """Why the others have not."""
    bad: list[UUID] = field(default_factory=list)
    """Repositories whose copy turned out not to be the key's content."""
    sent: int = 0
    """Bytes that were read and sent."""
    source: UUID | None = None
    """Where it was read from last."""


class KeyCopy:
    """One key being copied. `progress` is told how many bytes of it have passed, `reading`
    from whom it is read."""

    def __init__(
        self,
        fleet: Fleet,
        key: Key,
        throttle: Throttle,
        progress: Callable[[int], None] = lambda done: None,
        reading: Callable[[Node], None] = lambda node: None,
    ) -> None:
        self._fleet = fleet
        self._key = key
        self._throttle = throttle
        self._progress = progress
        self._reading = reading
        self._caller = Caller(fleet.session.here)
        self._result = Copied()
        self._refusals: dict[UUID, str] = {}  # what nodes said that did not take the content

    async def run(self, targets: Sequence[UUID], without: Collection[UUID] = ()) -> Copied:
        """Copy the key to `targets`, from any holder but those in `without`. What nodes said
        is in the gateway's location log when this ends, however it ends."""
        sources = self._fleet.holders(self._key, {*targets, *without})
        causes: list[Exception] = []
        pending = list(targets)
        retried: set[UUID] = set()
        while uploads := await self._begin(pending):
            resumed = any(upload.offset for upload in uploads.values())
            try:
                if not sources:
                    why = outcome.causes(causes) or "no repository that has it can be reached"
                    self._result.failed |= {node.uuid: why for node in uploads}
                    break
                error, pending = await self._send(sources[0], uploads)
            finally:
                await self._close(uploads)
            if error is not None:
                causes.append(error)
                sources.pop(0)
            elif pending and resumed and sources[0].uuid not in retried:
                retried.add(sources[0].uuid)  # what came before may have been of another source
            elif pending and await self._is_bad(sources[0], pending):
                causes.append(ContentMismatch(f"the copy in {sources[0].name} is bad"))
                sources.pop(0)
        return self._result

    async def _begin(self, targets: Sequence[UUID]) -> dict[Node, Upload]:
        """Ask nodes to take the key; give those that do. The others are in the result."""
        uploads: dict[Node, Upload] = {}
        try:
            for uuid in targets:
                try:
                    node = self._fleet.node(uuid)
                    begun = await self._patiently(node)
                except ShoalError as error:
                    self._result.failed[uuid] = _cause(error)
                    continue
                if isinstance(begun, AlreadyPresent):
                    self._result.had.append(uuid)
                    await self._fleet.record(self._key, present=[uuid, *begun.stored_in])
                else:
                    node.enter()
                    uploads[node] = begun
        except BaseException:
            await self._close(uploads)
            raise
        return uploads

    async def _patiently(self, node: Node) -> Upload | AlreadyPresent:
        """Ask one node; while somebody else sends it the same key, wait for that."""
        wait, end = _FIRST_WAIT, asyncio.get_running_loop().time() + node.patience.limits.stall
        while True:
            try:
                return await node.begin_store(self._key, "", self._caller)
            except TransferInProgress:
                if asyncio.get_running_loop().time() >= end:
                    raise
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _send(
        self, source: Node, uploads: dict[Node, Upload]
    ) -> tuple[ShoalError | None, list[UUID]]:
        """Send the content of one source through all uploads. Give what went wrong with the
        source, and the nodes that neither have the content now nor failed: if the source did
        not fail, what they got was not the key's content."""

        def read(node: Node, start: int) -> Reading:
            return Reading(node, self._key, start, "", self._caller)

        self._result.source = source.uuid
        self._reading(source)
        download = ClusterDownload(source.name, [source], read)
        results: Results = {}
        error: ShoalError | None = None
        try:
            if await download.open(min(upload.offset for upload in uploads.values())) is None:
                return download.failures[source.uuid], [node.uuid for node in uploads]
            paced = Paced(download, self._throttle, self._progress, weight=len(uploads))
            try:
                await spread(uploads, paced, verifier(self._key), self._fleet.patience, results)
            finally:
                self._result.sent += paced.passed * len(uploads)
        except ShoalError as cause:
            error = cause
        finally:
            await download.close()
            pending = await self._take_note(uploads, results, blameless=bool(download.failures))
        outcome.raise_bugs(results)
        return error, pending

    async def _take_note(
        self, uploads: dict[Node, Upload], results: Results, *, blameless: bool
    ) -> list[UUID]:
        """Keep and record what nodes answered; give those that are to be tried again.
        `blameless`: the source broke off, so that an error is not the node's fault."""
        stored: list[UUID] = []
        pending: list[UUID] = []
        for node in uploads:
            answer = results.get(node.uuid)
            if isinstance(answer, StoreResult) and answer.stored:
                stored += [node.uuid, *answer.stored_in]
                self._result.stored.append(node.uuid)
            elif isinstance(answer, ShoalError) and not blameless:
                self._result.failed[node.uuid] = _cause(answer)
            else:
                self._refusals[node.uuid] = outcome.reason(answer) if answer else ""
                pending.append(node.uuid)
        await self._fleet.record(self._key, present=stored)
        return pending

    async def _is_bad(self, source: Node, pending: list[UUID]) -> bool:
        """Tell whether it was the fault of `source` that nodes did not store its content. If
        not, it was theirs: they have failed, and none is pending."""
        equivalents = self._fleet.session.repository.objects.equivalents(self._key)
        try:
            verdict = await verify(source, self._key, self._throttle, self._caller, equivalents)
        except ShoalError:
            return True
        if verdict.state is State.GOOD:
            self._result.failed |= {
                uuid: self._refusals[uuid] or "it did not store the content" for uuid in pending
            }
            pending.clear()
            return False
        if verdict.state is State.BAD:
            self._result.bad.append(source.uuid)
        return True

    async def _close(self, uploads: dict[Node, Upload]) -> None:
        """Free what nodes agreed to; partial content is kept."""
        closing = [_close(node, upload) for node, upload in uploads.items()]
        await uninterrupted(_all(closing))


async def _all(work: Sequence[Coroutine[object, object, None]]) -> None:
    await asyncio.gather(*work)


async def _close(node: Node, upload: Upload) -> None:
    try:
        with suppress(ShoalError, OSError):
            await node.patience.call(node.name, upload.aclose(), node.patience.limits.grace)
    finally:
        await node.leave()


def _cause(error: ShoalError) -> str:
    """Give why a node failed, without its name."""
    return error.cause if isinstance(error, RemoteUnavailable) else str(error)
