"""A remote that is configured but cannot be used: nothing is known of what it holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NoReturn

from shoal.errors import RemoteUnavailable
from shoal.remotes.base import (
    NOBODY,
    Caller,
    Remote,
    RemoteInfo,
    RemoveResult,
    StoreResult,
    Upload,
)
from shoal.remotes.content import Content
from shoal.values.key import Key


class UnusableRemote(Remote):
    """Raises RemoteUnavailable with `cause` whatever it is asked."""

    def __init__(self, info: RemoteInfo, cause: str) -> None:
        self._info = info
        self._cause = cause

    @property
    def info(self) -> RemoteInfo:
        return self._info

    def _refuse(self) -> NoReturn:
        raise RemoteUnavailable(self._info.name, self._cause)

    async def check_present(self, key: Key, *, caller: Caller = NOBODY) -> bool:
        self._refuse()

    def retrieve(
        self, key: Key, offset: int = 0, *, file: str = "", caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Content]:
        return self._opening()

    @asynccontextmanager
    async def _opening(self) -> AsyncIterator[Content]:
        self._refuse()
        yield

    async def begin_store(self, key: Key, *, file: str = "", caller: Caller = NOBODY) -> Upload:
        self._refuse()

    async def store_present(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult:
        self._refuse()

    async def remove(
        self, key: Key, *, before: int | None = None, caller: Caller = NOBODY
    ) -> RemoveResult:
        self._refuse()

    async def timestamp(self) -> int:
        self._refuse()

    def lock_content(
        self, key: Key, *, caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[None]:
        return self._locking()

    @asynccontextmanager
    async def _locking(self) -> AsyncIterator[None]:
        self._refuse()
        yield
