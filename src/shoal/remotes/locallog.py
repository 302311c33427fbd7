"""The location log of a repository on this machine: what is recorded when content came or went."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from shoal.remotes.localhook import ContentHook

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.remotes.localdisk import LocalDisk
    from shoal.values.key import Key
    from shoal.values.uuid import UUID


class LocalLog:
    """Records which keys the repository `uuid` has. After each change `on_change` is called, and
    the annex-content hook is run if there is a `hook`. Its methods block."""

    def __init__(
        self,
        disk: LocalDisk,
        uuid: UUID,
        on_change: Callable[[], None] | None,
        hook: ContentHook | None,
    ) -> None:
        self._disk = disk
        self._uuid = uuid
        self._on_change = on_change
        self._hook = hook

    def came(self, repository: Repository, key: Key) -> bool:
        """Record that the key is here; tell whether that is still so.

        Who removes a content records that after it is gone. So what is there after this was
        recorded is recorded rightly; what is not was removed by somebody at the same time.
        """
        self._record(repository, key, True)
        if repository.objects.path(key) is not None:
            return True
        self._disk.still_there()
        self._record(repository, key, False)
        return False

    def went(self, repository: Repository, key: Key) -> None:
        """Record that the key, which was here until now, is gone."""
        self._record(repository, key, False)

    def found_absent(self, repository: Repository, key: Key) -> None:
        """Correct a log that says that the key is here; there is no need to make one."""
        repository.refresh()
        if self._uuid in repository.logs.locations(key, raw=True):
            self._record(repository, key, False)

    def _record(self, repository: Repository, key: Key, present: bool) -> None:
        repository.logs.set_location(key, self._uuid, present)
        if self._hook is not None:
            self._hook.trigger(repository)
        if self._on_change is not None:
            self._on_change()
