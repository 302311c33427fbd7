"""What a request is for: a remote, and the repository in whose name it is served."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from shoal.remotes.base import Remote
from shoal.values.uuid import UUID


class Slots:
    """How many requests a repository serves at once; the others wait their turn.

    Transfers and short requests have `jobs` slots each, so that a few slow uploads do not
    keep everybody from asking whether a key is present.
    """

    def __init__(self, jobs: int) -> None:
        self._transfers = asyncio.Semaphore(jobs)
        self._requests = asyncio.Semaphore(jobs)

    def transfer(self) -> AbstractAsyncContextManager[None]:
        """A slot for sending or receiving content."""
        return self._transfers

    def request(self) -> AbstractAsyncContextManager[None]:
        """A slot for a request that is answered at once."""
        return self._requests


@dataclass(frozen=True, slots=True)
class Target:
    """A remote that is served here."""

    remote: Remote
    site: Site


class Site(ABC):
    """One repository that is served, with everything that it is a gateway for."""

    slots: Slots

    @abstractmethod
    def changing(self) -> AbstractAsyncContextManager[None]:
        """Surrounds what may change location logs: they are committed some time after."""


class Directory(ABC):
    """All that is served, found by UUID."""

    @abstractmethod
    async def find(self, uuid: UUID) -> Target | None:
        """Give the remote that has `uuid`, None when it is not served here (now)."""

    @abstractmethod
    async def aclose(self) -> None:
        """Commit what is to be committed, and close everything."""
