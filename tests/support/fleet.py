"""A cluster whose nodes are in memory, and the gateway's repository on disk: for tests of
operations on clusters.

nodes = FleetOfThree(tmp_path)
async with nodes.fleet() as fleet: ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from shoal.annex.matching import Candidate
from shoal.annex.session import Session
from shoal.errors import ShoalError
from shoal.operations.apply import Step
from shoal.operations.choosing import Cluster
from shoal.operations.explaining import KeyView, view_key
from shoal.operations.fleet import Fleet
from shoal.operations.world import ClusterWorld
from shoal.remotes.base import Remote
from shoal.remotes.settings import RemoteSettings
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE
from tests.support.client import Client, Notes
from tests.support.fake_cluster import CLUSTER
from tests.support.memory_remote import MemoryRemote

A, B, C = (UUID(f"{letter * 8}-0000-4000-8000-000000000000") for letter in "abc")


class Shown(Notes):
    """Keeps what is shown of one action."""

    def __init__(self, action: str, key: Key, note: str) -> None:
        super().__init__()
        self.notes.append(note)
        self.action = action
        self.key = key
        self.failed = False
        self.error = ""

    def fail(self) -> None:
        self.failed = True


class Shows:
    """Keeps the actions that are shown, in order."""

    def __init__(self) -> None:
        self.steps: list[Shown] = []

    @contextmanager
    def step(self, action: str, key: Key, note: str) -> Iterator[Step]:
        shown = Shown(action, key, note)
        self.steps.append(shown)
        try:
            yield shown
        except ShoalError as error:
            shown.fail()
            shown.error = str(error)

    @property
    def failures(self) -> list[Shown]:
        return [step for step in self.steps if step.failed]


class MemoryFleet(Fleet):
    """A fleet of remotes in memory."""

    def __init__(self, client: Client, nodes: Sequence[RemoteSettings]) -> None:
        self._client = client
        super().__init__(lambda: Session(client.repository), nodes)

    def _opened_remote(self, settings: RemoteSettings, uuid: UUID) -> Remote:
        return self._client.remotes[settings.name]


class FleetOfThree:
    """Nodes a, b and c, all of the same cost, and the gateway. close() it at the end."""

    def __init__(self, tmp_path: Path) -> None:
        self.client = Client(tmp_path)
        named = zip("abc", (A, B, C), strict=True)
        self.nodes = [self.client.remote(name, uuid) for name, uuid in named]
        self.a, self.b, self.c = self.nodes
        for node in self.nodes:
            self.client.repository.logs.set_description(node.uuid, node.name)

    def fleet(self) -> Fleet:
        """Open the nodes."""
        settings = [self.client.settings(node) for node in self.nodes]
        return MemoryFleet(self.client, settings)

    def cluster(self) -> Cluster:
        """Give the cluster that they are."""
        remotes = tuple(self.client.settings(node) for node in self.nodes)
        names = {node.uuid: node.name for node in self.nodes}
        return Cluster(CLUSTER, "three", (A, B, C), names, remotes, is_here=True)

    def give(self, content: bytes, *nodes: MemoryRemote) -> Key:
        """Let nodes have a content, and the log know it; give its key."""
        return self.client.give(content, *nodes)

    def put_in_group(self, expression: str) -> None:
        """Put all nodes into the group g, and let them want something."""
        logs = self.client.repository.logs
        for node in (A, B, C):
            logs.set_groups(node, ["g"])
            logs.set_wanted(node, expression)

    def view(self, key: Key, answers: Mapping[UUID, bool | ShoalError] | None = None) -> KeyView:
        """Explain a key, with what nodes said themselves."""
        with closing(Session(self.client.repository)) as session:
            world = ClusterWorld(session, self.cluster(), {A, B, C, HERE})
            return view_key(session, self.cluster(), world, Candidate(key), answers or {})

    def close(self) -> None:
        self.client.close()
