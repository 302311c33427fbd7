"""Storing one content on several nodes at once: `spread`.

A node that fails or stalls leaves; the others go on. The content is hashed once, in a thread,
for all nodes that get it from its start; not at all when they are other machines, which verify it.

The tasks here are not in a TaskGroup, on purpose: a store that hangs in the kernel ends when
it likes, and must not keep the answer from the client. `Patience` looks after such a task.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from shoal.errors import ShoalError
from shoal.gateway.fanout import Branch, Fanout
from shoal.gateway.node import Node
from shoal.gateway.patience import NodeTimeout, Patience
from shoal.remotes.base import StoreResult, Upload
from shoal.remotes.content import Content
from shoal.values.backend import Verifier
from shoal.values.uuid import UUID

Results = dict[UUID, StoreResult | Exception]

_HASH_INLINE = 1 << 16  # bytes; hashing so few costs less than going to a thread
_LOOKS_PER_LIMIT = 8  # how often stalled nodes are looked for, in the time they may stall


async def spread(
    uploads: Mapping[Node, Upload],
    content: Content,
    verifier: Verifier | None,
    patience: Patience,
    results: Results,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Store `content` through all `uploads`.

    `results` gets, per node, what it answered, when it does, or in the end why it failed;
    however this ends, it holds every answer that came. Raises what reading `content` raises,
    after all stores have ended (the nodes keep what came, for a resume). Returns early when no
    node is left.
    """
    fanout = Fanout(content, clock)
    hashing = None
    wanted = any(upload.uses_digest for upload in uploads.values())
    if verifier is not None and content.offset == 0 and wanted:
        hashing = _Hashing(verifier, fanout.helper())
    stores = [
        _Store(node, upload, fanout.branch(upload.offset, hashing))
        for node, upload in uploads.items()
    ]
    pump = asyncio.create_task(fanout.pump(), name="read the upload")
    try:
        await _watch(stores, patience, results)
    finally:
        tasks = [store.task for store in stores if not store.given_up]
        try:
            await patience.dismiss(pump, *([] if hashing is None else [hashing.task]), *tasks)
        finally:
            for store in stores:
                store.note(results, blameless=fanout.broke_off)
    if pump.done() and not pump.cancelled():
        pump.result()


async def _watch(stores: list[_Store], patience: Patience, results: Results) -> None:
    """Wait until all stores have ended; note what they answer; give up those that stall."""
    limits = patience.limits
    tick = min(limits.stall, limits.finish) / _LOOKS_PER_LIMIT
    running = {store.task: store for store in stores}
    while running:
        done, _ = await asyncio.wait(running, timeout=tick, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            running.pop(task).note_answer(results)
        for store in list(running.values()):
            limit = limits.finish if store.branch.at_end else limits.stall
            if store.branch.stalled_for() > limit:
                store.given_up = f"it took nothing for {limit:g} s"
                store.branch.leave()
                patience.abandon(store.task)
                del running[store.task]


class _Store:
    """One node's store of the content, running."""

    def __init__(self, node: Node, upload: Upload, branch: Branch) -> None:
        self._node = node
        self.branch = branch
        self.given_up = ""
        self.task = asyncio.create_task(self._run(upload), name=f"store on {node.name}")

    async def _run(self, upload: Upload) -> StoreResult:
        try:
            return await upload.store(self.branch)
        finally:
            self.branch.leave()

    def note_answer(self, results: Results) -> None:
        """Put what the node answered into `results`, if it did."""
        if not self.task.cancelled() and self.task.exception() is None:
            results[self._node.uuid] = self.task.result()

    def note(self, results: Results, *, blameless: bool) -> None:
        """Put what came of it into `results`, if anything did. `blameless`: the source broke
        off, so that an error is not the node's fault."""
        uuid = self._node.uuid
        if self.given_up:
            results[uuid] = self._node.failure(NodeTimeout(self._node.name, self.given_up))
        elif self.task.done() and not self.task.cancelled():
            error = self.task.exception()
            if error is None:
                results[uuid] = self.task.result()
            elif isinstance(error, ShoalError | OSError) and not blameless:
                results[uuid] = self._node.failure(error)
            elif isinstance(error, Exception):
                results[uuid] = error


class _Hashing:
    """The hash of the whole stream, as the digest that all nodes share."""

    def __init__(self, verifier: Verifier, branch: Branch) -> None:
        self._verifier = verifier
        self._branch = branch
        self.task = asyncio.create_task(self._run(), name="hash the upload")

    async def _run(self) -> bool:
        loop = asyncio.get_running_loop()
        size = self._branch.size
        few = size is not None and size <= _HASH_INLINE
        try:
            while await self._branch.ready():
                if few:
                    self._hash()
                else:
                    await loop.run_in_executor(_hash_threads(), self._hash)
        finally:
            self._branch.leave()
        return self._verifier.matches()

    def _hash(self) -> None:
        for batch in self._branch.some():
            self._verifier.update(batch)

    async def matches(self) -> bool:
        """Tell whether all bytes are the key's content."""
        return await asyncio.shield(self.task)


@cache
def _hash_threads() -> ThreadPoolExecutor:
    """Threads of their own, so that hashing never waits behind a hanging disk."""
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="hash")
