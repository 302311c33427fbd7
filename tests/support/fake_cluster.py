"""A cluster of MemoryRemotes, with a location log in memory: for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from shoal.gateway.choosing import Placed
from shoal.gateway.cluster import ClusterRemote
from shoal.gateway.node import Node
from shoal.gateway.patience import Limits, Patience
from shoal.gateway.select import Full, Unwanted
from shoal.remotes.base import (
    NOBODY,
    AlreadyPresent,
    Caller,
    Remote,
    RemoteInfo,
    RemoveResult,
    StoreResult,
)
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.memory_remote import MemoryRemote, content_from

CLUSTER = UUID("acaaaaaa-0000-8000-8000-00000000000c")
GATEWAY = UUID("99999999-0000-4000-8000-000000000009")
QUICK = Limits(answer=30.0, stall=30.0, finish=30.0, hedge=30.0, grace=30.0)
IMPATIENT = Limits(answer=10.0, stall=10.0, finish=60.0, hedge=0.02, grace=0.05)


def node_uuid(number: int) -> UUID:
    """Give the UUID of the node with this number, from 1 on."""
    return UUID(f"{number}{number}{number}{number}0000-0000-4000-8000-00000000000{number}")


@dataclass
class FakeRecords:
    """A location log in a dict. Nodes want everything unless `wanted` says otherwise."""

    log: dict[Key, set[UUID]] = field(default_factory=dict)
    wanted: Callable[[UUID, frozenset[UUID]], bool] = lambda uuid, present: True
    asked_files: set[str] = field(default_factory=set)
    changes: list[tuple[Key, tuple[UUID, ...], tuple[UUID, ...]]] = field(default_factory=list)
    at_hand: bool | None = None  # whether locations are kept; None: now and then
    seen: list[tuple[Key, UUID]] = field(default_factory=list)  # what was found at once
    most_seen: int = 1000
    broken: Exception | None = None
    limits: dict[UUID, int] = field(default_factory=dict)  # maximum sizes, in bytes
    leaving: set[UUID] = field(default_factory=set)  # nodes that are being emptied
    rooms: list[FakeRoom] = field(default_factory=list)  # that were reserved
    on_choosing: Callable[[Placed], None] = lambda placed: None
    choices: threading.Lock = field(default_factory=threading.Lock)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def locations(self, key: Key) -> frozenset[UUID]:
        with self.lock:
            found = frozenset(self.log.get(key, set()))
        return found | {CLUSTER} if found else found

    def kept_locations(self, key: Key) -> frozenset[UUID] | None:
        at_hand = len(self.log) % 2 if self.at_hand is None else self.at_hand
        return self.locations(key) if at_hand else None

    def found(self, key: Key, node: UUID) -> bool:
        if len(self.seen) < self.most_seen:
            self.seen.append((key, node))
            return True
        return False

    @contextmanager
    def choosing(self, nodes: Collection[UUID], placed: Placed) -> Iterator[FakeChoosing]:
        self.asked_files.add(placed.file)
        self.on_choosing(placed)
        with self.choices:
            yield FakeChoosing(self, placed)

    def record(self, key: Key, present: Collection[UUID], missing: Collection[UUID]) -> None:
        if self.broken is not None:
            raise self.broken
        with self.lock:
            self.changes.append((key, tuple(present), tuple(missing)))
            entry = self.log.setdefault(key, set())
            entry |= set(present)
            entry -= set(missing)
            for room in self.rooms:
                room.is_pending &= not (room.key == key and room.node in present)

    def room_left(self, node: UUID) -> int:
        """Give how many bytes a node may still get; what is logged and reserved is not free."""
        with self.lock:
            places = {(key, node) for key, nodes in self.log.items() if node in nodes}
            places |= {(r.key, node) for r in self.rooms if r.is_pending and r.node == node}
        return self.limits[node] - sum(key.size or 0 for key, _ in places)

    @property
    def reserved(self) -> list[UUID]:
        """The nodes in which room is reserved."""
        return [room.node for room in self.rooms if room.is_pending]


@dataclass
class FakeRoom:
    """Room in a node."""

    node: UUID
    key: Key
    is_pending: bool = True

    def cancel(self) -> None:
        self.is_pending = False


@dataclass
class FakeChoosing:
    """A choice by FakeRecords. Only nodes with a limit have room reserved."""

    records: FakeRecords
    placed: Placed

    def is_leaving(self, node: UUID) -> bool:
        return node in self.records.leaving

    def has_room(self, node: UUID) -> bool:
        if node in self.placed.full:
            return False
        limited = node in self.records.limits
        return not limited or self.records.room_left(node) >= (self.placed.key.size or 0)

    def wants(
        self, node: UUID, present: frozenset[UUID], *, whatever_its_size: bool = False
    ) -> bool:
        assert node not in present
        assert CLUSTER not in present
        return self.records.wanted(node, present)

    def reserve(self, node: UUID) -> FakeRoom | None:
        if node not in self.records.limits:
            return None
        room = FakeRoom(node, self.placed.key)
        self.records.rooms.append(room)
        return room


@dataclass
class NodeRemote(MemoryRemote):
    """Remembers the times until which removals were allowed."""

    here: bool = False  # its clock is this machine's
    befores: list[int | None] = field(default_factory=list)

    @property
    def info(self) -> RemoteInfo:
        return replace(super().info, monotonic_clock_here=self.here)

    async def remove(
        self, key: Key, *, before: int | None = None, caller: Caller = NOBODY
    ) -> RemoveResult:
        self.befores.append(before)
        return await super().remove(key, before=before, caller=caller)


class FakeCluster:
    """`count` nodes n1, n2, ... of cost 100, and the cluster made of them.

    As in a real gateway the nodes are listed, and asked, in reverse order of their names.
    """

    def __init__(
        self,
        count: int = 3,
        *,
        limits: Limits = QUICK,
        unwanted: Unwanted = Unwanted.ALL,
        full: Full = Full.REFUSE,
        uuid: UUID = CLUSTER,
        clock: Callable[[], float] = lambda: 5000.5,
        kind: type[NodeRemote] = NodeRemote,
        uuids: Sequence[UUID] = (),
    ) -> None:
        uuids = uuids or [node_uuid(number) for number in range(1, count + 1)]
        self.remotes = [kind(uuid, f"n{n}") for n, uuid in enumerate(uuids, 1)]
        self.records = FakeRecords()
        self.patience = Patience(limits)
        self.now = 0.0
        self.nodes = [Node(r, self.patience, lambda: self.now) for r in reversed(self.remotes)]
        self.cluster = ClusterRemote(
            uuid,
            "mycluster",
            GATEWAY,
            self.nodes,
            self.records,
            self.patience,
            unwanted=unwanted,
            full=full,
            clock=clock,
        )

    def uuids(self, *numbers: int) -> tuple[UUID, ...]:
        """Give the UUIDs of nodes by number, in the order in which answers list them."""
        return tuple(node_uuid(n) for n in sorted(numbers, reverse=True))

    def holders(self, key: Key) -> tuple[UUID, ...]:
        """Give the nodes that really hold `key`, in that order."""
        return tuple(r.uuid for r in reversed(self.remotes) if key in r.objects)

    def logged(self, key: Key) -> tuple[UUID, ...]:
        """Give the nodes that the gateway's log names, in that order."""
        return tuple(sorted(self.records.log.get(key, set()), reverse=True))

    def give(self, content: bytes, *numbers: int) -> Key:
        """Let nodes hold `content`, and the log know it."""
        keys = [self.remotes[number - 1].put(content) for number in numbers]
        self.records.log.setdefault(keys[0], set()).update(node_uuid(n) for n in numbers)
        return keys[0]

    @property
    def idle(self) -> bool:
        """No node has an upload or a lock open, and nothing is counted as in flight."""
        counts = [node.state.in_flight for node in self.nodes]
        return all(remote.idle for remote in self.remotes) and not any(counts)


async def put(
    remote: Remote, key: Key, content: bytes, *, file: str = "", chunk: int = 1 << 16
) -> StoreResult | AlreadyPresent:
    """Store `content` as a server does: from the offset that the remote asks for."""
    begun = await remote.begin_store(key, file=file)
    if isinstance(begun, AlreadyPresent):
        return begun
    async with begun as upload:
        return await upload.store(content_from(content, offset=upload.offset, chunk=chunk))
