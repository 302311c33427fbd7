"""What a repository's configuration says about its objects, and the tools that follow from it."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from shoal.git.contentlock import ContentLocks, Promises
from shoal.git.freezing import Freezer
from shoal.git.othertmp import OtherTmp
from shoal.git.transfers import TransferLog

if TYPE_CHECKING:
    from shoal.git.locks import Locker
    from shoal.git.repository import Repository
    from shoal.git.unlocked import UnlockedFiles


class ObjectSettings:
    """What follows from one state of the configuration; made anew when that changes."""

    def __init__(
        self, repository: Repository, locker: Locker, generation: int, promises: Promises
    ) -> None:
        self.repository = repository
        self.locker = locker
        self.generation = generation  # of the configuration
        self.promises = promises

    @cached_property
    def orders(self) -> tuple[bool, ...]:
        """Which hash directories to look in, in this order; True is the lower case form."""
        config = self.repository.config
        if config.get_bool("annex.tune.objecthashlower", False):
            return (True,)
        links = config.get_bool("core.symlinks", True)
        crippled = config.get_bool("annex.crippledfilesystem", False)
        lower_first = self.repository.is_bare or (crippled and not links)
        return (True, False) if lower_first else (False, True)

    @cached_property
    def levels(self) -> int:
        """How many hash directories are above a key's directory."""
        return 1 if self.repository.config.get_bool("annex.tune.objecthash1", False) else 2

    @cached_property
    def thin(self) -> bool:
        return self.repository.config.get_bool("annex.thin", False)

    @cached_property
    def secure_only(self) -> bool:
        return self.repository.config.get_bool("annex.securehashesonly", False)

    @cached_property
    def reserve(self) -> int | None:
        """How many bytes must stay free; None when nobody is to look."""
        from shoal.git.diskreserve import reserve_of  # only those who receive need it

        return reserve_of(self.repository)

    @cached_property
    def sync(self) -> bool:
        return wants_sync(self.repository)

    @cached_property
    def freezer(self) -> Freezer:
        repository = self.repository
        return Freezer.of(repository.permissions, repository.config, repository.common_dir)

    @property
    def is_plain(self) -> bool:
        """Whether storing a content is done with a few files of the annex, and no more: no
        wait for the disk, no work tree, no command, no hook."""
        return not (self.sync or self.thin or self.unlocked or self.freezer.does_more)

    @cached_property
    def othertmp(self) -> OtherTmp:
        repository = self.repository
        return OtherTmp(repository.annex_dir, self.locker, repository.permissions)

    @cached_property
    def locks(self) -> ContentLocks:
        objects_dir = self.repository.annex_path("objects")
        return ContentLocks(objects_dir, self.locker, self.freezer, self.othertmp, self.promises)

    @cached_property
    def transfers(self) -> TransferLog:
        repository = self.repository
        return TransferLog(repository.annex_dir, self.locker, repository.permissions)

    @cached_property
    def unlocked(self) -> UnlockedFiles | None:
        return None if self.repository.is_bare else _unlocked_files(self)


def wants_sync(repository: Repository) -> bool:
    """Tell whether content is to survive a power failure right after it was stored.

    The real program never waits for the disk. shoal does it when annex.fsync says so, or when
    git is told to be as careful with its own loose objects.
    """
    config = repository.config
    own = config.find_bool("annex.fsync")
    if own is not None:
        return own
    if config.get_bool("core.fsyncobjectfiles", False):
        return True
    wanted = False
    for word in (config.get("core.fsync") or "").replace(",", " ").split():
        if word in {"loose-object", "objects", "committed", "added", "all"}:
            wanted = True
        elif word in {"none", "-loose-object", "-objects", "-committed", "-added", "-all"}:
            wanted = False
    return wanted


def blob_algorithm(repository: Repository) -> str:
    """Give the hash that git names the repository's objects with, sha1 or sha256."""
    name = repository.config.get("extensions.objectformat") or "sha1"
    return "sha256" if name.lower() == "sha256" else "sha1"


def _unlocked_files(settings: ObjectSettings) -> UnlockedFiles:
    from shoal.db.keysdb import KeysDb
    from shoal.git.gitindex import GitIndex
    from shoal.git.restage import RestageLog
    from shoal.git.unlocked import UnlockedFiles

    repository = settings.repository
    work_tree = repository.path
    algorithm = blob_algorithm(repository)
    permissions = repository.permissions
    return UnlockedFiles(
        work_tree,
        repository.git,
        GitIndex(repository.git_dir, work_tree, permissions, algorithm),
        RestageLog(repository.annex_dir, work_tree, settings.locker, permissions),
        KeysDb(os.path.join(repository.database_dir, "keysdb")),
        settings.othertmp,
        settings.freezer,
        permissions,
        settings.reserve,
        settings.thin,
    )
