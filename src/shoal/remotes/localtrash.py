"""annex.trashbin: content goes to the remote that it names before it is removed here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from shoal.errors import RemoteRefused
from shoal.remotes.base import AlreadyPresent, Caller, Remote

if TYPE_CHECKING:
    from shoal.remotes.localdisk import LocalDisk
    from shoal.values.key import Key

_UNKNOWN: Final = "annex.trashbin is set to the name of an unknown remote"


class Trash:
    """The trash of the repository on `disk`; `find` gives a remote by its name."""

    def __init__(self, disk: LocalDisk, find: Callable[[str], Remote | None] | None) -> None:
        self._disk = disk
        self._find = find

    async def keep(self, key: Key, source: Remote, caller: Caller) -> None:
        """Copy a content that `source`, this repository, has, and that is to be removed there.

        Raises RemoteRefused when the trash does not take it.
        """
        name = await self._disk.call(partial(self._name, key))
        if name is None:
            return
        trash = None if self._find is None else self._find(name)
        if trash is None:
            raise RemoteRefused(_UNKNOWN)
        upload = await trash.begin_store(key, caller=caller)
        if isinstance(upload, AlreadyPresent):
            return
        async with upload, source.retrieve(key, upload.offset) as content:
            result = await upload.store(content)
        if not result.stored:
            raise RemoteRefused(f'cannot store in annex.trashbin "{name}": {result.error}')
        uuid = trash.info.uuid
        await self._disk.call(
            lambda: self._disk.repository().logs.set_location(key, uuid, True), writing=True
        )

    def _name(self, key: Key) -> str | None:
        """Give the remote that must have the content before it is removed here."""
        repository = self._disk.repository()
        name = repository.config.get("annex.trashbin")
        return name if name and repository.objects.present(key) else None
