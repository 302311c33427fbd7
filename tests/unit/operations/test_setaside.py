"""Setting bad copies aside on disks of this machine."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shoal.annex.session import Session
from shoal.errors import ShoalError
from shoal.git.repository import Repository
from shoal.operations.choosing import choose_cluster
from shoal.operations.copykey import KeyCopy
from shoal.operations.fleet import Fleet
from shoal.operations.pace import Throttle
from shoal.operations.setaside import set_aside
from shoal.operations.verify import State, verify
from shoal.remotes.base import Caller
from shoal.values.key import Key
from tests.support.gateway import Gateway, objects_of
from tests.support.loop import in_loop
from tests.support.quick_cluster import fill, logged, make_cluster, uuid_of
from tests.support.raw_http import key_of
from tests.support.world import World

CONTENT = b"content" * 20_000
NAME = key_of(CONTENT)
KEY = Key.parse(NAME.encode())
NODE = uuid_of("node1")


@pytest.fixture
def gateway(world: World) -> Gateway:
    made = make_cluster(world, 2)
    fill(made, {NAME: CONTENT}, "node1", "node2")
    return made


@asynccontextmanager
async def opened(gateway: Gateway) -> AsyncIterator[Fleet]:
    with Repository.open(gateway.path) as repository:
        cluster = choose_cluster(Session(repository))
        async with Fleet(lambda: Session(repository), cluster.remotes) as fleet:
            yield fleet


def overwrite(gateway: Gateway, content: bytes) -> None:
    (path,) = objects_of(gateway.nodes[0], NAME)
    path.chmod(0o644)
    path.write_bytes(content)


@in_loop
async def test_a_bad_object_is_moved_and_is_no_copy_any_more(gateway: Gateway) -> None:
    overwrite(gateway, CONTENT[::-1])
    async with opened(gateway) as fleet:
        verdict = await verify(fleet.node(NODE), KEY, Throttle(), Caller())
        assert (verdict.state, verdict.size) == (State.BAD, 2 * len(CONTENT))
        what = await set_aside(fleet, NODE, KEY, verdict.file, Throttle())
    moved = gateway.nodes[0] / "annex" / "bad" / NAME
    assert what == f"moved to {moved}"
    assert moved.read_bytes() == CONTENT[::-1]
    assert not objects_of(gateway.nodes[0], NAME)
    assert logged(gateway, NAME) == {"node2"}
    with Repository.open(gateway.nodes[0]) as node:
        assert NODE not in node.logs.locations(KEY, raw=True)


@in_loop
async def test_an_object_that_was_replaced_meanwhile_stays(gateway: Gateway) -> None:
    overwrite(gateway, CONTENT[::-1])
    async with opened(gateway) as fleet:
        verdict = await verify(fleet.node(NODE), KEY, Throttle(), Caller())
        (path,) = objects_of(gateway.nodes[0], NAME)
        path.parent.chmod(0o755)
        good = path.with_name("good")
        good.write_bytes(CONTENT)
        os.replace(good, path)
        with pytest.raises(ShoalError, match="replaced meanwhile"):
            await set_aside(fleet, NODE, KEY, verdict.file, Throttle())
    assert path.read_bytes() == CONTENT
    assert logged(gateway, NAME) == {"node1", "node2"}


@in_loop
async def test_a_shorter_object_is_bad_and_a_removed_one_missing(gateway: Gateway) -> None:
    overwrite(gateway, CONTENT[:-1])
    async with opened(gateway) as fleet:
        assert (await verify(fleet.node(NODE), KEY, Throttle(), Caller())).state is State.BAD
        (path,) = objects_of(gateway.nodes[0], NAME)
        path.parent.chmod(0o755)
        path.unlink()
        assert (await verify(fleet.node(NODE), KEY, Throttle(), Caller())).state is State.MISSING
        gateway.take_away(gateway.nodes[0])
        with pytest.raises(ShoalError, match="not available"):
            await verify(fleet.node(NODE), KEY, Throttle(), Caller())
        gateway.bring_back(gateway.nodes[0])


@pytest.mark.parametrize("bad", [CONTENT[:-1], CONTENT + b"x", CONTENT[::-1], b""])
@in_loop
async def test_bad_objects_are_found_out_when_they_are_copied(world: World, bad: bytes) -> None:
    gateway = make_cluster(world)
    fill(gateway, {NAME: CONTENT}, "node1", "node2")
    overwrite(gateway, bad)
    with Repository.open(gateway.path) as repository:
        repository.config.set("remote.node2.annex-cost", "500")
    async with opened(gateway) as fleet:
        result = await KeyCopy(fleet, KEY, Throttle()).run([uuid_of("node3")])
    assert (result.stored, result.bad, result.failed) == ([uuid_of("node3")], [NODE], {})
    (path,) = objects_of(gateway.nodes[2], NAME)
    assert path.read_bytes() == CONTENT
    assert logged(gateway, NAME) == {"node1", "node2", "node3"}
