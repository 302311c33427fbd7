"""Several gateways of one cluster, each a server process with nodes of its own on disk."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.gateway import Gateway, objects_of, served
from tests.support.links import Links
from tests.support.world import World

OPTIONS = ("--wideopen", "--jobs=16", "--git")


@dataclass
class Placed(World):
    """A world in which commands are run at one place of a network."""

    at: tuple[str, ...] = ()

    def run(
        self, *words: str | Path, cwd: Path | None = None, check: bool = True, data: bytes = b""
    ) -> subprocess.CompletedProcess[str]:
        return World.run(self, *self.at, *words, cwd=cwd, check=check, data=data)


@dataclass
class Federation:
    """Gateways by name, and the links between them."""

    world: World
    gateways: dict[str, Gateway]
    links: Links
    cluster: str

    def at(self, name: str) -> World:
        """Give the world as it is where a gateway is: its clients are there, too."""
        return Placed(self.world.root, self.links.words_at(name))

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

    def restart(self) -> None:
        """Have all gateways begin anew, without memory of what happened."""
        for gateway in self.gateways.values():
            gateway.stop()
            gateway.start(*OPTIONS)

    def client(self, name: str, of: str) -> Path:
        """Clone a gateway for a real git-annex client that uses it over HTTP."""
        return self.gateways[of].client(name)


def make_federation(world: World, graph: Mapping[str, Iterable[str]], links: Links) -> Federation:
    """Make gateways that ask each other as `graph` says; the first begins the cluster."""
    names = list(graph)
    first = world.make(names[0])
    world.git(first, "commit", "-q", "--allow-empty", "-m", "start")
    gateways = {names[0]: Gateway(world, first, "", [])}
    for name in names[1:]:
        gateways[name] = Gateway(world, _clone(world, first, name), "", [])
    for name, gateway in gateways.items():
        gateway.log = world.root / f"{name}.log"
        gateway.port, gateway.at = links.port_of(name), links.words_at(name)
        gateway.nodes.append(_add_node(world, gateway.path, f"node-{name}"))
    for name, others in graph.items():
        for other in others:
            address = links.address(name, other)
            _know(world, gateways[name].path, other, gateways[other].path, address)
    world.run("shoal", "initcluster", "mycluster", cwd=first)
    world.run("shoal", "updatecluster", cwd=first)
    cluster = world.git(first, "config", "annex.cluster.mycluster")
    for name in [*names[1:], *names, *names]:
        _update(world, gateways[name].path, graph[name], cluster)
    for name, gateway in gateways.items():
        gateway.cluster = cluster
        for other in graph[name]:  # from now on git goes there over HTTP as well
            url = f"http://{links.address(name, other)}/"
            world.git(gateway.path, "config", f"remote.{other}.url", url)
    return Federation(world, gateways, links, cluster)


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


def _know(world: World, here: Path, name: str, there: Path, address: str) -> None:
    """Let a gateway use another at HOST:PORT. It does not wait for it for long."""
    world.git(here, "remote", "add", name, there)
    world.git(here, "config", f"remote.{name}.annexUrl", f"annex+http://{address}/git-annex/")
    world.git(here, "config", f"remote.{name}.annex-uuid", world.git(there, "config", "annex.uuid"))
    for time in ("answer", "stall"):
        world.git(here, "config", f"shoal.node-{time}-time", "15")


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
            server = federation.gateways[name]
            stack.enter_context(served(server, *OPTIONS))
        yield
