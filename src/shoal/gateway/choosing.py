"""Choosing the nodes that get a key: who wants it, who has room, and reserving that room.

A choice is made while nobody else makes one by sizes (see shoal.git.reposizes), neither here
nor in another process, shoal's or the real git-annex's. When nothing depends on sizes, no lock
is taken and no database opened for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shoal.gateway import select
from shoal.git.preferences import RepositoryFacts
from shoal.values.key import Key
from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.git.annexlogs import AnnexLogs
    from shoal.git.preferences import Preferences
    from shoal.git.reposizes import Decision

LEAVING = "shoal.drain."
"""What comes before a node's UUID in config.log when the node is to be emptied."""

_VAST = 1 << 62  # bytes


@dataclass(frozen=True, slots=True)
class Placed:
    """A key that is being placed, and how far that has come.

    `file` is the associated file ("" when none is known). `reserved` are nodes where room is
    reserved for this upload already; `full` are nodes that said they have no space for it.
    """

    key: Key
    file: str = ""
    reserved: frozenset[UUID] = frozenset()
    full: frozenset[UUID] = frozenset()


class Room(Protocol):
    """Room for a key in a node, until the location log says that the key is there."""

    @property
    def is_pending(self) -> bool:
        """False when the log says so, or it was given up."""

    def cancel(self) -> None:
        """Give it up. Harmless when it is not pending."""


class Choosing(Protocol):
    """One choice being made. All methods may block, for moments."""

    def is_leaving(self, node: UUID) -> bool:
        """Tell whether a node is being emptied (`shoal cluster drain`), so gets nothing."""

    def has_room(self, node: UUID) -> bool:
        """Tell whether `node` may take the key without becoming larger than its maximum size,
        all that is on its way there included."""

    def wants(
        self, node: UUID, present: frozenset[UUID], *, whatever_its_size: bool = False
    ) -> bool:
        """Tell whether `node`, were it without the key, would want it by its preferred content
        when `present` are the repositories that hold it.

        A node without an expression wants everything. `whatever_its_size`: as if all
        repositories with a maximum size were empty, and that size vast. Raises ExpressionError
        when an expression asks for what is not known here.
        """

    def reserve(self, node: UUID) -> Room | None:
        """Reserve room for the key in `node`; None when nobody looks at sizes."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of the candidates get the key. `staying` are those that are not being emptied;
    `only_full`: some want it, and none of those has room."""

    nodes: list[UUID]
    staying: list[UUID]
    only_full: bool


def choose(
    choosing: Choosing,
    candidates: Sequence[UUID],
    holders: frozenset[UUID],
    *,
    heeds_sizes: bool = True,
    wanted: bool = True,
) -> Chosen:
    """Choose the candidates that have room and want the key; if not `wanted`, all with room.

    None of the candidates has the key, the `holders` have. With `heeds_sizes` False maximum
    sizes count for nothing, except to balanced content.
    """
    staying = [node for node in candidates if not choosing.is_leaving(node)]
    roomy = [node for node in staying if not heeds_sizes or choosing.has_room(node)]
    nodes = select.wanting(roomy, holders, choosing.wants) if wanted else roomy
    only_full = not nodes and any(
        not wanted or choosing.wants(node, holders, whatever_its_size=True)
        for node in staying
        if node not in roomy
    )
    return Chosen(nodes, staying, only_full)


@contextmanager
def choosing(
    preferences: Preferences, nodes: Iterable[UUID], placed: Placed
) -> Iterator[RepositoryChoosing]:
    """Choose among `nodes` by what a repository knows. Blocking.

    Raises LockError when another process keeps the lock on the sizes for a minute.
    """
    if not preferences.counts_sizes(nodes):
        yield RepositoryChoosing(preferences, placed)
        return
    with preferences.sizes.deciding() as decision:
        yield RepositoryChoosing(preferences, placed, decision)


class RepositoryChoosing:
    """A choice by what a repository knows. Without a `decision` no room can be reserved."""

    def __init__(
        self, preferences: Preferences, placed: Placed, decision: Decision | None = None
    ) -> None:
        self._preferences = preferences
        self._placed = placed
        self._decision = decision
        self._leaving = leaving_nodes(preferences.logs)
        self._facts = _Facts(preferences, placed)

    def is_leaving(self, node: UUID) -> bool:
        return node in self._leaving

    def has_room(self, node: UUID) -> bool:
        """A node that is logged to have the key counts it already."""
        limit = self._facts.max_size(node)
        if not limit and node not in self._placed.full:
            return True
        size = 0 if node in self._facts.raw_locations() else self._placed.key.size or 0
        return (self._facts.live_size(node) or 0) + size <= (limit or 0)

    def wants(
        self, node: UUID, present: frozenset[UUID], *, whatever_its_size: bool = False
    ) -> bool:
        facts = _VastFacts(self._preferences, self._placed) if whatever_its_size else self._facts
        policy = self._preferences.policy(node)
        return policy.wants(facts, default=True, absent=frozenset({node}), present=present)

    def reserve(self, node: UUID) -> Room | None:
        if self._decision is None or is_cluster_uuid(node):
            return None
        return self._decision.reserve(node, self._placed.key)


class _Facts(RepositoryFacts):
    """What is known of the key. Where room is reserved for it counts as where it is, since its
    size counts there; who said to have no space is full."""

    def __init__(self, preferences: Preferences, placed: Placed) -> None:
        raw = None
        if placed.reserved:
            raw = preferences.logs.locations(placed.key, raw=True) | placed.reserved
        super().__init__(preferences, placed.key, placed.file or None, raw)
        self._full = placed.full

    def max_size(self, repo: UUID) -> int | None:
        return 0 if repo in self._full else super().max_size(repo)

    def live_size(self, repo: UUID) -> int | None:
        return 1 if repo in self._full else super().live_size(repo)


class _VastFacts(_Facts):
    """The same, as if every repository with a maximum size had plenty of room."""

    def max_size(self, repo: UUID) -> int | None:
        limit = super(_Facts, self).max_size(repo)
        return _VAST if limit else limit

    def live_size(self, repo: UUID) -> int | None:
        return 0


def leaving_nodes(logs: AnnexLogs) -> frozenset[UUID]:
    """Give the nodes that are being emptied."""
    return frozenset(
        UUID(name.removeprefix(LEAVING))
        for name, value in logs.config().items()
        if name.startswith(LEAVING) and value
    )
