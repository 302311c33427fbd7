"""Which members of a group a key belongs in: the balanced family.

Every gateway and client that knows the same logs picks the same members, without asking
anybody. Source: git-annex's design page "balanced preferred content" and git-annex 10.20261026;
checked on all vectors of tests/fixtures/preferred-content/balanced.json.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Set

from shoal.preferred.facts import GroupFacts
from shoal.values.key import Key
from shoal.values.uuid import UUID, uuid_bytes


def pick(
    members: Collection[UUID], candidates: Collection[UUID], key: Key, count: int
) -> list[UUID]:
    """Give up to `count` of the `candidates`, in the order of the key's ranking.

    `members` are all of the group: they make the ranking, also those that are no candidates.
    """
    order = sorted(candidates, key=uuid_bytes)
    if not order or count <= 0:
        return []
    start = _rank(members, key) % len(order)
    return [order[(start + i) % len(order)] for i in range(min(count, len(order)))]


def _rank(members: Collection[UUID], key: Key) -> int:
    secret = b"".join(sorted(uuid_bytes(member) for member in members))
    return int.from_bytes(hmac.digest(secret, bytes(key), hashlib.sha256), "big")


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
        if limit <= 0 or not _fits(member in holders, used, key, limit):
            continue
        free = limit - used + (key.size or 0 if member in holders else 0)
        ranking.append((_ratio(free, limit), member))
    ranking.sort(key=lambda entry: entry[0])
    return {member for _, member in ranking[::-1][: max(count, 0)]}


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
    return top / bottom if bottom != float("inf") else 0.0
