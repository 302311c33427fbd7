"""What is configured for the network of a session's repository, for lint."""

from __future__ import annotations

from collections.abc import Collection, Set
from typing import TYPE_CHECKING

from shoal.git.preferences import RecordedRules
from shoal.logs.trust import TrustLevel
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.annex.session import Session


class SessionNetwork(RecordedRules):
    """The NetworkFacts of preferred/finding.py, as the git-annex branch has them now."""

    def __init__(self, session: Session) -> None:
        logs = session.logs
        super().__init__(logs.wanted(), logs.required(), logs.group_wanted(), logs.groups())
        self._session = session
        self._max_sizes = logs.max_sizes()

    def repositories(self) -> Collection[UUID]:
        return {*self._wanted, *self._required, *self._groups}

    def members(self, group: str) -> Set[UUID]:
        return frozenset(repo for repo, groups in self._groups.items() if group in groups)

    def max_size(self, repo: UUID) -> int | None:
        return self._max_sizes.get(repo)

    def trust(self, repo: UUID) -> TrustLevel:
        return self._session.trust(repo)

    def name(self, repo: UUID) -> str:
        """Give what the user can call a repository in a command."""
        if repo == self._session.here:
            return "here"
        return self._session.names.remote_name(repo) or repo
