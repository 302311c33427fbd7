"""kill -9 of an operation on a cluster at random moments loses nothing, and running it again
completes the work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from random import Random

import pytest

from tests.support.gateway import Gateway, objects_of
from tests.support.quick_cluster import (
    assert_whole,
    fill,
    logged,
    make_cluster,
    some_contents,
    want_all,
)
from tests.support.world import World

BALANCED = "balanced=nodes:2"
KILLS = 6
LATEST = 250  # changes of the disk, after which it may be over


def killed_at(gateway: Gateway, change: int, *words: str) -> bool:
    """Run an operation that is killed before a change of the disk; tell whether it was."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_client",
         str(gateway.path), str(change), "cluster", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -9), done.stderr
    assert done.returncode == -9 or "done 0" in done.stdout, done.stdout + done.stderr
    return done.returncode == -9


def assert_nothing_lost(gateway: Gateway, contents: dict[str, bytes]) -> None:
    """There is a copy of everything, and every object in view is whole."""
    for key, content in contents.items():
        found = [path for node in gateway.nodes for path in objects_of(node, key)]
        assert found, f"{key} is lost"
        assert all(path.read_bytes() == content for path in found)


def killed_again_and_again(gateway: Gateway, contents: dict[str, bytes], *words: str) -> None:
    """Kill an operation at random moments, then let it come to its end."""
    dice = Random(words[0])
    killed = 0
    for _ in range(KILLS):
        killed += killed_at(gateway, dice.randrange(1, LATEST), *words)
        assert_nothing_lost(gateway, contents)
    assert killed > KILLS // 2
    assert not killed_at(gateway, 10**9, *words)


@pytest.fixture
def gateway(world: World) -> Gateway:
    return make_cluster(world)


def test_rebalance(gateway: Gateway) -> None:
    contents = some_contents(Random(1), 25, 20_000)
    fill(gateway, contents, "node3")
    want_all(gateway, BALANCED)
    killed_again_and_again(gateway, contents, "rebalance", "--yes", "--jobs=2")
    assert_whole(gateway, contents, copies=2)


def test_drain(gateway: Gateway) -> None:
    contents = some_contents(Random(2), 25, 20_000)
    want_all(gateway, BALANCED)
    fill(gateway, contents, "node2", "node3")
    killed_again_and_again(gateway, contents, "drain", "node2", "--yes")
    assert_whole(gateway, contents, copies=2)
    assert not any(objects_of(gateway.nodes[1], key) for key in contents)


def damage(gateway: Gateway, key: str) -> None:
    for path in objects_of(gateway.nodes[0], key):
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[::-1] + b"x")


def remove(gateway: Gateway, key: str) -> None:
    for path in objects_of(gateway.nodes[0], key):
        path.parent.chmod(0o755)
        path.unlink()


@pytest.mark.parametrize(("harm", "command"), [(damage, "scrub"), (remove, "heal")])
def test_what_puts_right(
    gateway: Gateway, harm: Callable[[Gateway, str], None], command: str
) -> None:
    contents = some_contents(Random(3), 25, 20_000)
    want_all(gateway, "anything")
    fill(gateway, contents, *(node.name for node in gateway.nodes))
    for key in list(contents)[::2]:
        harm(gateway, key)
    words = [command] if command == "scrub" else [command, "--yes"]
    dice = Random(command)
    killed = sum(killed_at(gateway, dice.randrange(1, LATEST), *words) for _ in range(KILLS))
    assert killed > KILLS // 2
    if killed_at(gateway, 10**9, *words):
        raise AssertionError("it was not to be killed")
    assert_whole(gateway, contents, copies=3)
    assert all(len(logged(gateway, key)) == 3 for key in contents)
