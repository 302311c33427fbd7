"""Remembering how a node has been doing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from shoal.errors import NotEnoughSpace, RemoteRefused, RemoteUnavailable
from shoal.gateway.node import Node
from shoal.gateway.patience import NodeTimeout, Patience
from shoal.remotes.base import NOBODY, AlreadyPresent, Upload
from tests.support.fake_cluster import QUICK
from tests.support.loop import in_loop, pass_time, until
from tests.support.memory_remote import MemoryRemote, key_of

KEY = key_of(b"x")


class Rig:
    def __init__(self, *, quick: bool = False) -> None:
        self.now = 100.0
        self.remote = MemoryRemote(name="n1")
        limits = replace(QUICK, answer=0.1) if quick else QUICK
        self.node = Node(self.remote, Patience(limits), lambda: self.now)

    async def ask(self) -> bool:
        return await self.node.ask(lambda remote: remote.check_present(KEY))


@in_loop
async def test_failures_are_counted_until_the_next_answer() -> None:
    rig = Rig()
    rig.remote.fail("check_present", times=2)
    for count in (1, 2):
        with pytest.raises(RemoteUnavailable):
            await rig.ask()
        assert rig.node.state.failures == count
    assert await rig.ask() is False
    assert rig.node.state.failures == 0
    assert rig.node.state.shunned is False


@in_loop
async def test_troubles_are_told() -> None:
    told: list[str] = []
    remote = MemoryRemote(name="n1")
    node = Node(remote, Patience(QUICK), on_trouble=lambda name, e: told.append(f"{name}: {e}"))
    errors = RemoteUnavailable("n1", "away"), RemoteRefused("read-only"), NotEnoughSpace("full")
    for error in errors:
        remote.fail("check_present", error)
        with pytest.raises(type(error)):
            await node.ask(lambda remote: remote.check_present(KEY))
    assert told == [f"n1: {error}" for error in errors[:2]]  # a full disk is nothing unusual


@in_loop
async def test_a_refusal_is_an_answer() -> None:
    rig = Rig()
    rig.remote.fail("check_present")
    rig.remote.fail("check_present", RemoteRefused("no"))
    with pytest.raises(RemoteUnavailable):
        await rig.ask()
    with pytest.raises(RemoteRefused):
        await rig.ask()
    assert rig.node.state.failures == 0


@in_loop
async def test_a_silent_node_is_shunned_the_longer_the_more_often() -> None:
    rig = Rig(quick=True)
    gate = rig.remote.hold("check_present", times=None)
    waited = []
    for _ in range(7):
        with pytest.raises(NodeTimeout):
            await rig.ask()
        began = rig.now
        with pytest.raises(RemoteUnavailable, match="it did not answer a moment ago"):
            await rig.ask()
        while rig.node.state.shunned:
            rig.now += 1
        waited.append(rig.now - began)
    assert waited == [10, 20, 40, 80, 160, 300, 300]
    gate.open()
    assert await rig.ask() is False
    rig.remote.heal()
    gate = rig.remote.hold("check_present")
    with pytest.raises(NodeTimeout):
        await rig.ask()
    rig.now += 10
    assert rig.node.state.shunned is False
    gate.open()


@in_loop
async def test_a_shunned_node_is_probed_and_counts_again_when_it_answers() -> None:
    rig = Rig(quick=True)
    rig.remote.hold("check_present", times=2)  # the question, and the first probe
    with pytest.raises(NodeTimeout):
        await rig.ask()
    for probes in (1, 2):
        assert rig.node.state.shunned is True
        await pass_time(1)
        await until(partial(lambda probes: len(rig.remote.calls) == 1 + probes, probes))
    await until(lambda: rig.node.state.shunned is False)
    assert rig.now == 100
    assert await rig.ask() is False


@in_loop
async def test_a_node_that_answers_probes_only_is_shunned_the_longer_the_more_often() -> None:
    rig = Rig(quick=True)
    for seconds in (1, 2, 4):
        rig.remote.hold("check_present")
        with pytest.raises(NodeTimeout):
            await rig.ask()
        await pass_time(seconds)
        await until(lambda: rig.node.state.shunned is False)
    rig.remote.hold("check_present")
    with pytest.raises(NodeTimeout):
        await rig.ask()
    await pass_time(4)
    assert rig.node.state.shunned is True
    await pass_time(4)
    await until(lambda: rig.node.state.shunned is False)


@in_loop
async def test_a_refused_probe_is_an_answer() -> None:
    rig = Rig(quick=True)
    rig.remote.hold("check_present")
    with pytest.raises(NodeTimeout):
        await rig.ask()
    rig.remote.fail("check_present", RemoteRefused("no"))
    await pass_time(1)
    await until(lambda: rig.node.state.shunned is False)


@in_loop
async def test_a_closed_node_is_not_probed() -> None:
    rig = Rig(quick=True)
    rig.remote.hold("check_present", times=2)
    with pytest.raises(NodeTimeout):
        await rig.ask()
    await pass_time(1)
    await until(lambda: len(rig.remote.calls) == 2)
    await rig.node.aclose()
    await pass_time(20)
    rig.node.failure(NodeTimeout("n1", "no answer"))  # of what was still under way
    await pass_time(20)
    assert len(rig.remote.calls) == 2


@in_loop
async def test_calls_in_flight_are_counted() -> None:
    rig = Rig()
    gate = rig.remote.hold("check_present")
    asking = asyncio.create_task(rig.ask())
    await gate.reached()
    assert rig.node.state.in_flight == 1
    gate.open()
    await asking
    assert rig.node.state.in_flight == 0


@in_loop
async def test_a_node_is_closed_when_its_last_user_has_left() -> None:
    rig = Rig()
    gate = rig.remote.hold("check_present")
    asking = asyncio.create_task(rig.ask())
    await gate.reached()
    await rig.node.aclose()
    assert not rig.remote.closed
    gate.open()
    assert await asking is False
    assert rig.remote.closed


@in_loop
async def test_an_idle_node_is_closed_at_once() -> None:
    rig = Rig()
    await rig.node.aclose()
    assert rig.remote.closed


@in_loop
async def test_an_upload_that_comes_too_late_is_closed() -> None:
    rig = Rig(quick=True)
    gate = rig.remote.hold("begin_store")
    with pytest.raises(NodeTimeout):
        await rig.node.begin_store(KEY, "", NOBODY)
    gate.open()
    assert rig.remote.idle


@in_loop
async def test_a_cancelled_begin_leaves_no_upload() -> None:
    """Also when the answer comes in the very moment of the cancellation."""
    for turns in range(12):
        rig = Rig()
        begin = asyncio.create_task(rig.node.begin_store(KEY, "", NOBODY))
        for _ in range(turns):
            await asyncio.sleep(0)
        begin.cancel()
        try:
            answer = await begin
        except asyncio.CancelledError:
            pass
        else:
            assert not isinstance(answer, AlreadyPresent)
            await answer.aclose()
        assert rig.remote.idle
        assert rig.node.state.in_flight == 0


@in_loop
async def test_begin_gives_the_remotes_answer() -> None:
    rig = Rig()
    upload = await rig.node.begin_store(KEY, "f", NOBODY)
    assert isinstance(upload, Upload)
    await upload.aclose()
    assert rig.remote.files == ["f"]
    key = rig.remote.put(b"there")
    assert await rig.node.begin_store(key, "", NOBODY) == AlreadyPresent()
