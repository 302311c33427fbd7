"""proxy.log and cluster.log of recorded gateways, made again from their git config.

Recorded with git-annex 10.20261026: one gateway with special remotes (a), one with a cluster
(b), two gateways of one cluster (c), and a cluster with special remotes (e).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shoal.gateway.publishing import plan_of
from shoal.gateway.setup import update_cluster, update_proxy
from shoal.git.repository import Repository
from shoal.logs import cluster, proxy
from tests.support.world import World

FIXTURES = Path(__file__).parent.parent / "fixtures" / "proxy-cluster"
SCENARIOS: dict[str, Any] = json.loads((FIXTURES / "logs.json").read_text())
GATEWAYS = [(name, gw) for name, scenario in SCENARIOS.items() for gw in scenario["gateways"]]


class Recorded:
    """A repository with the git config and the git-annex branch of a recorded gateway."""

    def __init__(self, world: World, scenario: str, name: str) -> None:
        self.data = SCENARIOS[scenario]["gateways"][name]
        self.logs: dict[str, str] = dict(self.data["git-annex-branch"])
        self.uuid = SCENARIOS[scenario]["uuids"][name]
        self.path = world.root / "repo"
        world.run("git", "init", "-q", self.path)
        world.git(self.path, "config", "annex.version", "10")
        for setting in self.data["config"]:
            key, _, value = setting.partition("=")
            world.git(self.path, "config", "--add", key, value)

    def own_line(self) -> str:
        """Give the gateway's line of proxy.log."""
        return next(line for line in self.lines(proxy.PATH) if line.split()[1] == self.uuid)

    def lines(self, path: str) -> list[str]:
        return self.logs[path].splitlines(keepends=True)

    def open(self) -> Repository:
        """Open it, with `logs` on its branch."""
        repository = Repository.open(self.path)
        for path, text in self.logs.items():
            repository.branch.change(path, lambda old, new=text: new.encode())  # type: ignore[misc]
        repository.branch.commit()
        return repository


@pytest.mark.parametrize(("scenario", "name"), GATEWAYS)
def test_proxy_log(world: World, monkeypatch: pytest.MonkeyPatch, scenario: str, name: str) -> None:
    """Without its line, updateproxy writes the same one again; with it, it writes nothing."""
    recorded = Recorded(world, scenario, name)
    line = recorded.own_line()
    others = [other for other in recorded.lines(proxy.PATH) if other != line]
    recorded.logs[proxy.PATH] = "".join(others)
    monkeypatch.setenv("GIT_ANNEX_VECTOR_CLOCK", line.split()[0])
    with recorded.open() as repository:
        report = update_proxy(repository)
        written = repository.branch.read(proxy.PATH).decode()
        assert sorted(written.splitlines(keepends=True)) == sorted([*others, line])
        names = [word.rpartition(":")[2] for word in line.split()[2:]]
        assert report.lines == [f"Started proxying for {name}" for name in names]
        assert report.warnings == []
        assert update_proxy(repository).lines == ["No proxy changes to record."]


@pytest.mark.parametrize(("scenario", "name"), [("b", "gw"), ("e", "gw")])
def test_cluster_log(
    world: World, monkeypatch: pytest.MonkeyPatch, scenario: str, name: str
) -> None:
    """The first updatecluster of a gateway."""
    recorded = Recorded(world, scenario, name)
    line = recorded.logs.pop(cluster.PATH)
    monkeypatch.setenv("GIT_ANNEX_VECTOR_CLOCK", line.split()[0])
    with recorded.open() as repository:
        update_cluster(repository)
        assert repository.branch.read(cluster.PATH).decode() == line
        again = update_cluster(repository).lines
        assert re.fullmatch("No cluster node changes for cluster: .*", again[0])


@pytest.mark.parametrize("name", ["AMS", "NYC"])
def test_cluster_log_of_two_gateways(world: World, name: str) -> None:
    """One gateway keeps the nodes that the other one added."""
    recorded = Recorded(world, "c", name)
    with recorded.open() as repository:
        before = repository.logs.clusters()
        lines = update_cluster(repository).lines
        assert lines[0] == "No cluster node changes for cluster: mycluster"
        assert repository.logs.clusters() == before


@pytest.mark.parametrize(("scenario", "name"), GATEWAYS)
def test_all_that_was_published_is_served(world: World, scenario: str, name: str) -> None:
    recorded = Recorded(world, scenario, name)
    with recorded.open() as repository:
        published = {one.uuid for one in repository.logs.proxies(repository.uuid)}
        plan = plan_of(repository)
        assert {*plan.proxied, *plan.clusters} == published


def test_nodes_are_listed_as_the_real_program_asks_them(world: World) -> None:
    recorded = Recorded(world, "b", "gw")
    with recorded.open() as repository:
        [served] = plan_of(repository).clusters.values()
        assert [node.name for node in served.nodes] == ["n3", "n2", "n1"]


def test_the_other_gateway_is_a_node_too(world: World) -> None:
    """It stands for its own nodes, and costs more than those here."""
    recorded = Recorded(world, "c", "AMS")
    with recorded.open() as repository:
        [served] = plan_of(repository).clusters.values()
        assert [node.name for node in served.nodes] == ["noden2", "noden1", "NYC-mycluster"]
