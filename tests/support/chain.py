"""client -> gateway1 -> gateway2 -> node: a cluster whose only node is two hops away.

Each hop is over ssh or over HTTP; HTTP goes through a relay, which sees what passes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from shoal.git.repository import Repository
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.gateway import Gateway, objects_of, served
from tests.support.relay import Relay
from tests.support.wait import wait_until
from tests.support.world import World

HOPS = ("gateway1", "gateway2", "node")


@dataclass
class Chain:
    """The repositories by the names above; `client` has the cluster as `origin-mycluster`."""

    world: World
    uuid: UUID  # of the node
    servers: dict[str, Gateway] = field(default_factory=dict)  # over HTTP
    relays: dict[str, Relay] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        return self.world.root / name

    @property
    def client(self) -> Path:
        return self.path("client")

    def has(self, name: str, key: str, content: bytes) -> bool:
        """Tell whether a repository has a content; what it has must be whole."""
        found = objects_of(self.path(name), key)
        assert all(path.read_bytes() == content for path in found)
        return bool(found)

    def logs_node(self, name: str, key: str) -> bool:
        """Tell whether a repository's log says that the node has `key`."""
        with Repository.open(self.path(name)) as repository:
            found = repository.logs.locations(Key.parse(key.encode()), raw=True)
        return self.uuid in found

    def exchange_logs(self) -> None:
        """Let everybody know what those behind know."""
        for here, there in (("gateway1", "gateway2"), ("client", "origin")):
            self._fetch(self.path(here), there)
            self.world.annex(self.path(here), "merge", "-q")

    def _fetch(self, here: Path, there: str) -> None:
        """A gateway may be fetching as well, which git does not let happen at once."""
        words = ("git", "fetch", "-q", there)
        wait_until(lambda: self.world.run(*words, cwd=here, check=False).returncode == 0)

    def assert_truthful(self, key: str, content: bytes) -> None:
        """Nobody logs what the node does not have, and nothing in view is broken."""
        there = self.has("node", key, content)
        for name in ("client", *HOPS):
            assert there or not self.logs_node(name, key), name
            self.has(name, key, content)


def make_chain(world: World, host: str) -> Chain:
    """Make a chain whose hops are over ssh to `host`."""
    cluster = _make_second(world, f"ssh://{host}{world.root}/node")
    first = _make_first(world, f"ssh://{host}{world.root}/gateway2", cluster)
    client = world.root / "client"
    world.run("git", "clone", "-q", f"ssh://{host}{first}", client)
    _begin_client(world, client)
    return _chain(world)


def _chain(world: World) -> Chain:
    return Chain(world, UUID(world.git(world.root / "node", "config", "annex.uuid")))


@contextlib.contextmanager
def http_chain(world: World) -> Iterator[Chain]:
    """Make a chain whose hops are over HTTP, and serve it."""
    servers = {name: Gateway(world, world.root / name, "", []) for name in HOPS}
    relays = {name: Relay(server.port) for name, server in servers.items()}
    urls = {n: f"annex+http://127.0.0.1:{r.here}/git-annex/" for n, r in relays.items()}
    with contextlib.ExitStack() as stack:
        for relay in relays.values():
            stack.callback(relay.close)
        cluster = _make_second(world, world.root / "node", urls["node"])
        first = _make_first(world, world.root / "gateway2", cluster, urls["gateway2"])
        for name, server in servers.items():
            server.log = world.root / f"{name}.log"
            stack.enter_context(served(server))
        client = world.root / "client"
        world.run("git", "clone", "-q", first, client)
        world.git(client, "config", "remote.origin.annexUrl", urls["gateway1"])
        _begin_client(world, client)
        chain = _chain(world)
        chain.servers, chain.relays = servers, relays
        yield chain


def _make_second(world: World, node_url: str | Path, annex_url: str = "") -> str:
    """Make the node, and the gateway in front of it; give the cluster's UUID."""
    node = world.make("node")
    world.git(node, "commit", "-q", "--allow-empty", "-m", "start")
    gateway = _clone(world, node, "gateway2")
    _know(world, gateway, node, node_url, annex_url)
    world.git(gateway, "config", "remote.node.annex-cluster-node", "mycluster")
    world.run("shoal", "initcluster", "mycluster", cwd=gateway)
    world.run("shoal", "updatecluster", cwd=gateway)
    return world.git(gateway, "config", "annex.cluster.mycluster")


def _make_first(world: World, url: str | Path, cluster: str, annex_url: str = "") -> Path:
    second = world.root / "gateway2"
    gateway = _clone(world, second, "gateway1")
    _know(world, gateway, second, url, annex_url)
    world.git(gateway, "config", "remote.gateway2.annex-cluster-gateway", cluster)
    world.git(gateway, "config", "annex.cluster.mycluster", cluster)
    world.run("shoal", "updatecluster", cwd=gateway)
    return gateway


def _clone(world: World, origin: Path, name: str) -> Path:
    path = world.root / name
    world.run("git", "clone", "-q", origin, path)
    world.annex(path, "init", "-q", name)
    world.git(path, "remote", "rm", "origin")
    return path


def _know(world: World, here: Path, there: Path, url: str | Path, annex_url: str) -> None:
    name = there.name
    world.git(here, "remote", "add", name, url)
    if annex_url:
        world.git(here, "config", f"remote.{name}.annexUrl", annex_url)
    world.git(here, "config", f"remote.{name}.annex-uuid", world.git(there, "config", "annex.uuid"))


def _begin_client(world: World, client: Path) -> None:
    """An attempt that fails shall be seen: git-annex tries again when it got further."""
    world.annex(client, "init", "-q", "client")
    world.git(client, "config", "annex.forward-retry", "0")
    world.git(client, "config", "annex.retry", "0")
