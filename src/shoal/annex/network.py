"""The remotes of a session, opened: those that can be used, in the order to try them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from shoal.errors import ConfigError, NoSuchRemote, ShoalError
from shoal.remotes.instantiate import Opener
from shoal.remotes.local import LocalRemote
from shoal.remotes.settings import Kind, RemoteSettings

if TYPE_CHECKING:
    from shoal.annex.session import Session
    from shoal.remotes.base import Remote
    from shoal.values.key import Key
    from shoal.values.uuid import UUID


class Network:
    """Opens remotes when they are first needed. Use it with `async with`: at the end the
    location logs of repositories on this machine are committed, and connections closed."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.here = LocalRemote(
            session.repository.path,
            session.here,
            name="here",
            repository=session.repository,
            trash=self._trash,
        )
        self._changed: set[LocalRemote] = set()
        self._opener = Opener(
            session.repository, on_log_change=self._changed.add, trash=self._trash
        )
        self._opened: dict[str, Remote] = {}

    @property
    def usable(self) -> list[RemoteSettings]:
        """The remotes that a command may use without being told, the cheapest first."""
        found = sorted(self.session.settings, key=lambda one: one.cost)
        found = [one for one in found if not one.ignore]
        return [one for one in found if one.uuid is not None and one.uuid != self.session.here]

    def open(self, settings: RemoteSettings) -> Remote:
        """Give an opened remote. Raises ConfigError for a kind that cannot be used."""
        remote = self._opened.get(settings.name)
        if remote is None:
            remote = self._opened[settings.name] = self._opener.open(settings)
        return remote

    def with_key(self, key: Key, besides: Collection[UUID] = ()) -> list[RemoteSettings]:
        """Give the usable remotes that are logged to have `key`, the cheapest first; of
        several remotes with one UUID all are given."""
        locations = self.session.locations(key) - set(besides)
        return [one for one in self.usable if one.uuid in locations]

    async def aclose(self) -> None:
        """Commit what changed in repositories of this machine, and close everything."""
        for changed in self._changed:
            with suppress(ShoalError):  # it is in their journal, and committed later
                await changed.commit()
        for remote in self._opened.values():
            await remote.aclose()
        await self._opener.aclose()
        await self.here.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.shield(self.aclose())

    def _trash(self, name: str) -> Remote | None:
        try:
            return self.open(self.session.remote_named(name))
        except (NoSuchRemote, ConfigError):
            return None


def is_on_this_machine(settings: RemoteSettings) -> bool:
    """Tell whether asking the remote for a key costs next to nothing."""
    return settings.kind is Kind.PATH
