"""When the database of sizes cannot be used its user is told so, once, and all else goes on."""

from __future__ import annotations

from pathlib import Path

from shoal.git.repository import Repository
from tests.support.gateway import Gateway, served
from tests.support.quick_cluster import assert_whole, make_cluster, uuid_of, want_all
from tests.support.raw_http import RawClient, key_of
from tests.support.world import World

SIZE, ROOM = 10_000, 3
TOLD = "processes do not know what others are storing"


def limited_cluster(world: World) -> Gateway:
    """A cluster of one node with room for so many contents, and no way to share sizes."""
    gateway = make_cluster(world, 1)
    want_all(gateway, "balanced=nodes:1")
    with Repository.open(gateway.path) as repository:
        repository.logs.set_max_size(uuid_of("node1"), ROOM * SIZE)
        repository.branch.commit()
    place_of(gateway).write_text("no directory")
    return gateway


def place_of(gateway: Gateway) -> Path:
    return gateway.path / ".git" / "annex" / "reposize"


def test_a_server_says_so_once_and_keeps_to_maximum_sizes(world: World) -> None:
    gateway = limited_cluster(world)
    contents = [b"%d" % number * SIZE for number in range(1, 6)]
    with served(gateway):
        client = RawClient(gateway.port, gateway.cluster)
        answers = [client.put(key_of(content), content).status for content in contents]
        assert answers == [200] * ROOM + [507] * (len(contents) - ROOM)
    assert_whole(gateway, {key_of(content): content for content in contents[:ROOM]})
    said = gateway.log.read_text().splitlines()
    assert [line.startswith("shoal: cannot ") for line in said if TOLD in line] == [True]


def test_a_command_says_so_once_and_shows_sizes(world: World) -> None:
    gateway = limited_cluster(world)
    shown = world.run("shoal", "maxsize", cwd=gateway.path)
    assert [line.startswith("shoal: warning: ") for line in shown.stderr.splitlines()] == [True]
    assert TOLD in shown.stderr
    place_of(gateway).unlink()
    again = world.run("shoal", "maxsize", cwd=gateway.path)
    assert (again.stdout, again.stderr) == (shown.stdout, "")
