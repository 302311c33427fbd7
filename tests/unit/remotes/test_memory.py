"""The remote in memory, which other tests rely on, keeps the contract too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shoal.remotes.base import Remote
from tests.support.memory_remote import MemoryRemote
from tests.unit.remotes.contract import RemoteContract


class TestMemoryRemote(RemoteContract):
    """As any remote."""

    @asynccontextmanager
    async def opened(self, directory: Path) -> AsyncIterator[Remote]:
        yield MemoryRemote()
