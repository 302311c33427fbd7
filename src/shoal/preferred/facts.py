"""What an expression may ask: the facts about one key and one file, seen from one repository.

git/facts.py answers from a repository, and tests (and the simulator) from dictionaries. An
implementation that cannot answer raises ExpressionError: it never guesses.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, MutableMapping, Set
from typing import TYPE_CHECKING, Protocol

from shoal.logs.trust import TrustLevel
from shoal.values.key import Key
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.preferred.balanced import Choice


class GroupFacts(Protocol):
    """Who is in a group, and how large and how full repositories are: the same for all keys."""

    def members(self, group: str) -> Set[UUID]:
        """Repositories in `group`, dead ones included."""

    def max_size(self, repo: UUID) -> int | None:
        """The most bytes of keys that `repo` should hold; None when that was not set."""

    def live_size(self, repo: UUID) -> int | None:
        """Bytes of keys in `repo`, transfers under way included; None: never heard of it."""

    @property
    def full_at(self) -> float:
        """From which part of its maximum size a repository is too full to give others to
        (annex.fullybalancedthreshhold)."""


class Facts(GroupFacts, Protocol):
    """Facts about one key and one file name. Only look-ups: asking changes nothing."""

    @property
    def key(self) -> Key | None:
        """The key; None when only a file name is known (no condition on a key matches then)."""

    @property
    def file(self) -> str | None:
        """The path from the top of the work tree; None when there is only a key."""

    @property
    def choices(self) -> MutableMapping[Hashable, Choice]:
        """Where evaluate.py keeps what it chose for the key, as long as these facts hold."""

    def locations(self) -> Set[UUID]:
        """Repositories that have the key by its location log, and clusters that one of them is
        a node of. No dead ones."""

    def raw_locations(self) -> Set[UUID]:
        """The same, with dead repositories."""

    def is_present(self, repo: UUID) -> bool:
        """Tell whether `repo` has the key: this repository by its object, others by the log."""

    def trust(self, repo: UUID) -> TrustLevel:
        """How far `repo` is trusted."""

    def numcopies(self) -> int:
        """The number of copies wanted of this file: its attribute, the log, or 1. What only
        this repository or command was told does not count."""

    def global_numcopies(self) -> int:
        """The number of copies wanted by the log alone, or 1."""

    def metadata(self) -> Mapping[str, Collection[str]]:
        """Current values of the key's metadata, by field name."""

    def urls(self) -> Collection[str]:
        """URLs recorded for the key, without the prefix that names their downloader."""

    def equivalent_keys(self) -> Collection[Key]:
        """Keys of other backends that are recorded to have the same content (of VURL keys)."""

    def preferred_dir(self, repo: UUID) -> str:
        """The `preferreddir` of a special remote's configuration, or "public"."""

    def is_unused(self) -> bool:
        """Tell whether the last run of `unused` listed the key."""
