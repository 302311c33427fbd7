"""Three gateways in a triangle, as processes, with real git-annex clients.

Each gateway has a network of its own where that is possible, so that a link that is cut swallows
what is sent; else relays on one machine stand for the links. The tests are the same.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations
from pathlib import Path

import pytest

from tests.support.federation import OPTIONS, Federation, make_federation, running
from tests.support.gateway import objects_of
from tests.support.links import RelayLinks, best_links
from tests.support.wait import wait_until
from tests.support.world import World

TRIANGLE = {"ams": ["nyc", "lon"], "nyc": ["ams", "lon"], "lon": ["ams", "nyc"]}
NODES = ["node-ams", "node-nyc", "node-lon"]
SIZE = 3_000_000
LARGE = 24_000_000  # no gateway has so much of an upload in memory


@pytest.fixture(scope="module")
def triangle(shared_world: World) -> Iterator[Federation]:
    links = best_links(TRIANGLE)
    try:
        federation = make_federation(shared_world, TRIANGLE, links)
        with running(federation):
            yield federation
    finally:
        links.close()


@pytest.fixture(autouse=True)
def _says_which_links(
    triangle: Federation, record_property: Callable[[str, object], None]
) -> Iterator[None]:
    """Whoever reads the results shall know what was tested."""
    record_property("links", triangle.links.kind)
    print(f"the links are {triangle.links.kind}")
    yield
    triangle.links.mend()
    triangle.restart()  # after a timeout they leave each other alone until a probe is answered


def known_soon(triangle: Federation, key: str, nodes: list[str]) -> None:
    """Wait until all gateways know where a key is."""
    wait_until(lambda: all(triangle.logged(name, key) == nodes for name in triangle.gateways), 90)


def works_soon(world: World, client: Path, *words: str) -> None:
    """Repeat a command until it works: gateways notice a little later that a link is back."""
    wait_until(lambda: world.run("git-annex", *words, cwd=client, check=False).returncode == 0)


def tree_of(triangle: Federation, name: str) -> str:
    return triangle.world.git(triangle.gateways[name].path, "rev-parse", "git-annex^{tree}")


def passed(triangle: Federation) -> int:
    """Give how many bytes have passed between gateways so far."""
    return sum(triangle.links.passed(*pair) for pair in permutations(TRIANGLE, 2))


def test_an_upload_to_any_reaches_all_once(triangle: Federation) -> None:
    for name in TRIANGLE:
        world = triangle.at(name)
        client = triangle.client(f"of-{name}", of=name)
        data = os.urandom(SIZE)
        keys = [world.add(client, "small", name.encode()), world.add(client, "large", data)]
        before = passed(triangle)
        world.annex(client, "copy", "--to=origin-mycluster", ".")
        sent = passed(triangle) - before
        for key in keys:
            assert triangle.holders(key) == NODES
        assert 2 * SIZE < sent < 2.9 * SIZE  # some is sent again when the network is busy
        for key in keys:
            assert triangle.logged(client.name, key) == NODES
            known_soon(triangle, key, NODES)
        other = "lon" if name == "nyc" else "nyc"
        world.annex(client, "drop", "--numcopies=1", ".")
        world.annex(client, "get", f"--from=origin-{other}-node-{other}", "large")
        assert (client / "large").read_bytes() == data
        world.annex(client, "get", "small")
        world.annex(client, "drop", "--from=origin-mycluster", ".")
        for key in keys:
            assert triangle.holders(key) == []
            known_soon(triangle, key, [])


def test_nodes_have_one_name_each(triangle: Federation) -> None:
    log = triangle.world.git(triangle.gateways["lon"].path, "cat-file", "-p", "git-annex:proxy.log")
    names = {word.split(":")[1] for word in log.split() if ":" in word}
    assert names == {f"{name}-node-{name}" for name in TRIANGLE} | {*NODES, "mycluster"}


def test_a_link_that_is_cut_in_mid_upload(triangle: Federation) -> None:
    """The report is true. Where the cut is noticed on both sides the third gateway passes the
    upload on; else the one that was cut off still waits for the rest of the first."""
    links, world = triangle.links, triangle.at("ams")
    client = triangle.client("cut", of="ams")
    key = world.add(client, "f", os.urandom(SIZE))
    links.when_passed("ams", "nyc", SIZE // 3, partial(links.cut, "ams", "nyc"))
    world.annex(client, "copy", "--to=origin-mycluster", "f")
    assert links.is_cut("ams", "nyc")
    there = triangle.holders(key)
    assert there in (NODES, ["node-ams", "node-lon"])
    assert triangle.logged("ams", key) == triangle.logged(client.name, key) == there
    links.mend()
    known_soon(triangle, key, there)
    works_soon(world, client, "drop", "--from=origin-mycluster", "f")
    assert triangle.holders(key) == []
    known_soon(triangle, key, [])


def test_a_split_network_grows_together(triangle: Federation) -> None:
    """Nobody reaches lon. What is stored on both sides meanwhile is known to all in the end."""
    ams, lon = triangle.at("ams"), triangle.at("lon")
    here, there = triangle.client("here", of="ams"), triangle.client("there", of="lon")
    for name in ("ams", "nyc"):
        triangle.links.cut(name, "lon")
    first, second = ams.add(here, "f", b"first"), lon.add(there, "g", b"second")
    ams.annex(here, "copy", "--to=origin-mycluster", "f")
    lon.annex(there, "copy", "--to=origin-mycluster", "g")
    assert triangle.holders(first) == ["node-ams", "node-nyc"]
    assert triangle.holders(second) == ["node-lon"]
    absent = ams.run(
        "git-annex", "checkpresentkey", second, "origin-mycluster", cwd=here, check=False
    )
    assert absent.returncode == 1
    wait_until(lambda: triangle.logged("nyc", first) == ["node-ams", "node-nyc"])
    triangle.links.mend()
    known_soon(triangle, first, ["node-ams", "node-nyc"])
    known_soon(triangle, second, ["node-lon"])
    works_soon(ams, here, "fsck", "--fast", "--from=origin-mycluster", "--key", second)
    wait_until(lambda: len({tree_of(triangle, name) for name in TRIANGLE}) == 1, 60)


@pytest.mark.parametrize("killed", ["nyc", "ams"])
def test_a_gateway_that_is_killed_in_mid_upload(triangle: Federation, killed: str) -> None:
    """The client hears of a failure, or of copies that are there."""
    world, server = triangle.at("ams"), triangle.gateways[killed]
    client = triangle.client(f"killing-{killed}", of="ams")
    key = world.add(client, "f", os.urandom(LARGE))
    kill = partial(server.stop, signal.SIGKILL)
    triangle.links.when_passed("ams", "nyc", LARGE // 3, kill)
    done = world.run("git-annex", "move", "--to=origin-mycluster", "f", cwd=client, check=False)
    wait_until(lambda: server.process is None)
    if killed == "nyc":
        assert done.returncode == 0
        assert triangle.holders(key) == ["node-ams", "node-lon"]
        assert triangle.logged(client.name, key) == triangle.holders(key)
    else:
        assert done.returncode == 1
        assert objects_of(client, key)
    server.start(*OPTIONS)
    world.annex(client, "move", "--to=origin-mycluster", "f")
    assert "node-ams" in triangle.holders(key)
    assert objects_of(client, key) == []


def test_relays_are_links_as_well(world: World) -> None:
    """What is used where networks cannot be made; the cut is noticed at once on both sides."""
    links = RelayLinks(TRIANGLE)
    try:
        federation = make_federation(world, TRIANGLE, links)
        with running(federation):
            client = federation.client("client", of="ams")
            key = world.add(client, "f", os.urandom(SIZE))
            links.when_passed("ams", "nyc", SIZE // 3, partial(links.cut, "ams", "nyc"))
            world.annex(client, "copy", "--to=origin-mycluster", "f")
            assert links.is_cut("ams", "nyc")
            assert federation.holders(key) == federation.logged("client", key) == NODES
    finally:
        links.close()
