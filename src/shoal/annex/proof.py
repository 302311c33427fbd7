"""When a copy may be dropped: verified copies, and the proof that enough of them are left.

Pure logic, without I/O or clock. The rules are git-annex's (spec: numcopies, mincopies and safe
dropping; checked against git-annex 10.20261026):

* dropping the content of this repository needs max(numcopies, mincopies) verified copies of any
  kind elsewhere. Its content lock is held exclusively while they are verified, so no one counts
  this copy meanwhile;
* dropping from another repository needs numcopies verified copies, and of them mincopies that
  nobody can remove at the same time: locked, or trusted. A lock held by another repository is
  only sure until its end time, so the proof has an end time too.

Times are seconds of this machine's monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from math import floor

from shoal.values.uuid import UUID


class Strength(IntEnum):
    """How a copy was verified; the stronger, the greater."""

    RECENTLY_VERIFIED = 1  # the repository said that it has it
    TRUSTED = 2  # the location log says so, and the repository is trusted
    LOCKED = 3  # the repository has it, and keeps it while we hold the lock


@dataclass(frozen=True, slots=True)
class VerifiedCopy:
    """One repository that has the content. `expires` is when a lock stops being sure (None:
    it holds until it is released)."""

    uuid: UUID
    strength: Strength
    expires: float | None = None

    def is_safe(self) -> bool:
        """Tell whether nobody can remove this copy at the same time."""
        return self.strength >= Strength.TRUSTED


@dataclass(frozen=True, slots=True)
class Needed:
    """How many copies must be left. Both are at least 1."""

    numcopies: int
    mincopies: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "numcopies", max(1, self.numcopies))
        object.__setattr__(self, "mincopies", max(1, self.mincopies))


@dataclass(frozen=True, slots=True)
class DropProof:
    """Enough copies are left, until `expires` (None: as long as their locks are held)."""

    copies: tuple[VerifiedCopy, ...]
    expires: float | None

    def is_valid(self, now: float) -> bool:
        """Tell whether the proof still holds at the time `now`."""
        return self.expires is None or now < self.expires


@dataclass(frozen=True, slots=True)
class TooFewVerified:
    """Fewer copies were verified than numcopies asks for."""

    verified: int
    needed: int

    def __str__(self) -> str:
        if self.needed == 1:
            return "Could not verify the existence of the 1 necessary copy."
        return (
            f"Could only verify the existence of {self.verified} out of {self.needed} "
            "necessary copies."
        )


@dataclass(frozen=True, slots=True)
class TooFewLocked:
    """Enough copies were verified, but fewer than mincopies asks for are safe from a drop at
    the same time (or, for a drop here, at all)."""

    needed: int

    def __str__(self) -> str:
        copies = "1 copy" if self.needed == 1 else f"{self.needed} copies"
        return f"Unable to lock down {copies} of file necessary to safely drop it."


Shortage = TooFewVerified | TooFewLocked


def strongest(copies: Iterable[VerifiedCopy]) -> tuple[VerifiedCopy, ...]:
    """Keep one copy per repository: the strongest, and of two locks the one that lasts longer."""
    best: dict[UUID, VerifiedCopy] = {}
    for copy in copies:
        known = best.get(copy.uuid)
        if known is None or _rank(copy) > _rank(known):
            best[copy.uuid] = copy
    return tuple(best.values())


def _rank(copy: VerifiedCopy) -> tuple[int, float]:
    return copy.strength, float("inf") if copy.expires is None else copy.expires


def prove(copies: Iterable[VerifiedCopy], needed: Needed, *, here: bool) -> DropProof | Shortage:
    """Give the proof that a drop is safe, or say what it lacks.

    `copies` are those that stay: the repository that is dropped from is not among them.
    `here`: the drop is from this repository, whose content lock is held exclusively.
    """
    kept = strongest(copies)
    if len(kept) < needed.numcopies:
        return TooFewVerified(len(kept), needed.numcopies)
    safe = kept if here else tuple(copy for copy in kept if copy.is_safe())
    if len(safe) < needed.mincopies:
        return TooFewLocked(needed.mincopies)
    ends = [copy.expires for copy in kept if copy.expires is not None]
    return DropProof(kept, min(ends) if ends else None)


def removal_deadline(proof: DropProof, their_clock: int, read_at: float) -> int | None:
    """Give the time of the other repository's clock before which a removal must happen.

    `their_clock` is what it answered, in whole seconds rounded down, and `read_at` our time when
    the answer was there: its clock showed that value before, so the result is never too late.
    None when the proof has no end.
    """
    if proof.expires is None:
        return None
    return their_clock + floor(proof.expires - read_at)
