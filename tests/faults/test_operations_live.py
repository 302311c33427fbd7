"""Rebalance, drain and heal on a cluster in use: uploads and downloads go on, a disk goes away, a
node, the server and the operation are killed. Nothing is lost, and running the command again
completes the work."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from random import Random

import pytest

from tests.support.gateway import Gateway, left_behind, objects_of, served
from tests.support.operating import Running, begin, run
from tests.support.quick_cluster import (
    Traffic,
    assert_whole,
    fill,
    logged,
    make_cluster,
    some_contents,
    traffic,
    uuid_of,
    want,
    want_all,
)
from tests.support.wait import wait_until
from tests.support.world import World

BALANCED = "balanced=nodes:2"


Strike = Callable[[Running, Sequence[str]], None]
"""Disturbs an operation, with these words, that is at work; returns when all is up again."""


@contextmanager
def disk_and_server(gateway: Gateway) -> Iterator[Strike]:
    """A disk goes away, and the server is killed. The operation does what it can."""

    def strike(operation: Running, words: Sequence[str]) -> None:
        gateway.take_away(gateway.nodes[0])
        gateway.stop(signal.SIGKILL)
        gateway.start()
        code, shown = operation.end()
        assert code == 1, shown
        assert "Traceback" not in shown
        gateway.bring_back(gateway.nodes[0])

    yield strike


@contextmanager
def node_and_operation(gateway: Gateway) -> Iterator[Strike]:
    """A node with a server of its own is killed. When the operation has noticed, it is killed,
    too, and run again without the node."""
    node = Gateway(gateway.world, gateway.nodes[0], uuid_of("node1"), [])

    def strike(operation: Running, words: Sequence[str]) -> None:
        node.stop(signal.SIGKILL)
        wait_until(lambda: "node1 is no longer available" in operation.shown())
        operation.process.kill()
        assert operation.end()[0] == -signal.SIGKILL
        _, shown = run(gateway, *words)
        assert "node1 is not available" in shown
        assert "Traceback" not in shown
        node.start()

    def reach(url: str) -> None:
        gateway.world.git(gateway.path, "config", "remote.node1.url", url)

    with served(node):
        reach(node.url)
        yield strike
    reach(str(node.path))


TROUBLES = [disk_and_server, node_and_operation]
Trouble = Callable[[Gateway], AbstractContextManager[Strike]]


def disturbed(gateway: Gateway, going_on: Traffic, strike: Strike, *words: str) -> None:
    """Run an operation that is disturbed in the middle, then again until it is complete."""
    wait_until(lambda: going_on.stored > 0 < going_on.fetched)
    operation = begin(gateway, *words, "--limit-rate=150kB")
    wait_until(operation.is_at_work)
    strike(operation, words)
    for _ in range(5):
        code, shown = run(gateway, *words)
        if code == 0:
            return
    raise AssertionError(shown)


@pytest.fixture
def gateway(world: World) -> Gateway:
    return make_cluster(world)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_rebalance(gateway: Gateway, trouble: Trouble) -> None:
    contents = some_contents(Random(1), 20, 60_000)
    fill(gateway, contents, "node3")
    want_all(gateway, BALANCED)
    with trouble(gateway) as strike, served(gateway), traffic(gateway, contents) as going_on:
        disturbed(gateway, going_on, strike, "rebalance")
    assert going_on.wrong == []
    assert going_on.stored
    assert going_on.fetched
    code, shown = run(gateway, "rebalance")
    assert (code, shown) == (0, "0 copies (0 B) and 0 drops (0 B) done\n")
    assert_whole(gateway, going_on.contents, copies=2)
    assert len({frozenset(logged(gateway, key)) for key in contents}) == 3


@pytest.mark.parametrize("trouble", TROUBLES)
def test_drain(gateway: Gateway, trouble: Trouble) -> None:
    contents = some_contents(Random(2), 20, 60_000)
    want_all(gateway, BALANCED)
    fill(gateway, contents, "node2", "node3")
    with trouble(gateway) as strike, served(gateway), traffic(gateway, contents) as going_on:
        disturbed(gateway, going_on, strike, "drain", "node2")
    assert going_on.wrong == []
    node = gateway.nodes[1]
    assert not [key for key in going_on.contents if objects_of(node, key)]
    assert_whole(gateway, going_on.contents)
    code, shown = run(gateway, "heal")  # what was uploaded while a disk was away has one copy
    assert code == 0, shown
    assert_whole(gateway, going_on.contents, copies=2)
    assert not [key for key in going_on.contents if objects_of(node, key)]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_heal(gateway: Gateway, trouble: Trouble) -> None:
    contents = some_contents(Random(3), 20, 60_000)
    fill(gateway, contents, "node1", "node2")
    want(gateway, node1="anything", node2="anything", node3="anything")
    for key in list(contents)[::2]:
        for path in objects_of(gateway.nodes[1], key):
            path.parent.chmod(0o755)
            path.unlink()
    with trouble(gateway) as strike, served(gateway), traffic(gateway, contents) as going_on:
        disturbed(gateway, going_on, strike, "heal")
    assert going_on.wrong == []
    assert_whole(gateway, going_on.contents, copies=3)


def test_two_operators_at_once(gateway: Gateway) -> None:
    contents = some_contents(Random(4), 30)
    fill(gateway, contents, "node1")
    want_all(gateway, BALANCED)
    operators = [begin(gateway, "rebalance") for _ in range(2)]
    for operator in operators:
        code, shown = operator.end()
        assert code == 0, shown
    assert_whole(gateway, contents, copies=2)
    assert run(gateway, "rebalance") == (0, "0 copies (0 B) and 0 drops (0 B) done\n")


def test_ctrl_c_ends_it_cleanly(gateway: Gateway) -> None:
    contents = some_contents(Random(5), 30)
    fill(gateway, contents, "node1")
    want_all(gateway, BALANCED)
    operation = begin(gateway, "rebalance", "--limit-rate=150kB")
    wait_until(operation.is_at_work)
    operation.process.send_signal(signal.SIGINT)
    code, shown = operation.end()
    assert code == 130
    assert "Traceback" not in shown
    assert "Ended early: it was interrupted. Run it again to go on." in shown
    assert_whole(gateway, contents)
    assert not [name for node in gateway.nodes for name in left_behind(node)]
    assert run(gateway, "rebalance")[0] == 0
    assert_whole(gateway, contents, copies=2)
