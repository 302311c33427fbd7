"""Operations on a cluster that the real program made, with a node that the real program serves:
what they leave behind is what the real program would want."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.gateway import Gateway, make_gateway, objects_of, served
from tests.support.quick_cluster import some_contents
from tests.support.raw_http import RawClient
from tests.support.real_p2phttp import RealServer
from tests.support.world import World

BALANCED = "balanced=nodes:2"


@pytest.fixture
def gateway(world: World) -> Iterator[Gateway]:
    """Files on node1 of three nodes; node2 is served over HTTP by the real program."""
    made = make_gateway(world)
    dice = Random(1)
    for number in range(12):
        (made.path / f"f{number}").write_bytes(dice.randbytes(5000))
    world.annex(made.path, "add", "-q", ".")
    world.git(made.path, "commit", "-q", "-m", "files")
    world.annex(made.path, "move", "-q", "--to=node1")
    world.annex(made.path, "numcopies", "2")
    for node in ("node1", "node2", "node3"):
        world.annex(made.path, "group", node, "nodes")
        world.annex(made.path, "wanted", node, BALANCED)
    server = RealServer(world, made.nodes[1])
    server.start("--wideopen")
    world.git(made.path, "config", "remote.node2.annexUrl", server.url)
    yield made
    server.stop()


def shoal(gateway: Gateway, *words: str, check: bool = True) -> str:
    return gateway.world.run("shoal", "cluster", *words, cwd=gateway.path, check=check).stdout


def found(gateway: Gateway, *words: str) -> list[str]:
    """Give the files that the real program finds, with --rebalance or without."""
    return gateway.world.annex(gateway.path, "find", "--anything", *words).splitlines()


def assert_well(gateway: Gateway) -> None:
    """The real program, in each node, finds all contents that it should have, and good ones."""
    branch = "refs/heads/git-annex:refs/remotes/gateway/git-annex"
    for node in gateway.nodes:
        gateway.world.git(node, "fetch", "-q", gateway.path, branch)
        gateway.world.annex(node, "merge")
        gateway.world.annex(node, "fsck", "--all", "-q", "--numcopies=1")


def test_after_a_rebalance_the_real_program_wants_nothing_else(gateway: Gateway) -> None:
    shoal(gateway, "heal", "--yes")
    shoal(gateway, "rebalance", "--yes", "--jobs=3")
    for node in ("node1", "node2", "node3"):
        assert found(gateway, "--rebalance", f"--want-get-by={node}", "--not", f"--in={node}") == []
        assert found(gateway, "--rebalance", f"--want-drop-by={node}", f"--in={node}") == []
    assert len(found(gateway, "--copies=2")) == 12
    assert found(gateway, "--copies=3") == []
    assert_well(gateway)


def test_a_drained_node_gets_nothing_more_of_either_program(gateway: Gateway) -> None:
    shoal(gateway, "drain", "node1", "--yes")
    keys = gateway.world.annex(gateway.path, "find", "--anything", "--format=${key}\\n").split()
    assert not any(objects_of(gateway.nodes[0], key) for key in keys)
    assert_well(gateway)
    # The real gateway cannot have a node that is reached over HTTP.
    gateway.world.git(gateway.path, "config", "--unset", "remote.node2.annexUrl")
    for program in ("shoal", "git-annex"):
        late = some_contents(Random(program), 5, 3000)
        with served(gateway, program=program):
            client = RawClient(gateway.port, gateway.cluster)
            for key, content in late.items():
                assert client.put(key, content).json()["stored"] is True
        assert all(gateway.holders(key) == ["node2", "node3"] for key in late)
    shoal(gateway, "drain", "node1", "--undo")
    assert gateway.world.annex(gateway.path, "wanted", "node1").strip() == BALANCED
    assert "nodes" in gateway.world.annex(gateway.path, "group", "node1")
    shoal(gateway, "rebalance", "--yes")
    wanted = found(gateway, "--rebalance", "--want-get-by=node1")
    assert wanted
    assert found(gateway, "--in=node1") == wanted


def test_a_bad_copy_that_the_real_program_serves(gateway: Gateway) -> None:
    world = gateway.world
    shoal(gateway, "heal", "--yes")
    keys = world.annex(gateway.path, "find", "--in=node2", "--format=${key}\\n").split()
    (path,) = objects_of(gateway.nodes[1], keys[0])
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(bytes(5000))
    shown = shoal(gateway, "scrub", "--node=node2")
    assert "removed, since" in shown
    (path,) = objects_of(gateway.nodes[1], keys[0])
    assert path.read_bytes() == good
    assert_well(gateway)


def test_the_real_program_knows_what_was_scrubbed(gateway: Gateway) -> None:
    shoal(gateway, "scrub")
    log = gateway.world.git(gateway.path, "show", "git-annex:activity.log")
    assert all(f"{gateway.uuid_of(node)} Fsck" in log for node in gateway.nodes)
    gateway.world.annex(gateway.path, "expire", "1d", "--no-act", "--activity=Fsck")
    assert Path(gateway.path / ".git" / "annex" / "shoal" / "scrub").is_dir()
