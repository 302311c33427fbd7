"""What a request is for: a remote, and the repository in whose name it is served."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass

from shoal.remotes.base import Remote
from shoal.values.uuid import UUID


class Slots:
    """How many requests a repository serves at once; the others wait their turn.

    Transfers, short requests and git have `jobs` slots each, so that a few slow uploads do not
    keep everybody from asking whether a key is present.
    """

    def __init__(self, jobs: int) -> None:
        self._transfers = asyncio.Semaphore(jobs)
        self._requests = asyncio.Semaphore(jobs)
        self._git = asyncio.Semaphore(jobs)

    def transfer(self) -> AbstractAsyncContextManager[None]:
        """A slot for sending or receiving content."""
        return self._transfers

    @property
    def has_transfer(self) -> bool:
        """Whether such a slot is free now."""
        return not self._transfers.locked()

    def request(self) -> AbstractAsyncContextManager[None]:
        """A slot for a request that is answered at once."""
        return self._requests

    def git(self) -> AbstractAsyncContextManager[None]:
        """A slot for a git process that answers a request."""
        return self._git


@dataclass(frozen=True, slots=True)
class ServedGit:
    """A git repository as git's own requests see it. `url` is the P2P address that clients
    should use, when one is configured; `takes_pushes`: not switched off there."""

    git_dir: str
    uuid: UUID
    is_bare: bool
    url: str | None = None
    takes_pushes: bool = True


class Site(ABC):
    """One repository that is served, open, with everything that it is a gateway for."""

    def __init__(self, jobs: int) -> None:
        self.slots = Slots(jobs)
        self.users = 0  # requests and locks that use it: it must not be closed under them

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While the context is open the site is not closed to make room."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1

    @abstractmethod
    async def remote(self, uuid: UUID) -> Remote | None:
        """Give the remote with `uuid` if this repository serves it, now; asked per request.

        Raises ShoalError when the repository cannot be used any more.
        """

    def remote_at_once(self, uuid: UUID) -> Remote | None:
        """As remote(), when that is known without waiting; else None. Never raises."""
        return None

    async def served_git(self) -> ServedGit | None:
        """Give what git's own requests need to know, as things are now; None: not for git."""
        return None

    @abstractmethod
    async def aclose(self) -> None:
        """Commit what is to be committed, and close everything."""


@dataclass(frozen=True, slots=True)
class Target:
    """A remote that is served here."""

    remote: Remote
    site: Site


class Directory(ABC):
    """All that is served, found by UUID."""

    @abstractmethod
    async def find(self, uuid: UUID) -> Target | None:
        """Give the remote that has `uuid`, None when it is not served here (now)."""

    def find_at_once(self, uuid: UUID) -> Target | None:
        """As find(), when that is known without waiting; else None. Never raises."""
        return None

    async def find_path(self, path: str) -> Site | None:
        """Give the repository that has `path` in URLs of git, None when there is none (now)."""
        return None

    @abstractmethod
    async def aclose(self) -> None:
        """Close all sites."""
