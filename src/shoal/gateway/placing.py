"""Finding the nodes that take an upload: who wants the key, who takes it, who has it already.

1. Nodes that are not logged to have the key, want it and have room are asked to take it. When
   one of them cannot, the others are judged again without it.
2. When that gives nobody, the nodes that are logged to have the key are asked. If one says
   that it has, that is the answer; if the log was wrong, such a node is judged like the
   others. (git-annex would store on all nodes that do not want it.)
3. When no node has it, and none failed: if nodes want it and are full, it is refused (`Full`);
   if none wants it, configuration decides (`Unwanted`). A node that is being emptied never
   gets anything.

Where sizes matter, room is reserved in each node as it is chosen, until the location log says
that the key is there, or `close`.

A small content that is whole in memory is given to a node at once, where the node is asked to
take it because it is to have it. One that fails to store it is replaced, too; so is one that
fails in the middle of a large content, see upload.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial

from shoal.errors import NotEnoughSpace, RemoteRefused, ShoalError
from shoal.gateway import outcome, select
from shoal.gateway.choosing import Placed, Room, choose
from shoal.gateway.node import Node
from shoal.gateway.patience import uninterrupted
from shoal.gateway.records import Records, choice, choice_at_once, in_thread
from shoal.gateway.select import Full, Unwanted
from shoal.git.waiting import WouldWait
from shoal.remotes.base import AlreadyPresent, Caller, StoreResult, Upload
from shoal.remotes.content import WholeContent
from shoal.values.key import Key
from shoal.values.uuid import UUID, is_cluster_uuid


class Placing:
    """One upload being placed. `close` frees what nodes agreed to, and the room reserved."""

    def __init__(
        self,
        nodes: Mapping[UUID, Node],
        records: Records,
        key: Key,
        file: str,
        caller: Caller,
        content: WholeContent | None = None,
        *,
        full: Full = Full.REFUSE,
        agreed: Callable[[], None] = lambda: None,
    ) -> None:
        """`nodes` are in the order in which they are judged and listed. `agreed` is called when
        a node takes the `content`."""
        self.key = key
        self.caller = caller
        self.file = file
        self.nodes = nodes
        self.records = records
        self.logged: frozenset[UUID] = frozenset()
        self.uploads: dict[UUID, Upload] = {}  # where the content goes
        self.already: dict[UUID, tuple[UUID, ...]] = {}  # who has it, and whom they named
        self.results: dict[UUID, StoreResult | Exception] = {}  # of nodes that took the content
        self.recorded: set[UUID] = set()  # who was put into the location log since
        self.failures: dict[UUID, Exception] = {}
        self._chosen: list[UUID] | None = None  # at first; None: nobody was, yet
        self._opened: dict[UUID, Upload] = {}
        self._rooms: dict[UUID, Room] = {}
        self._only_full = False  # nodes want it, and all of them are full
        self._all_leaving = False
        self._heeds_sizes = full is Full.REFUSE
        self._content = content
        self._agreed = agreed
        self._closed = False

    def place_at_once(self, content: WholeContent) -> bool:
        """Do of place() what nothing needs to be waited for; tell whether that was all, and
        there is nothing to close."""
        try:
            self._chosen = choice_at_once(self._first_choice)
        except WouldWait:
            return False
        given = [self._give_at_once(self.nodes[uuid], content) for uuid in self._chosen]
        done = all(given) and self._settled and not any(map(self._has_failed, self._chosen))
        return done and not self._rooms

    async def place(self, cluster: str, unwanted: Unwanted) -> None:
        """Find where the content goes.

        Raises RemoteRefused, NotEnoughSpace, TransferInProgress or RemoteUnavailable when no
        node takes the content and none has it.
        """
        if self._chosen is None:
            self._chosen = await choice(self._first_choice)
        await self._fill(self._chosen, self._content)
        if not self._settled:
            asked = self._asked()
            await self._ask_holders([u for u in self.nodes if u in self.logged and u not in asked])
        if not self._settled and not self.failures:
            if self._only_full:
                raise NotEnoughSpace(outcome.NO_SPACE)
            await self._place_unwanted(cluster, unwanted)
        if not self._settled:
            raise outcome.refusal(cluster, self.failures)

    async def replace_failed(self) -> dict[UUID, Upload]:
        """Find others in the place of nodes that failed after the upload began; give their
        uploads, to be fed from where each of them says."""
        before = {*self.uploads}
        left = [uuid for uuid in self._lacking if uuid not in self._asked()]
        if left:
            await self._fill(await choice(partial(self._choose, left)), None)
        return {uuid: upload for uuid, upload in self.uploads.items() if uuid not in before}

    @property
    def _settled(self) -> bool:
        return bool(self.uploads or self.already or self.results)

    @property
    def _lacking(self) -> list[UUID]:
        behind = {u: node.route.only_there for u, node in self.nodes.items() if node.route}
        return select.lacking([*self.nodes], self.logged, behind)

    def _first_choice(self) -> list[UUID]:
        self.logged = self.records.locations(self.key)
        return self._choose(self._lacking)

    def _choose(self, candidates: Sequence[UUID], *, wanted: bool = True) -> list[UUID]:
        """Give which of the candidates, none of which has the key, are to get it as things are:
        those that have room and, if `wanted`, want it. Room is reserved in them."""
        for uuid in filter(self._has_failed, self._rooms):
            self._rooms[uuid].cancel()
        full = frozenset(filter(self._is_full, self._asked()))
        placed = Placed(self.key, self.file, self._reserved, full)
        holders = self._holders(candidates)
        with self.records.choosing([*self.nodes], placed) as choosing:
            chosen = choose(
                choosing, candidates, holders, heeds_sizes=self._heeds_sizes, wanted=wanted
            )
            rooms = {uuid: choosing.reserve(uuid) for uuid in chosen.nodes}
        self._only_full |= chosen.only_full
        self._all_leaving = bool(candidates) and not chosen.staying
        self._rooms = self._rooms | {u: room for u, room in rooms.items() if room is not None}
        if self._closed:  # nobody waits for it any more
            self._give_up_rooms()
        return chosen.nodes

    def _holders(self, candidates: Sequence[UUID]) -> frozenset[UUID]:
        """Give who has the key, or is about to."""
        coming = self.uploads.keys() - self.results.keys()
        holders = (self.logged - {*candidates}) | coming | self.already.keys() | {*self.confirmed}
        return frozenset(uuid for uuid in holders if not is_cluster_uuid(uuid))

    @property
    def result(self) -> StoreResult:
        """What nodes said so far."""
        return outcome.stored([*self.nodes], self.results, self.already)

    @property
    def confirmed(self) -> list[UUID]:
        """The nodes that said that they stored the content."""
        return [u for u, r in self.results.items() if isinstance(r, StoreResult) and r.stored]

    @property
    def _reserved(self) -> frozenset[UUID]:
        return frozenset(uuid for uuid, room in self._rooms.items() if room.is_pending)

    def _is_full(self, uuid: UUID) -> bool:
        return isinstance(self.failures.get(uuid, self.results.get(uuid)), NotEnoughSpace)

    async def _fill(self, chosen: list[UUID], content: WholeContent | None) -> None:
        """Offer the content to the chosen ones, and to others in the place of who fails."""
        while chosen:
            await self._offer(chosen, content)
            self.uploads.update({u: self._opened[u] for u in chosen if u in self._opened})
            if not any(map(self._has_failed, chosen)):
                return
            asked = self._asked()
            left = [uuid for uuid in self._lacking if uuid not in asked]
            chosen = await choice(partial(self._choose, left)) if left else []

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
            wanted = await choice(partial(self._choose, lacking))
            self.uploads.update({uuid: self._opened[uuid] for uuid in wanted})

    async def _place_unwanted(self, cluster: str, unwanted: Unwanted) -> None:
        """No node has the key, and none wants it. Who lost it takes part like the others."""
        if unwanted is Unwanted.NONE:
            raise RemoteRefused(f'no node of the cluster "{cluster}" wants this content')
        takers = [*self._opened, *self._lacking]
        groups = [takers] if unwanted is Unwanted.ALL else [[uuid] for uuid in takers]
        for group in groups:
            takers = await choice(partial(self._choose, group, wanted=False))
            await self._offer([u for u in takers if u not in self._opened], self._content)
            self.uploads.update({u: self._opened[u] for u in takers if u in self._opened})
            if not all(map(self._has_failed, takers)):
                return
        if self._only_full and not self.failures:
            raise NotEnoughSpace(outcome.NO_SPACE)
        if self._all_leaving and not self.failures:
            raise RemoteRefused(f'the nodes of the cluster "{cluster}" are being emptied')

    async def _offer(self, uuids: Sequence[UUID], content: WholeContent | None = None) -> None:
        """Ask nodes at once whether they take the content, or give it to them; note what each
        says."""
        if content is not None:
            asked = self._asked()
            nodes = [self.nodes[uuid] for uuid in uuids if uuid not in asked]
            uuids = [node.uuid for node in nodes if not self._give_at_once(node, content)]
        if not uuids:
            return
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
        answer = await node.begin_store(self.key, self.file, self.caller)
        if isinstance(answer, AlreadyPresent):
            self.already[node.uuid] = answer.stored_in
        elif self._closed:  # nobody waits for it any more
            await answer.aclose()
        else:
            node.enter()
            self._opened[node.uuid] = answer

    def _give_at_once(self, node: Node, content: WholeContent) -> bool:
        """Give the content to a node that needs to wait for nothing; tell whether it took it,
        or has it."""
        answer = node.store_at_once(self.key, content, self.file, self.caller)
        if answer is None:
            return False
        if not isinstance(answer, AlreadyPresent):
            self._agreed()
        self._note(node, answer)
        return True

    async def _give(self, node: Node, content: WholeContent) -> None:
        agreed = self._agreed
        self._note(node, await node.store_whole(self.key, content, self.file, self.caller, agreed))

    def _note(self, node: Node, answer: StoreResult | AlreadyPresent | ShoalError) -> None:
        if isinstance(answer, AlreadyPresent):
            self.already[node.uuid] = answer.stored_in
        else:
            self.results[node.uuid] = answer

    async def close(self) -> None:
        """Free what nodes agreed to; the partial content that they have is kept."""
        self._closed = True
        opened, self._opened, self.uploads = self._opened, {}, {}
        if opened or self._reserved:
            await uninterrupted(self._close(opened))

    async def _close(self, opened: Mapping[UUID, Upload]) -> None:
        try:
            await _all_of(*(_close(self.nodes[uuid], upload) for uuid, upload in opened.items()))
        finally:
            if self._reserved:
                await in_thread(self._give_up_rooms)

    def _give_up_rooms(self) -> None:
        for room in self._rooms.values():
            room.cancel()


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
