"""Which members of a group a key belongs in: the balanced family.

Every gateway and client that knows the same logs picks the same members, without asking
anybody. Source: git-annex's design page "balanced preferred content" and git-annex 10.20261026;
checked on all vectors of tests/fixtures/preferred-content/balanced.json.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Set
from dataclasses import dataclass
from functools import lru_cache

from shoal.preferred.facts import GroupFacts
from shoal.values.key import Key
from shoal.values.uuid import UUID, uuid_bytes


@dataclass(frozen=True, slots=True)
class Choice:
    """Which members of a group a key belongs in, and what that followed from.

    `count` is how many were to be picked, `by_size` whether those with most room were looked
    for; `picked` is in the order of the key's ranking.
    """

    members: Set[UUID]
    count: int
    by_size: bool
    candidates: Set[UUID]
    picked: tuple[UUID, ...]


def pick(
    members: Collection[UUID], candidates: Collection[UUID], key: Key, count: int
) -> list[UUID]:
    """Give up to `count` of the `candidates`, in the order of the key's ranking.

    `members` are all of the group: they make the ranking, also those that are no candidates.
    """
    order = _in_order(frozenset(candidates))
    if not order or count <= 0:
        return []
    start = rank(members, key) % len(order)
    return [order[(start + i) % len(order)] for i in range(min(count, len(order)))]


def rank(members: Collection[UUID], key: Key) -> int:
    """Give the number that, modulo the number of candidates, is the place of the first one
    that is picked; candidates are sorted by UUID. It is less than 2**256."""
    secret = _secret(frozenset(members))
    return int.from_bytes(hmac.digest(secret, bytes(key), hashlib.sha256), "big")


@lru_cache(maxsize=64)
def _in_order(repos: frozenset[UUID]) -> tuple[UUID, ...]:
    return tuple(sorted(repos, key=uuid_bytes))


@lru_cache(maxsize=64)
def _secret(members: frozenset[UUID]) -> bytes:
    return b"".join(map(uuid_bytes, _in_order(members)))


def candidates_by_hash(
    members: Set[UUID], key: Key, holders: Set[UUID], facts: GroupFacts
) -> set[UUID]:
    """Give the members with room for the key; one whose maximum size is not set, or whose size
    nobody ever heard of, has room.

    `holders` have the key now, and so need no more room for it.
    """
    return {
        member
        for member in members
        if (limit := facts.max_size(member)) is None
        or (used := facts.live_size(member)) is None
        or _fits(member in holders, used, key, limit)
    }


def candidates_by_size(
    members: Set[UUID], key: Key, holders: Set[UUID], facts: GroupFacts, count: int
) -> set[UUID]:
    """Give the `count` members with the largest part of their maximum size free.

    Only members with a maximum size above 0 and room for the key count. Ties go to the larger
    UUID.
    """
    ranking = []
    for member in sorted(members, key=uuid_bytes):
        limit = facts.max_size(member) or 0
        used = facts.live_size(member) or 0
        if limit > 0 and _fits(member in holders, used, key, limit):
            ranking.append((free_part(member, key, holders, facts), member))
    ranking.sort(key=lambda entry: entry[0])
    return {member for _, member in ranking[::-1][: max(count, 0)]}


def free_part(member: UUID, key: Key, holders: Set[UUID], facts: GroupFacts) -> float:
    """Give the part of a member's maximum size that is free, were the key not there.

    0 when it has no maximum size; below 0 when more is there than should be.
    """
    limit, used = facts.max_size(member) or 0, facts.live_size(member) or 0
    return _ratio(limit - used + (key.size or 0 if member in holders else 0), limit)


def needs_size_balance(members: Set[UUID], count: int, facts: GroupFacts) -> bool:
    """Tell whether, when rebalancing, too few members are left that are not nearly full."""
    if count <= 1:
        return False
    return count > len(members) - sum(_is_too_full(member, facts) for member in members)


def _fits(holds: bool, used: int, key: Key, limit: int) -> bool:
    return used + (0 if holds else key.size or 0) <= limit


def _is_too_full(member: UUID, facts: GroupFacts) -> bool:
    limit, used = facts.max_size(member), facts.live_size(member)
    if not limit or used is None:
        return False
    return _as_float(used) >= _as_float(limit) * facts.full_at


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _ratio(part: int, whole: int) -> float:
    """Divide as doubles, the way the real program does."""
    top, bottom = _as_float(part) if part >= 0 else -_as_float(-part), _as_float(whole)
    return top / bottom if 0 < bottom < float("inf") else 0.0
