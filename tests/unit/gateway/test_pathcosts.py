"""What paths to nodes cost is remembered when a process ends."""

from __future__ import annotations

from pathlib import Path as FilePath

import pytest

from shoal.gateway.pathcosts import Path, PathCosts
from shoal.gateway.served import Served
from shoal.git.repository import Repository
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.fake_cluster import put
from tests.support.loop import in_loop
from tests.support.memory_remote import key_of
from tests.support.quick_cluster import CLUSTER, make_cluster, uuid_of
from tests.support.world import World

A, B = UUID("a" * 8), UUID("b" * 8)
NEAR, FAR = Path(A, "near"), Path(B, "über-far")
FILE = ".git/annex/shoal/paths"


@pytest.fixture
def path(world: World) -> FilePath:
    path = world.root / "repo"
    world.run("git", "init", "-q", path)
    world.git(path, "config", "annex.uuid", "22222222-2222-4222-8222-222222222222")
    world.git(path, "config", "annex.version", "10")
    return path


def loaded(repository: Repository) -> PathCosts:
    costs = PathCosts(repository)
    costs.load()
    return costs


def test_what_was_learnt_is_known_to_the_next(path: FilePath) -> None:
    with Repository.open(path) as repository:
        loaded(repository).keep({NEAR: 0.004, FAR: 1.25})
        costs = loaded(repository)
        assert (costs.latency(NEAR), costs.latency(FAR)) == (0.004, 1.25)
        assert costs.latency(Path(A, "other")) == 0


def test_it_is_written_when_it_makes_a_difference(path: FilePath) -> None:
    with Repository.open(path) as repository:
        costs = loaded(repository)
        costs.keep({})
        assert not (path / FILE).exists()
        costs.keep({NEAR: 0.004})
        written = (path / FILE).stat().st_ino
        costs.keep({NEAR: 0.005})
        assert (path / FILE).stat().st_ino == written
        costs.keep({NEAR: 0.009})
        assert loaded(repository).latency(NEAR) == 0.009
        costs.keep({FAR: 0.009})
        assert loaded(repository).latency(NEAR) == 0


@pytest.mark.parametrize(
    "line",
    ["", "x", "0.5", "0.5 x", "nan x y", "-1 x y", "0 x y", "inf x y", "1e9 x y", "1 x y z"],
)
def test_what_makes_no_sense_is_not_known(path: FilePath, line: str) -> None:
    (path / FILE).parent.mkdir(parents=True)
    (path / FILE).write_bytes(b"\xff\0\n%s\n0.5 %s near\n" % (line.encode(), A.encode()))
    with Repository.open(path) as repository:
        costs = loaded(repository)
        assert costs.latency(NEAR) == 0.5
        assert costs.latency(Path(UUID("x"), "y")) == 0


def test_there_is_an_end_to_what_is_kept(path: FilePath) -> None:
    with Repository.open(path) as repository:
        loaded(repository).keep({Path(A, f"n{n}"): 1.0 for n in range(3000)})
        assert len((path / FILE).read_text().splitlines()) == 1000


def test_what_cannot_be_written_is_learnt_again(path: FilePath) -> None:
    with Repository.open(path) as repository:
        (path / ".git/annex").mkdir(exist_ok=True)
        (path / ".git/annex/shoal").write_text("in the way")
        loaded(repository).keep({NEAR: 1.0})
        assert loaded(repository).latency(NEAR) == 0


async def read_from(path: FilePath, key: Key) -> str:
    """Give the path of the node's content that a new process chooses."""
    served = Served(Repository.open(path))
    try:
        cluster = await served.remote(CLUSTER)
        async with cluster.retrieve(key) as content:
            assert content.region is not None
            return content.region.path
    finally:
        await served.aclose()


@in_loop
async def test_a_path_that_was_slow_is_avoided_by_the_next_process(world: World) -> None:
    gateway = make_cluster(world)
    data = bytes(300_000)
    served = Served(Repository.open(gateway.path))
    try:
        await put(await served.remote(CLUSTER), key_of(data), data)
    finally:
        await served.aclose()
    tip = world.git(gateway.path, "rev-parse", "git-annex")
    names = [line.split(" ")[2] for line in (gateway.path / FILE).read_text().splitlines()]
    assert sorted(names) == ["node1", "node2", "node3"]
    for quick in names:
        with Repository.open(gateway.path) as repository:
            costs = {Path(uuid_of(n), n): 0.001 if n == quick else 2.0 for n in names}
            loaded(repository).keep(costs)
        chosen = await read_from(gateway.path, key_of(data))
        assert chosen.startswith(str(world.root / quick))
    assert world.git(gateway.path, "rev-parse", "git-annex") == tip
