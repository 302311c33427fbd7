"""Two gateways of one cluster, which reach each other over ssh."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support.gateway import Gateway, make_gateway, objects_of
from tests.support.world import World


@dataclass
class Pair:
    """Two gateways that know each other; clients are to use the `first`."""

    world: World
    shell: str  # at the first
    first: Gateway
    second: Gateway
    client: Path

    def holders(self, key: str) -> list[str]:
        nodes = [*self.first.nodes, *self.second.nodes]
        return [node.name for node in nodes if objects_of(node, key)]

    def logged(self, repo: Path, key: str) -> set[str]:
        """Give the nodes that have `key` by a repository's committed log."""
        names = self.world.git(repo, "ls-tree", "-r", "--name-only", "git-annex").splitlines()
        lines = [
            line.split(" ")
            for name in names
            if name.endswith(f"/{key}.log")
            for line in self.world.git(repo, "cat-file", "-p", f"git-annex:{name}").splitlines()
        ]
        nodes = [*self.first.nodes, *self.second.nodes]
        uuids = {self.first.uuid_of(node): node.name for node in nodes}
        return {uuids[uuid] for _, state, uuid in lines if state == "1"}


def make_pair(world: World, first_host: str, second_host: str | None = None) -> Pair:
    """Make gateways with a node each. The first is at the ssh host `first_host`, which is
    "server" for shoal and "real" for the real program; the second is by default at the other
    one."""
    if second_host is None:
        second_host = "real" if first_host == "server" else "server"
    first = make_gateway(world, nodes=1)
    path = world.root / "second"
    world.run("git", "clone", "-q", "-o", "first", f"ssh://{first_host}{first.path}", path)
    world.annex(path, "init", "-q", "second")
    node = world.root / "node2"
    world.run("git", "clone", "-q", first.path, node)
    world.annex(node, "init", "-q", "node2")
    world.git(path, "remote", "add", "node2", node)
    world.git(path, "fetch", "-q", "node2")
    world.git(path, "config", "remote.node2.annex-cluster-node", "mycluster")
    world.annex(path, "extendcluster", "first", "mycluster")
    world.annex(path, "updatecluster")
    world.git(first.path, "remote", "add", "second", f"ssh://{second_host}{path}")
    world.git(first.path, "fetch", "-q", "second")
    world.annex(first.path, "merge")
    world.annex(first.path, "extendcluster", "second", "mycluster")
    world.annex(first.path, "updatecluster")
    client = world.root / "client"
    world.run("git", "clone", "-q", f"ssh://{first_host}{first.path}", client)
    world.annex(client, "init", "-q", "client")
    shell = "shoal-shell" if first_host == "server" else "git-annex-shell"
    return Pair(world, shell, first, Gateway(world, path, first.cluster, [node]), client)


def share_a_node(pair: Pair) -> None:
    """Let the second gateway reach the first one's node as well."""
    world, first, second = pair.world, pair.first, pair.second
    (node,) = first.nodes
    world.git(second.path, "remote", "add", "node1", node)
    world.git(second.path, "fetch", "-q", "node1")
    world.git(second.path, "config", "remote.node1.annex-cluster-node", "mycluster")
    world.annex(second.path, "updatecluster")
    world.git(first.path, "fetch", "-q", "second")
    world.annex(first.path, "merge")
    world.annex(first.path, "updatecluster")
