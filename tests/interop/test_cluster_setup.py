"""initcluster, updatecluster and updateproxy: shoal's and the real program's do the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from shoal.errors import ShoalError
from shoal.gateway.setup import Report, init_cluster, update_cluster, update_proxy
from shoal.git.repository import Repository
from shoal.values.uuid import is_cluster_uuid
from tests.support.world import World

LOGS = ("proxy.log", "cluster.log", "uuid.log")


class Pair:
    """Two copies of one gateway; the real program works in one, shoal in the other."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.real = world.make("real")
        world.git(self.real, "commit", "-q", "--allow-empty", "-m", "start")
        world.annex(self.real, "initcluster", "mycluster")
        world.annex(self.real, "initcluster", "other", "another one")
        for name in ("n1", "n2", "n3"):
            world.run("git", "clone", "-q", self.real, world.root / name)
            world.annex(world.root / name, "init", name)
            world.git(self.real, "remote", "add", name, f"../{name}")
            self.configure(f"remote.{name}.annex-cluster-node", "mycluster")
            world.git(self.real, "fetch", "-q", name)
        world.annex(self.real, "merge", "--quiet")
        monkeypatch.setenv("GIT_ANNEX_VECTOR_CLOCK", "2000000000s")

    @property
    def ours(self) -> Path:
        return self.world.root / "ours"

    def configure(self, key: str, *value: str) -> None:
        self.world.git(self.real, "config", key, *value)

    def compare(self, command: str) -> Report:
        """Run a command of the real program, and shoal's in a copy; both do the same."""
        shutil.rmtree(self.ours, ignore_errors=True)
        shutil.copytree(self.real, self.ours, symlinks=True)
        done = self.world.run("git-annex", command, cwd=self.real)
        with Repository.open(self.ours) as repository:
            report = {"updatecluster": update_cluster, "updateproxy": update_proxy}[command](
                repository
            )
            repository.branch.commit()
        assert report.lines == done.stdout.splitlines()
        assert [f"  {text}" for text in report.warnings] == done.stderr.splitlines()
        for log in LOGS:
            assert self.log(self.ours, log) == self.log(self.real, log)
        assert self.config(self.ours) == self.config(self.real)
        return report

    def log(self, repo: Path, name: str) -> str:
        return self.world.run("git", "show", f"git-annex:{name}", cwd=repo, check=False).stdout

    def config(self, repo: Path) -> list[str]:
        return sorted(self.world.git(repo, "config", "--local", "--list").splitlines())


@pytest.fixture
def pair(world: World, monkeypatch: pytest.MonkeyPatch) -> Pair:
    return Pair(world, monkeypatch)


def test_a_life_of_a_cluster(pair: Pair) -> None:
    lines = pair.compare("updatecluster").lines
    assert "Added node n2 to cluster: mycluster" in lines
    assert "No cluster node changes for cluster: other" in lines
    assert "Started proxying for other" in lines
    assert len(pair.log(pair.ours, "cluster.log").split()) == 5
    again = pair.compare("updatecluster").lines
    assert again[-1] == "No proxy changes to record."
    pair.configure("--unset", "remote.n3.annex-cluster-node")
    removed = pair.compare("updatecluster").lines
    assert "Removed node [n3] from cluster: mycluster" in removed
    assert "Stopped proxying for n3" in removed
    pair.configure("remote.n3.annex-proxy", "true")
    assert pair.compare("updateproxy").lines == ["Started proxying for n3"]
    pair.world.git(pair.real, "remote", "rename", "n3", "zz")
    renamed = pair.compare("updateproxy").lines
    assert sorted(renamed) == ["Started proxying for zz", "Stopped proxying for n3"]
    pair.configure("remote.n1.annex-cluster-node", "mycluster other unknown")
    assert "Added node n1 to cluster: other" in pair.compare("updatecluster").lines
    pair.configure("--unset", "annex.cluster.other")
    assert "Stopped proxying for other" in pair.compare("updatecluster").lines


def test_remotes_that_cannot_be_proxied(pair: Pair) -> None:
    pair.world.git(pair.real, "remote", "add", "unknown", "ssh://127.0.0.1:1/x")
    pair.configure("remote.unknown.annex-ignore", "true")
    pair.configure("remote.unknown.annex-cluster-node", "mycluster")
    (pair.world.root / "dir").mkdir()
    words = "initremote exp type=directory encryption=none exporttree=yes directory=../dir"
    pair.world.annex(pair.real, "--quiet", *words.split())
    pair.configure("remote.exp.annex-proxy", "true")
    report = pair.compare("updatecluster")
    assert len(report.warnings) == 3
    pair.world.annex(pair.real, "enableremote", "exp", "annexobjects=yes", "directory=../dir")
    assert "Started proxying for exp" in pair.compare("updateproxy").lines


