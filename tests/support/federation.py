"""Several gateways of one cluster, each a server process with nodes of its own on disk."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.gateway import Gateway, objects_of, served
from tests.support.relay import Relay
from tests.support.world import World


@dataclass
class Federation:
    """Gateways by name; `relays` has what each sends to another, by the pair of names."""

    world: World
    gateways: dict[str, Gateway]
    relays: dict[tuple[str, str], Relay]
    cluster: str

    @property
    def nodes(self) -> list[Path]:
        return [node for gateway in self.gateways.values() for node in gateway.nodes]

    def holders(self, key: str) -> list[str]:
        """Give the names of the nodes that have `key`, by looking at the disks."""
        return [node.name for node in self.nodes if objects_of(node, key)]

    def uuids(self) -> dict[str, str]:
        """Give the nodes' UUIDs by name."""
        return {node.name: self.world.git(node, "config", "annex.uuid") for node in self.nodes}

    def logged(self, name: str, key: str) -> list[str]:
        """Give the nodes that have `key` by the log of a gateway or a client."""
        said = self.world.run(
            "git-annex",
            "whereis",
            "--json",
            f"--key={key}",
            cwd=self.world.root / name,
            check=False,
        ).stdout
        known = {row["uuid"] for row in json.loads(said)["whereis"]} if said.strip() else set()
        return [node for node, uuid in self.uuids().items() if uuid in known]

    def cut(self, one: str, other: str) -> None:
        for pair in ((one, other), (other, one)):
            self.relays[pair].cut()

    def mend(self) -> None:
        for relay in self.relays.values():
            relay.mend()

    def client(self, name: str, of: str) -> Path:
        """Clone a gateway for a real git-annex client that uses it over HTTP."""
        return self.gateways[of].client(name)


def make_federation(world: World, graph: Mapping[str, Iterable[str]]) -> Federation:
    """Make gateways that ask each other as `graph` says; the first begins the cluster."""
    names = list(graph)
    first = world.make(names[0])
    world.git(first, "commit", "-q", "--allow-empty", "-m", "start")
    gateways = {names[0]: Gateway(world, first, "", [])}
    for name in names[1:]:
        gateways[name] = Gateway(world, _clone(world, first, name), "", [])
    for name, gateway in gateways.items():
        gateway.log = world.root / f"{name}.log"
        gateway.nodes.append(_add_node(world, gateway.path, f"node-{name}"))
    relays = {}
    for name, others in graph.items():
        for other in others:
            relay = relays[name, other] = Relay(gateways[other].port)
            _know(world, gateways[name].path, other, gateways[other].path, relay.here)
    world.run("shoal", "initcluster", "mycluster", cwd=first)
    world.run("shoal", "updatecluster", cwd=first)
    cluster = world.git(first, "config", "annex.cluster.mycluster")
    for name in [*names[1:], *names, *names]:
        _update(world, gateways[name].path, graph[name], cluster)
    for gateway in gateways.values():
        gateway.cluster = cluster
    return Federation(world, gateways, relays, cluster)


def _clone(world: World, first: Path, name: str) -> Path:
    repo = world.root / name
    world.run("git", "clone", "-q", first, repo)
    world.git(repo, "remote", "rm", "origin")
    world.annex(repo, "init", name)
    return repo


def _add_node(world: World, gateway: Path, name: str) -> Path:
    node = _clone(world, gateway, name)
    world.git(gateway, "remote", "add", name, node)
    world.git(gateway, "fetch", "-q", name)
    world.git(gateway, "config", f"remote.{name}.annex-cluster-node", "mycluster")
    world.git(
        gateway, "config", f"remote.{name}.annex-uuid", world.git(node, "config", "annex.uuid")
    )
    return node


def _know(world: World, here: Path, name: str, there: Path, port: int) -> None:
    world.git(here, "remote", "add", name, there)
    world.git(
        here, "config", f"remote.{name}.annexUrl", f"annex+http://127.0.0.1:{port}/git-annex/"
    )
    world.git(here, "config", f"remote.{name}.annex-uuid", world.git(there, "config", "annex.uuid"))


def _update(world: World, here: Path, others: Iterable[str], cluster: str) -> None:
    """What `extendcluster` does for each neighbour, and `updatecluster`."""
    for other in others:
        world.git(here, "fetch", "-q", other)
        world.git(here, "config", f"remote.{other}.annex-cluster-gateway", cluster)
    world.git(here, "config", "annex.cluster.mycluster", cluster)
    world.run("shoal", "updatecluster", cwd=here)


@contextlib.contextmanager
def running(federation: Federation, *names: str) -> Iterator[None]:
    """Serve gateways, all by default, while the context is open."""
    with contextlib.ExitStack() as stack:
        for name in names or federation.gateways:
            stack.enter_context(served(federation.gateways[name]))
        for relay in federation.relays.values():
            stack.callback(relay.close)
        yield
