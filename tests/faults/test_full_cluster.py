"""More uploads at once than a cluster has room for: what fits is stored, and nothing more."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from shoal.git.repository import Repository
from shoal.logs import uuid as uuid_log
from tests.support.gateway import Gateway, objects_of, served
from tests.support.quick_cluster import assert_whole, make_cluster, uuid_of, want_all
from tests.support.raw_http import Answer, RawClient, key_of
from tests.support.wait import wait_until
from tests.support.world import World

SMALL, LARGE = 10_000, 300_000
FULL = "not enough space on any wanted node"
EXPRESSIONS = ["balanced=nodes:1", "sizebalanced=nodes:1"]


def limit(gateway: Gateway, *sizes: int) -> None:
    """Give nodes maximum sizes."""
    with Repository.open(gateway.path) as repository:
        for node, size in zip(gateway.nodes, sizes, strict=True):
            repository.logs.set_max_size(uuid_of(node.name), size)
        repository.branch.commit()


def contents_of(size: int, count: int = 16) -> dict[str, bytes]:
    made = [(b"%d " % number * size)[:size] for number in range(count)]
    return {key_of(one): one for one in made}


def put_all(clients: list[RawClient], contents: Mapping[str, bytes]) -> list[Answer]:
    """Store contents, all at once, through one client after the other."""

    def put(number: int, key: str) -> Answer:
        return clients[number % len(clients)].put(key, contents[key])

    with ThreadPoolExecutor(len(contents)) as pool:
        return list(pool.map(put, range(len(contents)), contents))


def check(
    gateway: Gateway, contents: Mapping[str, bytes], answers: list[Answer], expected: int
) -> None:
    """As many were stored as expected, in one node each; the others refused; both programs
    and the disks agree about what is where."""
    stored = {}
    for (key, content), answer in zip(contents.items(), answers, strict=True):
        if answer.status == 200 and answer.json()["stored"]:
            stored[key] = content
        else:
            assert (answer.status, answer.body.decode()) == (507, FULL)
            assert gateway.holders(key) == []
    assert len(stored) == expected
    assert_whole(gateway, stored)
    assert all(len(gateway.holders(key)) == 1 for key in stored)


def bytes_in(node: Path) -> int:
    found = (node / "annex" / "objects").glob("*/*/*/*")
    return sum(path.stat().st_size for path in found if path.is_file())


def shown_sizes(gateway: Gateway, program: str) -> dict[str, int]:
    lines = gateway.world.run(program, "maxsize", "--bytes", cwd=gateway.path).stdout.splitlines()
    return {
        node.name: int(line.split()[0])
        for node in gateway.nodes
        for line in lines
        if uuid_of(node.name) in line
    }


def reserved(gateway: Gateway) -> int:
    """Give how many bytes are on their way to nodes."""
    with Repository.open(gateway.path) as repository:
        sizes, live = repository.sizes.sizes(), repository.sizes.live_sizes()
    return sum(live.values()) - sum(sizes.values())


@contextmanager
def stalled_upload(gateway: Gateway, content: bytes) -> Iterator[None]:
    """An upload that the server has begun, and whose end does not come."""
    key = key_of(content)
    client = RawClient(gateway.port, gateway.cluster)
    request = client.put_request(key, content)
    with client.start(request[: -len(content) // 2]):
        wait_until(lambda: reserved(gateway) == len(content))
        yield


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_sixteen_at_once_into_room_for_ten(world: World, size: int, expression: str) -> None:
    gateway = make_cluster(world, 3)
    want_all(gateway, expression)
    limit(gateway, 5 * size + 1, 3 * size, 3 * size - 1)
    with served(gateway):
        contents = contents_of(size)
        answers = put_all([RawClient(gateway.port, gateway.cluster)], contents)
        check(gateway, contents, answers, 10)
        sizes = {"node1": 5 * size, "node2": 3 * size, "node3": 2 * size}
        assert shown_sizes(gateway, "shoal") == shown_sizes(gateway, "git-annex") == sizes
        assert {node.name: bytes_in(node) for node in gateway.nodes} == sizes


def test_into_nodes_that_the_gateway_has_never_heard_of(world: World) -> None:
    """No log names a node from which nothing was fetched, as long as it has nothing."""
    gateway = make_cluster(world, 2)
    want_all(gateway, "balanced=nodes:1")
    with Repository.open(gateway.path) as repository:
        repository.branch.change(uuid_log.PATH, lambda log: b"")
    limit(gateway, 6 * LARGE, 4 * LARGE)
    with served(gateway):
        contents = contents_of(LARGE)
        answers = put_all([RawClient(gateway.port, gateway.cluster)], contents)
        check(gateway, contents, answers, 10)
        assert [bytes_in(node) for node in gateway.nodes] == [6 * LARGE, 4 * LARGE]


def test_two_servers_of_one_repository(world: World) -> None:
    first = make_cluster(world, 2)
    want_all(first, "balanced=nodes:1")
    limit(first, 6 * SMALL, 4 * SMALL)
    second = Gateway(world, first.path, first.cluster, first.nodes)
    with ExitStack() as stack:
        for gateway in (first, second):
            stack.enter_context(served(gateway))
        contents = contents_of(SMALL)
        clients = [RawClient(one.port, one.cluster) for one in (first, second)]
        check(first, contents, put_all(clients, contents), 10)


def test_the_real_program_copies_into_the_same_nodes(world: World) -> None:
    gateway = make_cluster(world, 2)
    want_all(gateway, "balanced=nodes:1")
    limit(gateway, 6 * SMALL, 4 * SMALL)
    for number in range(8):
        world.add(gateway.path, f"file{number}", b"%07d" % number * (SMALL // 7) + b"..." * 2)
    here = [objects_of(gateway.path, key)[0].stat().st_size for key in keys_of(gateway)]
    assert here == [len(b"......") + SMALL // 7 * 7] * 8
    with served(gateway):
        copying = subprocess.Popen(
            ["git-annex", "copy", "--auto", "--to=node1", "--quiet"], cwd=gateway.path
        )
        contents = contents_of(SMALL)
        answers = put_all([RawClient(gateway.port, gateway.cluster)], contents)
        assert copying.wait(120) == 0
        assert {answer.status for answer in answers} <= {200, 507}
        sizes = {node.name: bytes_in(node) for node in gateway.nodes}
        assert shown_sizes(gateway, "shoal") == shown_sizes(gateway, "git-annex") == sizes
        assert sizes["node1"] <= 6 * SMALL
        assert sizes["node2"] <= 4 * SMALL
        assert sum(sizes.values()) > 9 * SMALL  # all of the room is used


def keys_of(gateway: Gateway) -> list[str]:
    return gateway.world.annex(gateway.path, "find", "--format=${key}\\n").split()


@pytest.mark.parametrize("command", ["git-annex", "shoal"])
def test_others_see_what_is_reserved_and_do_not_wait(world: World, command: str) -> None:
    gateway = make_cluster(world, 1)
    want_all(gateway, "balanced=nodes:1")
    limit(gateway, 2 * LARGE - 1)
    world.add(gateway.path, "file", b"f" * LARGE)
    words = (command, "find", "--want-get-by=node1")
    with served(gateway):
        assert world.run(*words, cwd=gateway.path).stdout == "file\n"
        with stalled_upload(gateway, b"1" * LARGE):
            began = time.monotonic()
            assert world.run(*words, cwd=gateway.path).stdout == ""
            assert shown_sizes(gateway, command) == {"node1": 0}
            assert time.monotonic() - began < 50  # a lock is waited for a minute
            answer = RawClient(gateway.port, gateway.cluster).put(
                key_of(b"2" * LARGE), b"2" * LARGE
            )
            assert (answer.status, answer.body.decode()) == (507, FULL)
        wait_until(lambda: world.run(*words, cwd=gateway.path).stdout == "file\n")


def test_what_a_killed_server_reserved_is_free_again(world: World) -> None:
    gateway = make_cluster(world, 1)
    want_all(gateway, "balanced=nodes:1")
    limit(gateway, LARGE)
    gateway.start()
    with stalled_upload(gateway, b"1" * LARGE):
        gateway.stop(signal.SIGKILL)
    with served(gateway):
        answer = RawClient(gateway.port, gateway.cluster).put(key_of(b"2" * LARGE), b"2" * LARGE)
        assert answer.json()["stored"] is True