def test_two_remotes_with_one_uuid(pair: Pair) -> None:
    pair.world.git(pair.real, "remote", "add", "aa", "../n1")
    pair.configure("remote.aa.annex-proxy", "true")
    report = pair.compare("updatecluster")
    assert "Started proxying for aa" in report.lines
    assert "Started proxying for n1" in report.lines


def test_a_dead_node_is_no_node(pair: Pair) -> None:
    pair.compare("updatecluster")
    pair.world.annex(pair.real, "dead", "n2")
    assert "Added node n2 to cluster: mycluster" in pair.compare("updatecluster").lines


def test_a_node_that_became_another_repository(pair: Pair) -> None:
    """What is at the path of a remote is the node, whatever was there before; unless nothing is."""
    pair.compare("updatecluster")
    for name in ("n1", "n2", "n3"):
        (pair.world.root / name).rename(pair.world.root / f"{name}.old")
    pair.world.make("n2", bare=True)
    pair.world.run("git", "init", "-q", pair.world.root / "n3")
    lines = pair.compare("updatecluster").lines
    assert "Added node n2 to cluster: mycluster" in lines
    assert not any(line.startswith("Removed node n1") for line in lines)


def test_nodes_of_another_gateway(pair: Pair) -> None:
    """What another gateway publishes stays, and is published again under its names."""
    pair.compare("updatecluster")
    world, there = pair.world, pair.world.make("there")
    for name in ("n2", "n3"):
        world.git(pair.real, "remote", "rm", name)
        world.git(there, "remote", "add", name, f"../{name}")
        world.git(there, "config", f"remote.{name}.annex-cluster-node", "mycluster")
    cluster = world.git(pair.real, "config", "annex.cluster.mycluster")
    world.git(there, "config", "annex.cluster.mycluster", cluster)
    world.git(there, "remote", "add", "real", "../real")
    world.git(there, "fetch", "-q", "real")
    world.annex(there, "updatecluster")
    world.git(pair.real, "remote", "add", "gw2", "ssh://127.0.0.1:1/srv/there")
    pair.configure("remote.gw2.annex-uuid", world.git(there, "config", "annex.uuid"))
    pair.configure("remote.gw2.annex-cluster-gateway", cluster)
    world.run("git", "fetch", "-q", there, "git-annex:refs/remotes/gw2/git-annex", cwd=pair.real)
    world.annex(pair.real, "merge", "--quiet")
    world.annex(pair.real, "describe", "here", "settled")  # brings its index up to the branch
    report = pair.compare("updatecluster")
    assert "Started proxying for gw2-n2" in report.lines
    assert not any(line.startswith("Removed node") for line in report.lines)


def test_a_cluster_made_by_shoal_is_one_for_the_real_program(world: World) -> None:
    gateway = world.make("gateway")
    world.git(gateway, "commit", "-q", "--allow-empty", "-m", "start")
    node = world.root / "n1"
    world.run("git", "clone", "-q", gateway, node)
    world.annex(node, "init", "n1")
    world.git(gateway, "remote", "add", "n1", "../n1")
    world.git(gateway, "config", "remote.n1.annex-cluster-node", "mycluster")
    with Repository.open(gateway) as repository:
        cluster = init_cluster(repository, "MyCluster", "all of it")
        assert init_cluster(repository, "mycluster") == cluster
        assert init_cluster(repository, "MyCluster") == cluster
        update_cluster(repository)
        repository.branch.commit()
    assert is_cluster_uuid(cluster)
    assert world.git(gateway, "config", "annex.cluster.mycluster") == cluster
    assert world.git(gateway, "config", "remote.n1.annex-uuid") == world.git(
        node, "config", "annex.uuid"
    )
    said = world.annex(gateway, "updatecluster")
    assert said == ("No cluster node changes for cluster: mycluster\nNo proxy changes to record.\n")
    key = world.add(gateway, "f", b"content")
    world.annex(gateway, "copy", "--to=n1", "f")
    found = json.loads(world.annex(gateway, "whereis", "--json", "f"))["whereis"]
    assert {"uuid": cluster, "description": "all of it", "here": False, "urls": []} in found
    assert key


@pytest.mark.parametrize("name", ["", "bad name", "-bad", ".bad", "a/b"])
def test_names_that_a_cluster_cannot_have(world: World, name: str) -> None:
    with (
        Repository.open(world.make("gateway")) as repository,
        pytest.raises(ShoalError, match=r"That cluster name is not a valid git remote name\."),
    ):
        init_cluster(repository, name)


@pytest.mark.parametrize("name", ["my_cl", "9lives"])
def test_names_that_git_does_not_take(world: World, name: str) -> None:
    with (
        Repository.open(world.make("gateway")) as repository,
        pytest.raises(ShoalError, match="invalid key"),
    ):
        init_cluster(repository, name)
