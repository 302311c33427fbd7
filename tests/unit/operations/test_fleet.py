"""The nodes of a cluster, opened: who is asked, how long, and what is noticed meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from shoal.errors import NoSuchRemote, RemoteRefused, RemoteUnavailable
from shoal.gateway.patience import NodeTimeout
from shoal.git.repository import Repository
from shoal.logs.trust import TrustLevel
from shoal.values.uuid import UUID
from tests.support.fleet import A, B, C, FleetOfThree
from tests.support.loop import in_loop


@in_loop
async def test_holders_are_who_may_be_read_from(three: FleetOfThree) -> None:
    key = three.give(b"content", three.a, three.b, three.c)
    three.client.trust(three.b, TrustLevel.DEAD)
    three.client.trust(three.c, TrustLevel.UNTRUSTED)
    three.client.repository.logs.set_location(key, UUID("unreachable"), True)
    async with three.fleet() as fleet:
        assert {node.uuid for node in fleet.holders(key)} == {A, C}
        assert {node.uuid for node in fleet.holders(key, {A})} == {C}
        assert fleet.name(A) == "a"
        with pytest.raises(NoSuchRemote):
            fleet.node(UUID("unreachable"))


@in_loop
async def test_the_gateway_itself_can_be_read_from(three: FleetOfThree) -> None:
    key = three.client.put(b"content")
    async with three.fleet() as fleet:
        (node,) = fleet.holders(key)
        assert await node.ask(lambda remote: remote.check_present(key))


@in_loop
async def test_locks_are_taken_in_time(three: FleetOfThree) -> None:
    key = three.give(b"content", three.a, three.b)
    async with three.fleet() as fleet:
        usual = fleet.patience.limits
        fleet.patience.limits = replace(usual, answer=0.05, grace=0.05)
        gate = three.a.hold("lock_content")
        with pytest.raises(NodeTimeout):
            async with fleet.remote(A).lock_content(key):
                pass
        with pytest.raises(RemoteUnavailable, match="did not answer a moment ago"):
            async with fleet.remote(A).lock_content(key):
                pass
        gate.open()
        fleet.patience.limits = usual
        async with fleet.remote(B).lock_content(key):
            assert three.b.locks[key] == 1
        assert three.b.idle
        del three.b.objects[key]
        with pytest.raises(RemoteRefused):
            async with fleet.remote(B).lock_content(key):
                pass
    assert three.a.idle


@in_loop
async def test_a_lock_is_released_when_who_wanted_it_is_cancelled(three: FleetOfThree) -> None:
    key = three.give(b"content", three.a)
    locked = asyncio.Event()
    async with three.fleet() as fleet:

        async def keep() -> None:
            async with fleet.remote(A).lock_content(key):
                locked.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(keep())
        await locked.wait()
        assert three.a.locks[key] == 1
        task.cancel()
        await asyncio.wait({task})
        assert three.a.idle


@in_loop
async def test_what_is_configured_meanwhile_holds_after_a_refresh(three: FleetOfThree) -> None:
    async with three.fleet() as fleet:
        before = fleet.session
        await fleet.refresh()
        assert fleet.session is before
        with Repository.open(three.client.repository.path) as other:
            other.logs.set_numcopies(3)
            other.branch.commit()
        await asyncio.sleep(0.01)
        await fleet.refresh()
        assert fleet.session is not before
        assert fleet.session.copies.of_file(None).numcopies == 3


@in_loop
async def test_much_that_was_journalled_is_committed_in_between(three: FleetOfThree) -> None:
    keys = [three.give(bytes([number]), three.a) for number in range(251)]
    three.client.repository.branch.commit()
    journal = Path(three.client.repository.annex_path("journal"))
    async with three.fleet() as fleet:
        for key in keys[:-1]:
            await fleet.record(key, present=[B])
        await fleet.commit()
        assert not list(journal.iterdir())
        await fleet.record(keys[-1], present=[B])
        await fleet.commit()
        assert len(list(journal.iterdir())) == 1
    assert not list(journal.iterdir())


@in_loop
async def test_room_is_reserved_until_it_is_used_or_given_up(three: FleetOfThree) -> None:
    key, other = three.give(b"x" * 100, three.a), three.give(b"y" * 100, three.a)
    three.client.repository.logs.set_max_size(B, 150)
    sizes = three.client.repository.sizes
    async with three.fleet() as fleet:
        async with fleet.reserving(key, [B, C]) as first:
            assert first == {B, C}
            async with fleet.reserving(other, [B, C]) as second:
                assert second == {C}
            assert sizes.live_size(B) == 100
        assert sizes.live_size(B) == 0
        async with fleet.reserving(key, [B]):
            await fleet.record(key, present=[B])
        assert sizes.live_size(B) == 100
