"""The history of location logs: what a repository got and lost, and when.

A version is what a log said after a commit. Two versions of one log give the changes between
them. Since what is on the branch is merged later than it is written, the versions of several
clones may be interleaved: a version need not contain the one before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shoal.values.uuid import UUID


@dataclass(frozen=True, slots=True)
class Version:
    """What a location log said from `time` on (seconds since 1970)."""

    time: int
    present: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Change:
    """What one version of a location log added and removed, each sorted by UUID."""

    time: int
    added: tuple[UUID, ...]
    removed: tuple[UUID, ...]


def change(time: int, old: frozenset[UUID], new: frozenset[UUID]) -> Change | None:
    """Give what changed at `time`; None when it is nothing."""
    if old == new:
        return None
    return Change(time, tuple(sorted(new - old)), tuple(sorted(old - new)))


def changes(versions: Iterable[Version], before: frozenset[UUID]) -> Iterator[Change]:
    """Give the changes of one log, newest first.

    `versions` come newest first; `before` is what the log said before the oldest of them.
    """
    newer: Version | None = None
    for version in versions:
        if newer and (found := change(newer.time, version.present, newer.present)):
            yield found
        newer = version
    if newer and (found := change(newer.time, before, newer.present)):
        yield found
