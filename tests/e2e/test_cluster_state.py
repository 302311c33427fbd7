"""`shoal cluster status` and `explain` as users run them, in a cluster of the real program."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.gateway import make_gateway
from tests.support.world import World

NODES = ("node1", "node2", "node3")


@dataclass
class Place:
    """A gateway with three nodes that each hold two copies of the files a to d."""

    world: World
    gateway: Path

    def shoal(self, *words: str, cwd: Path | None = None, fails: bool = False) -> str:
        done = self.world.run("shoal", *words, cwd=cwd or self.gateway, check=not fails)
        assert done.returncode == (1 if fails else 0)
        return done.stderr if fails else done.stdout

    def json(self, *words: str, cwd: Path | None = None) -> dict[str, object]:
        [line] = self.shoal(*words, "--json", cwd=cwd).splitlines()
        return dict(json.loads(line))

    def status(self, *words: str) -> dict[str, object]:
        return self.json("cluster", "status", *words)


@pytest.fixture(scope="module")
def template(shared_world: World) -> Path:
    """The repositories, made once: it takes the real program some fifty runs."""
    world = shared_world
    gateway = make_gateway(world).path
    for name in NODES:
        world.annex(gateway, "group", name, "store")
        world.annex(gateway, "wanted", name, "fullybalanced=store:2")
    world.annex(gateway, "maxsize", "node1", "100kB")
    for name in "abcd":
        world.add(gateway, name, name.encode() * 1000)
    for name in NODES:
        world.annex(gateway, "copy", "--auto", "--to", name)
    world.annex(gateway, "numcopies", "2")
    world.annex(gateway, "drop", ".")
    return world.root


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Place:
    """A copy of the template."""
    root = tmp_path / "world"
    shutil.copytree(template, root, symlinks=True)
    config = root / "gateway" / ".git" / "config"
    config.write_text(config.read_text().replace(str(template), str(root)))
    return Place(World(root), root / "gateway")


def test_all_is_well(place: Place) -> None:
    found = place.status()
    assert (found["name"], found["gateway"]) == ("mycluster", True)
    assert found["description"] == "cluster mycluster"
    assert (found["command"], found["input"], found["success"]) == ("cluster status", [], True)
    nodes = found["nodes"]
    assert isinstance(nodes, list)
    assert [(node["name"], node["state"]) for node in nodes] == [(n, "up") for n in NODES]
    assert sum(node["keys"] for node in nodes) == 8
    assert sum(node["size"] for node in nodes) == 8000
    assert nodes[0]["maxsize"] == 100_000
    keys = found["keys"]
    assert isinstance(keys, dict)
    assert (keys.pop("count"), keys.pop("size"), keys.pop("unknown-size")) == (4, 4000, 0)
    assert set(keys) == {
        "lost", "misplaced", "over-replicated", "under-replicated", "unreachable"
    }  # fmt: skip
    assert all(one == {"count": 0, "examples": []} for one in keys.values())


def test_a_cluster_with_problems(place: Place) -> None:
    """A node is gone, one wants nothing, and one is too full and requires nonsense."""
    nodes = place.status()["nodes"]
    assert isinstance(nodes, list)
    # Which nodes were chosen differs from run to run: these two have some of the files.
    gone, full, unwilling = (n["name"] for n in sorted(nodes, key=lambda node: int(node["keys"])))
    place.world.annex(place.gateway, "wanted", unwilling, "nothing")
    place.world.annex(place.gateway, "maxsize", full, "1B")
    place.world.annex(place.gateway, "numcopies", "3")
    (place.world.root / gone).rename(place.world.root / "gone")
    place.world.annex(place.gateway, "required", full, "not present")
    text = place.shoal("cluster", "status", "--limit", "1")
    assert "\nwarnings:\n  " in text
    assert "nodes: 3, 2 up" in text
    assert f"        not a git repository: {place.world.root}/{gone}" in text
    assert ">100%" in text
    assert "        4 under-replicated  fewer copies than numcopies" in text
    assert text.count("2 of 3 copies") == 1
    assert "misplaced  not where they belong" in text
    assert max(len(line) for line in text.splitlines() if "SHA256E" not in line) <= 80 + len(
        str(place.world.root)
    )


def test_a_node_that_hangs_is_down_and_fast_looks_at_no_keys(place: Place) -> None:
    """Reading from a pipe that nobody writes to is what a dead disk looks like."""
    place.world.git(place.gateway, "config", "shoal.node-answer-time", "8")
    config = place.world.root / "node2" / ".git" / "config"
    config.unlink()
    os.mkfifo(config)
    try:
        found = place.status("--fast")
    finally:
        writer = os.open(config, os.O_RDWR)
        config.unlink()
        os.close(writer)  # the git that hangs reads an end, finds no other, and ends
    nodes = found["nodes"]
    assert isinstance(nodes, list)
    assert [node["state"] for node in nodes] == ["up", "down", "up"]
    assert nodes[1]["why"] == "no answer within 8 s"
    assert found["keys"] is None
    assert {node["keys"] for node in nodes} == {None}


def test_why_a_file_is_where_it_is(place: Place) -> None:
    text = place.shoal("cluster", "explain", "a", "--check")
    key = place.world.annex(place.gateway, "lookupkey", "a").strip()
    assert text.startswith(f"key: {key}\nfile: a\nsize: 1 kB\n")
    assert text.count("has it, it said so") == 2
    assert text.count("does not have it, it said so") == 1
    assert "group store: 2 wanted, 3 members, 3 candidates" in text
    assert "\nrebalance: nothing\nheal: nothing\n" in text
    assert place.shoal("cluster", "explain", key).splitlines()[0] == f"key: {key}"
    found = place.json("cluster", "explain", "a", "mycluster")
    nodes = found["nodes"]
    assert isinstance(nodes, list)
    assert (found["command"], found["input"]) == ("cluster explain", ["a", "mycluster"])
    wanting = {node["name"] for node in nodes if node["wanted"]["matches"]}
    real = {n for n in NODES if "a\n" in place.world.annex(
        place.gateway, "find", "--want-get-by", n)}  # fmt: skip
    assert wanting == real == {node["name"] for node in nodes if node["logged"]}
    error = place.shoal("cluster", "explain", "nosuch", fails=True)
    assert error == 'shoal: "nosuch" is neither an annexed file nor a key\n'
    error = place.shoal("cluster", "explain", "a", "nosuch", fails=True)
    assert error.startswith('shoal: no cluster called "nosuch" is known here\n')


def test_without_a_cluster(world: World) -> None:
    done = world.run("shoal", "cluster", "status", cwd=world.make("alone"), check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "shoal: no cluster is known in this repository\n"
        "To make a cluster here: shoal initcluster NAME\n"
    )


def test_in_a_clone_that_is_no_gateway(place: Place) -> None:
    """What is logged is known there; the nodes are no remotes of it."""
    client = place.world.root / "client"
    place.world.git(place.world.root, "clone", "-q", place.gateway, client)
    place.world.annex(client, "init", "client")
    found = place.json("cluster", "status", cwd=client)
    nodes = found["nodes"]
    assert isinstance(nodes, list)
    assert (found["name"], found["gateway"]) == ("mycluster", False)
    assert {(node["state"], node["why"]) for node in nodes} == {
        ("unknown", "not a remote of this repository")
    }
    assert sum(node["keys"] for node in nodes) == 8
    explained = place.shoal("cluster", "explain", "a", "--check", cwd=client)
    assert explained.count("cannot be asked (not a remote of this repository)") == 3
