"""A repository on a disk that can go away, and the LocalRemote that it is seen through."""

from __future__ import annotations

from pathlib import Path

from shoal.git.repository import Repository
from shoal.remotes.base import Caller, Remote
from shoal.remotes.local import LocalRemote
from shoal.values.key import Key
from tests.support.annexrepo import HERE, THERE, make_annex
from tests.support.memory_remote import gather

CALLER = Caller(THERE)
VERBS = ["check_present", "retrieve", "begin_store", "store_present", "remove", "lock_content"]


async def lock(remote: Remote, key: Key) -> None:
    """Lock a content for a moment."""
    async with remote.lock_content(key, caller=CALLER):
        pass


async def call(remote: Remote, verb: str, key: Key) -> object:
    """Call the method `verb`."""
    match verb:
        case "check_present":
            return await remote.check_present(key, caller=CALLER)
        case "retrieve":
            async with remote.retrieve(key, caller=CALLER) as content:
                return await gather(content)
        case "begin_store":
            return await remote.begin_store(key, caller=CALLER)
        case "store_present":
            return await remote.store_present(key, caller=CALLER)
        case "remove":
            return await remote.remove(key, caller=CALLER)
        case _:
            await lock(remote, key)
            return None


class Node:
    """A repository, and the remote that it is seen through."""

    def __init__(self, root: Path, config: dict[str, str] | None = None) -> None:
        self.root = root
        self.path = root / "disk" / "repo"
        self.path.parent.mkdir()
        self.repository: Repository = make_annex(self.path, bare=True, config=config)
        self.changes = 0
        self.remote = LocalRemote(str(self.path), HERE, name="node", on_log_change=self._count)

    def _count(self) -> None:
        self.changes += 1

    def log(self, key: Key) -> str:
        """Give the location log of `key`, without clocks."""
        self.repository.refresh()
        log = self.repository.logs.location_log(key)
        return ", ".join(f"{status.value.decode()} {uuid}" for uuid, status in log.items())

    def unmount(self) -> None:
        """Take the disk away; its mount point stays."""
        self.path.parent.rename(self.root / "away")
        self.path.parent.mkdir()

    def mount(self) -> None:
        """Bring the disk back."""
        self.path.parent.rmdir()
        (self.root / "away").rename(self.path.parent)

    def files(self, below: str) -> list[str]:
        top = self.path / "annex" / below
        return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())
