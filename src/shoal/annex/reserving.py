"""Room for what --auto sends: reserved when preferred content says yes, until it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shoal.annex.automatic import wants

if TYPE_CHECKING:
    from shoal.annex.matching import Candidate
    from shoal.annex.session import Session
    from shoal.git.reposizes import Reservation
    from shoal.values.key import Key
    from shoal.values.uuid import UUID


class Reserving:
    """Asks whether a repository wants keys.

    When that depends on how full repositories are, room is reserved together with the yes, so
    that nobody else gives the same room away before the content is there.
    """

    def __init__(self, session: Session, repository: UUID) -> None:
        self._session = session
        self._repository = repository
        self._reserved: dict[Key, Reservation] = {}

    async def wants(self, candidate: Candidate) -> bool:
        """Tell whether the repository's preferred content wants the file. What it reserves
        for that is kept until held() ends."""
        if not self._session.policy(self._repository).looks_at_sizes:
            return wants(self._session, self._repository, candidate)
        return await asyncio.to_thread(self._decide, candidate)

    def _decide(self, candidate: Candidate) -> bool:
        repository, key = self._repository, candidate.key
        with self._session.repository.sizes.deciding() as decision:
            wanted = wants(self._session, repository, candidate)
            if wanted and repository not in self._session.logs.locations(key, raw=True):
                self._reserved[key] = decision.reserve(repository, key)
        return wanted

    @contextmanager
    def held(self, key: Key) -> Iterator[None]:
        """Send a key in the `with` block: when that ends, the room is taken or free again."""
        try:
            yield
        finally:
            reserved = self._reserved.pop(key, None)
            if reserved is not None:
                reserved.cancel()
