"""Facts as they will be: what an expression sees when other repositories have the key.

A planner asks what nodes would want if a copy were made here and another dropped there. Then
the key's locations differ, and with them the sizes of those who get or lose it.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Set

from shoal.logs.trust import TrustLevel
from shoal.preferred.balanced import Choice
from shoal.preferred.facts import Facts, GroupFacts
from shoal.values.key import Key
from shoal.values.uuid import UUID

_NOBODY: frozenset[UUID] = frozenset()


class Network:
    """Groups and sizes, looked up once, with the bytes by which repositories will have grown
    when all plans made so far are carried out."""

    def __init__(self, now: GroupFacts) -> None:
        self._now = now
        self._members: dict[str, frozenset[UUID]] = {}
        self._max_sizes: dict[UUID, int | None] = {}
        self._sizes: dict[UUID, int | None] = {}
        self._planned: dict[UUID, int] = {}
        self.full_at = now.full_at

    def members(self, group: str) -> Set[UUID]:
        found = self._members.get(group)
        if found is None:
            found = self._members[group] = frozenset(self._now.members(group))
        return found

    def max_size(self, repo: UUID) -> int | None:
        if repo not in self._max_sizes:
            self._max_sizes[repo] = self._now.max_size(repo)
        return self._max_sizes[repo]

    def live_size(self, repo: UUID) -> int | None:
        if repo not in self._sizes:
            self._sizes[repo] = self._now.live_size(repo)
        return _grown(self._sizes[repo], self._planned.get(repo, 0))

    def grow(self, repo: UUID, size: int) -> None:
        """A repository will have `size` bytes more; less when that is negative."""
        self._planned[repo] = self._planned.get(repo, 0) + size


class PlannedFacts:
    """The facts of one key as they would be when exactly `copies`, of all repositories that
    are not dead, had it. `without` are repositories that count as in no group."""

    def __init__(
        self, now: Facts, network: GroupFacts, copies: Set[UUID], without: Set[UUID] = _NOBODY
    ) -> None:
        """`now` is what is known of the key, `network` of groups and sizes."""
        self.key = now.key
        self.file = now.file
        self.full_at = network.full_at
        self._now = now
        self._network = network
        self._copies = copies
        self._without = without
        self.choices: dict[Hashable, Choice] = {}

    def members(self, group: str) -> Set[UUID]:
        members = self._network.members(group)
        return members - self._without if self._without else members

    def max_size(self, repo: UUID) -> int | None:
        return self._network.max_size(repo)

    def live_size(self, repo: UUID) -> int | None:
        size = self._network.live_size(repo)
        if self.key is None or not self.key.size:
            return size
        copies = (repo in self._copies) - (repo in self._now.locations())
        return _grown(size, self.key.size * copies)

    def locations(self) -> Set[UUID]:
        return self._copies

    def raw_locations(self) -> Set[UUID]:
        return self._copies | (self._now.raw_locations() - self._now.locations())

    def is_present(self, repo: UUID) -> bool:
        return repo in self._copies

    def trust(self, repo: UUID) -> TrustLevel:
        return self._now.trust(repo)

    def numcopies(self) -> int:
        return self._now.numcopies()

    def global_numcopies(self) -> int:
        return self._now.global_numcopies()

    def metadata(self) -> Mapping[str, Collection[str]]:
        return self._now.metadata()

    def urls(self) -> Collection[str]:
        return self._now.urls()

    def equivalent_keys(self) -> Collection[Key]:
        return self._now.equivalent_keys()

    def preferred_dir(self, repo: UUID) -> str:
        return self._now.preferred_dir(repo)

    def is_unused(self) -> bool:
        return self._now.is_unused()


def _grown(size: int | None, growth: int) -> int | None:
    """Give the size after a growth. None: nobody ever heard of the repository, nor will."""
    return size if not growth else (size or 0) + growth
