"""Facts from dictionaries, for tests of preferred content."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Set
from dataclasses import dataclass, field

from shoal.logs.trust import TrustLevel
from shoal.preferred.balanced import Choice
from shoal.values.key import Key
from shoal.values.uuid import UUID

HERE = UUID("11111111-1111-4111-8111-111111111111")


@dataclass
class DictFacts:
    """What is known of one key and file; also the rules. Nothing is known unless given."""

    key: Key | None = None
    file: str | None = None
    present_in: Set[UUID] = frozenset()
    trusts: Mapping[UUID, TrustLevel] = field(default_factory=dict)
    groups_of: Mapping[UUID, Set[str]] = field(default_factory=dict)
    copies_wanted: int = 1
    copies_wanted_of_file: int | None = None
    fields: Mapping[str, Collection[str]] = field(default_factory=dict)
    known_urls: Collection[str] = ()
    equivalents: Collection[Key] = ()
    dirs: Mapping[UUID, str] = field(default_factory=dict)
    unused: bool = False
    max_sizes: Mapping[UUID, int] = field(default_factory=dict)
    sizes: Mapping[UUID, int] = field(default_factory=dict)
    full_at: float = 0.9
    wanted_texts: Mapping[UUID, str] = field(default_factory=dict)
    required_texts: Mapping[UUID, str] = field(default_factory=dict)
    group_texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def choices(self) -> dict[Hashable, Choice]:
        return {}  # tests change facts between questions

    def locations(self) -> Set[UUID]:
        return {u for u in self.present_in if self.trust(u) is not TrustLevel.DEAD}

    def raw_locations(self) -> Set[UUID]:
        return self.present_in

    def is_present(self, repo: UUID) -> bool:
        return repo in self.locations()

    def trust(self, repo: UUID) -> TrustLevel:
        return self.trusts.get(repo, TrustLevel.SEMITRUSTED)

    def members(self, group: str) -> Set[UUID]:
        return {repo for repo, groups in self.groups_of.items() if group in groups}

    def numcopies(self) -> int:
        wanted = self.copies_wanted_of_file
        return self.copies_wanted if wanted is None else wanted

    def global_numcopies(self) -> int:
        return self.copies_wanted

    def metadata(self) -> Mapping[str, Collection[str]]:
        return self.fields

    def urls(self) -> Collection[str]:
        return self.known_urls

    def equivalent_keys(self) -> Collection[Key]:
        return self.equivalents

    def preferred_dir(self, repo: UUID) -> str:
        return self.dirs.get(repo, "public")

    def is_unused(self) -> bool:
        return self.unused

    def max_size(self, repo: UUID) -> int | None:
        return self.max_sizes.get(repo)

    def live_size(self, repo: UUID) -> int | None:
        return self.sizes.get(repo)

    def repositories(self) -> Collection[UUID]:
        return {*self.groups_of, *self.wanted_texts, *self.required_texts}

    def name(self, repo: UUID) -> str:
        return str(repo).split("-")[0]

    def wanted(self, repo: UUID) -> str:
        return self.wanted_texts.get(repo, "")

    def required(self, repo: UUID) -> str:
        return self.required_texts.get(repo, "")

    def group_wanted(self) -> Mapping[str, str]:
        return self.group_texts

    def groups(self, repo: UUID) -> Set[str]:
        return self.groups_of.get(repo, frozenset())
