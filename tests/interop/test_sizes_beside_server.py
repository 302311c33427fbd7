"""While a server stores into a balanced cluster, both programs in the gateway's repository
answer at once, and in the end they know the same sizes and say that nodes want the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, make_gateway, objects_of, served
from tests.support.raw_http import RawClient
from tests.support.wait import wait_until
from tests.support.world import World

SIZE, FILES = 100_000, 12
NODES = ("node1", "node2", "node3")
PROGRAMS = ("git-annex", "shoal")


@pytest.fixture(params=[1, 2])
def copies(request: pytest.FixtureRequest) -> int:
    """How many nodes are to have each key."""
    return int(request.param)


@pytest.fixture
def limit(copies: int) -> int:
    """The maximum size of a node: in all there is a little more room than is needed."""
    return SIZE * (FILES * copies // len(NODES) + 1)


@pytest.fixture
def gateway(world: World, copies: int, limit: int) -> Iterator[Gateway]:
    """A cluster whose nodes share what comes, each up to its maximum size."""
    made = make_gateway(world)
    for name in NODES:
        world.annex(made.path, "group", name, "store")
        world.annex(made.path, "wanted", name, f"sizebalanced=store:{copies}")
        world.annex(made.path, "maxsize", name, f"{limit} B")
    with served(made) as running:
        yield running


def add_files(world: World, repo: Path) -> dict[str, bytes]:
    """Add files and drop their contents; give these by key."""
    for number in range(FILES):
        (repo / f"file{number}").write_bytes(bytes([number]) * SIZE)
    world.annex(repo, "add", "--quiet", ".")
    world.git(repo, "commit", "-q", "-m", "files")
    found = world.annex(repo, "find", "--format=${key} ${file}\\n").split()
    contents = {
        key: (repo / name).read_bytes() for key, name in zip(found[::2], found[1::2], strict=True)
    }
    world.annex(repo, "drop", "--force", "--quiet", ".")
    return contents


def asked(world: World, repo: Path, node: str, *more: str) -> str:
    """Give the files that a node wants by both programs, which must agree as soon as nothing
    counts any more as on its way to a node."""
    words = ("find", "--anything", f"--want-get-by={node}", *more)
    found: list[str] = []

    def agree() -> bool:
        found[:] = [world.run(program, *words, cwd=repo).stdout for program in PROGRAMS]
        return found[0] == found[1]

    wait_until(agree)
    return found[0]


def sizes(world: World, repo: Path) -> dict[str, int]:
    """Give the sizes of the nodes by both programs, which must agree."""
    shown = world.annex(repo, "maxsize", "--bytes")
    assert world.run("shoal", "maxsize", "--bytes", cwd=repo).stdout == shown
    found = {}
    for line in shown.splitlines()[1:]:
        for name in NODES:
            if line.endswith(f"[{name}]"):
                found[name] = int(line.split()[0])
    return found


def test_both_programs_answer_at_once_and_agree(
    world: World, gateway: Gateway, copies: int, limit: int
) -> None:
    repo = gateway.path
    contents = add_files(world, repo)
    client = RawClient(gateway.port, gateway.cluster)
    taken: list[float] = []
    with ThreadPoolExecutor(4) as uploaders:
        uploads = [uploaders.submit(client.put, key, data) for key, data in contents.items()]
        while not taken or not all(one.done() for one in uploads):
            for words in (("maxsize",), ("find", "--want-get-by=node1")):
                for program in ("git-annex", "shoal"):
                    begin = time.monotonic()
                    world.run(program, *words, cwd=repo)
                    taken.append(time.monotonic() - begin)
    assert max(taken) < 60, f"{taken} seconds"
    answers = [one.result() for one in uploads]
    assert [one.json().get("stored") for one in answers] == [True] * FILES

    world.annex(repo, "merge")
    held = {
        node.name: sum(SIZE for key in contents if objects_of(node, key)) for node in gateway.nodes
    }
    assert sizes(world, repo) == held
    assert sum(held.values()) == SIZE * FILES * copies
    assert max(held.values()) <= limit
    for node in NODES:
        assert asked(world, repo, node)
        asked(world, repo, node, "--rebalance")
