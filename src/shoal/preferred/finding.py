"""What lint needs to know, and what it finds."""

from __future__ import annotations

from collections.abc import Collection, Set
from dataclasses import dataclass
from typing import Protocol

from shoal.logs.trust import TrustLevel
from shoal.preferred.policy import Rules
from shoal.values.uuid import UUID


class NetworkFacts(Rules, Protocol):
    """What is configured for all repositories."""

    def repositories(self) -> Collection[UUID]:
        """All repositories that have an expression or are in a group."""

    def members(self, group: str) -> Set[UUID]:
        """Repositories in `group`, dead ones included."""

    def max_size(self, repo: UUID) -> int | None:
        """The most bytes of keys that `repo` should hold; None when that was not set."""

    def trust(self, repo: UUID) -> TrustLevel:
        """How far `repo` is trusted."""

    def name(self, repo: UUID) -> str:
        """What people call `repo`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is allowed, but hardly meant, in one sentence that says what to do.

    `kind` is a word for programs: "always", "broken", "count", "dangling", "dead", "differ",
    "glob", "group", "groupwanted", "maxsize", "never", "number", "outside", "parentheses",
    "precedence", "quotes", "share", "standard", "trust" or "unstable". `source` is "wanted" or
    "required" of `repo`, "groupwanted" of `group`, or "" when it is about a whole group.
    """

    kind: str
    text: str
    source: str = ""
    repo: UUID | None = None
    group: str | None = None

    def __str__(self) -> str:
        return self.text
