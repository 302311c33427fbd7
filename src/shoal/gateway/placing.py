"""Finding the nodes that take an upload: who wants the key, who takes it, who has it already.

1. Nodes that are not logged to have the key and want it are asked to take it. When one of
   them cannot, the others are judged again without it.
2. When that gives nobody, the nodes that are logged to have the key are asked. If one says
   that it has, that is the answer; if the log was wrong, such a node is judged like the
   others. (git-annex would store on all nodes that do not want it.)
3. When no node has it or wants it, and none failed, configuration decides (`Unwanted`).

A small content that is whole in memory is given to a node at once, where the node is asked to
take it because it is to have it. One that fails to store it is replaced, too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial

from shoal.errors import RemoteRefused, ShoalError
from shoal.gateway import outcome, select
from shoal.gateway.node import Node
from shoal.gateway.patience import uninterrupted
from shoal.gateway.records import Records, in_thread
from shoal.gateway.select import Unwanted
from shoal.remotes.base import AlreadyPresent, Caller, StoreResult, Upload
from shoal.remotes.content import WholeContent
from shoal.values.key import Key
from shoal.values.uuid import UUID, is_cluster_uuid


class Placing:
    """One upload being placed. `close` frees what nodes agreed to."""

    def __init__(
        self,
        nodes: Mapping[UUID, Node],
        records: Records,
        key: Key,
        file: str,
        caller: Caller,
        content: WholeContent | None = None,
        agreed: Callable[[], None] = lambda: None,
    ) -> None:
        """`nodes` are in the order in which they are judged and listed. `agreed` is called when
        a node takes the `content`."""
        self.key = key
        self.nodes = nodes
        self.records = records
        self.logged: frozenset[UUID] = frozenset()
        self.uploads: dict[UUID, Upload] = {}  # where the content goes
        self.already: dict[UUID, tuple[UUID, ...]] = {}  # who has it, and whom they named
        self.results: dict[UUID, StoreResult | Exception] = {}  # of nodes that took the content
        self.failures: dict[UUID, Exception] = {}
        self._opened: dict[UUID, Upload] = {}
        self._file = file
        self._caller = caller
        self._content = content
        self._agreed = agreed
        self._closed = False

    async def place(self, cluster: str, unwanted: Unwanted) -> None:
        """Find where the content goes.

        Raises RemoteRefused, NotEnoughSpace, TransferInProgress or RemoteUnavailable when no
        node takes the content and none has it.
        """
        chosen = await in_thread(self._first_choice)
        lacking = select.lacking([*self.nodes], self.logged)
        await self._fill(lacking, chosen)
        if not self._settled:
            await self._ask_holders([uuid for uuid in self.nodes if uuid not in lacking])
        if not self._settled and not self.failures:
            await self._place_unwanted(lacking, cluster, unwanted)
        if not self._settled:
            raise outcome.refusal(cluster, self.failures)

    @property
    def _settled(self) -> bool:
        return bool(self.uploads or self.already or self.results)

    def _first_choice(self) -> list[UUID]:
        self.logged = self.records.locations(self.key)
        return self._wanting(select.lacking([*self.nodes], self.logged))

    def _wanting(self, candidates: Sequence[UUID]) -> list[UUID]:
        """Give which of the candidates, none of which has the key, want it as things are."""
        logged = {uuid for uuid in self.logged if not is_cluster_uuid(uuid)}
        holders = (logged - set(candidates)) | self.uploads.keys() | self.already.keys()
        holders |= {uuid for uuid in self.results if not self._has_failed(uuid)}

        def wants(uuid: UUID, present: frozenset[UUID]) -> bool:
            return self.records.wants(uuid, self.key, self._file, present)

        return select.wanting(candidates, holders, wants)

    async def _fill(self, lacking: Sequence[UUID], chosen: list[UUID]) -> None:
        """Offer the content to the chosen ones, and to others in the place of who fails."""
        while chosen:
            await self._offer(chosen, self._content)
            self.uploads.update({u: self._opened[u] for u in chosen if u in self._opened})
            if not any(map(self._has_failed, chosen)):
                return
            asked = self._asked()
            left = [uuid for uuid in lacking if uuid not in asked]
            chosen = await in_thread(partial(self._wanting, left))

    def _asked(self) -> set[UUID]:
        return {*self._opened, *self.already, *self.results, *self.failures}

    def _has_failed(self, uuid: UUID) -> bool:
        """Tell whether a node could not take the content, or took it and failed."""
        return uuid in self.failures or isinstance(self.results.get(uuid), Exception)

    async def _ask_holders(self, holders: Sequence[UUID]) -> None:
        """Ask nodes that should have the key; those that do not may want it."""
        await self._offer(holders)
        lacking = [uuid for uuid in holders if uuid in self._opened]
        if lacking:
            wanted = await in_thread(partial(self._wanting, lacking))
            self.uploads.update({uuid: self._opened[uuid] for uuid in wanted})

    async def _place_unwanted(
        self, lacking: Sequence[UUID], cluster: str, unwanted: Unwanted
    ) -> None:
        """No node has the key, and none wants it."""
        match unwanted:
            case Unwanted.ALL:
                await self._offer(lacking, self._content)
                self.uploads.update(self._opened)
            case Unwanted.ONE:
                for uuid in lacking:
                    if not all(map(self._has_failed, self._asked())):
                        break
                    await self._offer([uuid], self._content)
                self.uploads.update(list(self._opened.items())[:1])
            case Unwanted.NONE:
                raise RemoteRefused(f'no node of the cluster "{cluster}" wants this content')

    async def _offer(self, uuids: Sequence[UUID], content: WholeContent | None = None) -> None:
        """Ask nodes at once whether they take the content, or give it to them; note what each
        says."""
        offers = (
            self._begin(self.nodes[uuid])
            if content is None
            else self._give(self.nodes[uuid], content)
            for uuid in uuids
        )
        answers = await asyncio.gather(*offers, return_exceptions=True)
        for uuid, answer in zip(uuids, answers, strict=True):
            if isinstance(answer, ShoalError):
                self.failures[uuid] = answer
            elif isinstance(answer, BaseException):
                raise answer

    async def _begin(self, node: Node) -> None:
        answer = await node.begin_store(self.key, self._file, self._caller)
        if isinstance(answer, AlreadyPresent):
            self.already[node.uuid] = answer.stored_in
        elif self._closed:  # nobody waits for it any more
            await answer.aclose()
        else:
            node.enter()
            self._opened[node.uuid] = answer

    async def _give(self, node: Node, content: WholeContent) -> None:
        answer = await node.store_whole(self.key, content, self._file, self._caller, self._agreed)
        if isinstance(answer, AlreadyPresent):
            self.already[node.uuid] = answer.stored_in
        else:
            self.results[node.uuid] = answer

    async def close(self) -> None:
        """Free what nodes agreed to; the partial content that they have is kept."""
        self._closed = True
        opened, self._opened, self.uploads = self._opened, {}, {}
        if opened:
            closing = (_close(self.nodes[uuid], upload) for uuid, upload in opened.items())
            await uninterrupted(_all_of(*closing))


async def _all_of(*work: Coroutine[object, object, None]) -> None:
    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(each)


async def _close(node: Node, upload: Upload) -> None:
    """Close one upload. A node that cannot do even that has lost its grip on it anyway."""
    try:
        with contextlib.suppress(ShoalError, OSError):
            await node.patience.call(node.name, upload.aclose(), node.patience.limits.grace)
    finally:
        await node.leave()
