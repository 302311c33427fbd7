"""Which nodes are up, and what they say that they have."""

from __future__ import annotations

from pathlib import Path

from shoal.errors import NoSuchRemote, RemoteUnavailable
from shoal.operations.probing import Health, State, holders, look_around, probe, up
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE, git
from tests.support.fleet import A, B, C, FleetOfThree
from tests.support.loop import in_loop

ELSEWHERE = UUID("dddddddd-0000-4000-8000-000000000000")


@in_loop
async def test_who_is_up(three: FleetOfThree) -> None:
    three.b.fail("check_present")
    async with three.fleet() as fleet:
        health = await probe(fleet, [A, B, ELSEWHERE])
    assert health[A] == Health(State.UP)
    assert health[B].state is State.DOWN
    assert health[B].why
    assert health[ELSEWHERE] == Health(State.UNKNOWN, "not a remote of this repository")
    assert up(health) == {A}


@in_loop
async def test_a_node_that_hangs_is_down_and_holds_nothing_up(three: FleetOfThree) -> None:
    git(Path(three.client.repository.path), "config", "shoal.node-answer-time", "2")
    three.client.repository.config.reload()
    gate = three.b.hold("check_present")
    async with three.fleet() as fleet:
        health = await probe(fleet, [A, B, C])
        assert health[B] == Health(State.DOWN, "no answer within 2 s")
        assert up(health) == {A, C}
        gate.open()


@in_loop
async def test_all_who_may_have_copies_are_asked(three: FleetOfThree) -> None:
    async with three.fleet() as fleet:
        assert up(await look_around(fleet, [A])) == {A, B, C, HERE}


@in_loop
async def test_who_has_a_key(three: FleetOfThree) -> None:
    key = three.give(b"one", three.a)
    three.client.log(key, three.b, present=True)
    three.c.fail("check_present")
    async with three.fleet() as fleet:
        found = await holders(fleet, [A, B, C, ELSEWHERE], key)
    assert (found[A], found[B]) == (True, False)
    assert isinstance(found[C], RemoteUnavailable)
    assert isinstance(found[ELSEWHERE], NoSuchRemote)
