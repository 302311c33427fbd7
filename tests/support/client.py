"""A client's repository whose remotes are in memory: for tests of what a client does.

client = Client(tmp_path)
a = client.remote("a")              # a MemoryRemote that git config knows
key = client.put(b"content")        # here, and logged
client.log(key, a, present=True)    # logged, whatever the remote holds
async with client.network() as network:
    assert await Dropping(network).run(Candidate(key), client.notes)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from shoal.annex.jsonvalue import JSON
from shoal.annex.network import Network
from shoal.annex.session import Session
from shoal.logs.trust import TrustLevel
from shoal.remotes.base import Remote
from shoal.remotes.settings import RemoteSettings
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE, git, key_of, make_annex
from tests.support.memory_remote import MemoryRemote


class Notes:
    """Keeps what an action reports."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.long_notes: list[str] = []
        self.warnings: list[str] = []
        self.fields: dict[str, JSON] = {}
        self.done: list[int] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def long_note(self, text: str, *, in_json: str | None = None) -> None:
        self.long_notes.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def field(self, **fields: JSON) -> None:
        self.fields |= fields

    def progress(self, done: int, total: int | None) -> None:
        self.done.append(done)


class FakeNetwork(Network):
    """Opens remotes in memory."""

    def __init__(self, session: Session, remotes: dict[str, MemoryRemote]) -> None:
        super().__init__(session)
        self._remotes = remotes

    def open(self, settings: RemoteSettings) -> Remote:
        return self._remotes[settings.name]

    async def aclose(self) -> None:
        await super().aclose()
        self.session.close()


class Client:
    """One repository, and its remotes."""

    def __init__(self, tmp_path: Path) -> None:
        self.repository = make_annex(tmp_path / "client")
        self.repository.logs.set_description(HERE, "here")
        self.remotes: dict[str, MemoryRemote] = {}
        self.notes = Notes()

    def remote(self, name: str, uuid: str = "", *, can_lock: bool = True) -> MemoryRemote:
        """Make a remote, and configure it."""
        remote = MemoryRemote(UUID(uuid or f"uuid-of-{name}"), name, can_lock=can_lock)
        top = Path(self.repository.path)
        git(top, "config", f"remote.{name}.url", f"annex+http://localhost/{name}")
        git(top, "config", f"remote.{name}.annex-uuid", remote.uuid)
        self.repository.config.reload()
        self.remotes[name] = remote
        return remote

    def put(self, content: bytes) -> Key:
        """Put a content into this repository, and log it; give its key."""
        key = key_of(content)
        path = self.repository.annex_path("incoming")
        with open(path, "wb") as file:
            file.write(content)
        self.repository.objects.place(key, path)
        self.repository.logs.set_location(key, HERE, True)
        return key

    def give(self, content: bytes, *remotes: MemoryRemote) -> Key:
        """Put a content into remotes, and log it; give its key."""
        for remote in remotes:
            remote.objects[key_of(content)] = content
            self.log(key_of(content), remote, present=True)
        return key_of(content)

    def log(self, key: Key, remote: MemoryRemote, *, present: bool) -> None:
        """Record where a key is said to be."""
        self.repository.logs.set_location(key, remote.uuid, present)

    def trust(self, remote: MemoryRemote, level: TrustLevel) -> None:
        """Set how far a remote is trusted."""
        self.repository.logs.set_trust(remote.uuid, level)

    def network(self, *, numcopies: int | None = None, mincopies: int | None = None) -> Network:
        """Give the network of a new session."""
        self.notes = Notes()
        session = Session(self.repository, numcopies=numcopies, mincopies=mincopies)
        return FakeNetwork(session, self.remotes)

    def settings(self, remote: MemoryRemote) -> RemoteSettings:
        """Give how a remote is configured."""
        return Session(self.repository).remote_named(remote.name)

    def close(self) -> None:
        """End the repository's processes."""
        self.repository.close()

    def is_here(self, key: Key) -> bool:
        """Tell whether this repository has a content."""
        return self.repository.objects.present(key)

    def locations(self, key: Key) -> set[str]:
        """Give the names of all repositories that are logged to have a key."""
        names = {remote.uuid: name for name, remote in self.remotes.items()} | {HERE: "here"}
        return {names[uuid] for uuid in self.repository.logs.locations(key, raw=True)}

    def holders(self, key: Key) -> set[str]:
        """Give the names of all repositories that do have a key."""
        found = {name for name, remote in self.remotes.items() if key in remote.objects}
        return found | ({"here"} if self.is_here(key) else set())

    def leftovers(self) -> list[str]:
        """Give the files of content locks, transfers and partial contents that are left."""
        found: list[str] = []
        for part, wanted in _TEMPORARY.items():
            for directory, below, names in os.walk(self.repository.annex_path(part)):
                if "failed" in below:
                    below.remove("failed")  # what failed is remembered, in the real program too
                found += [os.path.join(directory, name) for name in names if wanted(name)]
        return found


_TEMPORARY: dict[str, Callable[[str], bool]] = {
    "objects": lambda name: name.endswith((".lck", ".rtm", ".rtl")),
    "transfer": lambda name: True,
    "tmp": lambda name: True,
}
