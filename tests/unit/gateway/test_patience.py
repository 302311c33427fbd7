"""Waiting for nodes in time."""

from __future__ import annotations

import asyncio

import pytest

from shoal.errors import RemoteRefused, RemoteUnavailable
from shoal.gateway.patience import Limits, NodeTimeout, Patience, uninterrupted
from tests.support.loop import in_loop

QUICK = Limits(answer=0.02, stall=0.02, finish=0.02, hedge=0.01, grace=0.02)


async def give(value: bool, gate: asyncio.Event | None = None) -> bool:
    if gate is not None:
        await gate.wait()
    return value


async def refuse() -> bool:
    raise RemoteRefused("no")


async def deaf(gate: asyncio.Event) -> bool:
    """Does not heed cancellation, as a thread in the kernel."""
    while not gate.is_set():
        try:
            await gate.wait()
        except asyncio.CancelledError:
            continue
    return True


@in_loop
async def test_a_call_gives_what_the_work_gives() -> None:
    patience = Patience(QUICK)
    assert await patience.call("n", give(True), 1) is True
    with pytest.raises(RemoteRefused):
        await patience.call("n", refuse(), 1)


@in_loop
async def test_a_slow_call_ends_in_time() -> None:
    patience = Patience(QUICK)
    with pytest.raises(NodeTimeout, match=r'remote "n" is not available \(no answer within 0'):
        await patience.call("n", give(True, asyncio.Event()), 0.01)
    assert patience.left_behind == 0


@in_loop
async def test_a_deaf_call_is_left_behind() -> None:
    """The answer comes in time although the work cannot be stopped."""
    patience = Patience(QUICK)
    gate = asyncio.Event()
    with pytest.raises(NodeTimeout):
        await patience.call("n", deaf(gate), 0.01)
    assert patience.left_behind == 1
    gate.set()
    await patience.aclose()
    assert patience.left_behind == 0


@in_loop
async def test_a_cancelled_call_cancels_the_work() -> None:
    patience = Patience(QUICK)
    cleaned = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    call = asyncio.create_task(patience.call("n", work(), 60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert cleaned.is_set()


@in_loop
async def test_first_yes_stops_at_the_first() -> None:
    """The others are not asked while the first may still say yes."""
    asked = []

    async def ask(name: str, answer: bool) -> bool:
        asked.append(name)
        return answer

    questions = {n: lambda n=n, a=a: ask(n, a) for n, a in [("a", True), ("b", True)]}
    assert await Patience(QUICK).first_yes(questions, 1) == ("a", {})
    assert asked == ["a"]


@in_loop
async def test_first_yes_goes_on_after_a_no_and_a_failure() -> None:
    questions = {"a": lambda: give(False), "b": refuse, "c": lambda: give(True)}
    found, failures = await Patience(QUICK).first_yes(questions, 1)
    assert found == "c"
    assert set(failures) <= {"b"}
    questions = {"a": refuse, "b": lambda: give(False)}
    found, failures = await Patience(QUICK).first_yes(questions, 1)
    assert found is None
    assert str(failures["a"]) == "no"


@in_loop
async def test_first_yes_does_not_wait_for_who_hesitates() -> None:
    gate = asyncio.Event()
    questions = {
        "slow": lambda: give(True, gate),
        "b": lambda: give(False),
        "c": lambda: give(True),
    }
    assert await Patience(QUICK).first_yes(questions, 0.01) == ("c", {})


@in_loop
async def test_first_yes_waits_for_all_before_it_says_no() -> None:
    gate = asyncio.Event()
    questions = {"slow": lambda: give(True, gate), "b": lambda: give(False)}
    asking = asyncio.create_task(Patience(QUICK).first_yes(questions, 0.001))
    await asyncio.sleep(0.01)
    assert not asking.done()
    gate.set()
    assert await asking == ("slow", {})


@in_loop
async def test_first_yes_of_nobody() -> None:
    assert await Patience(QUICK).first_yes({}, 1) == (None, {})


@in_loop
async def test_uninterrupted_work_ends_before_the_cancellation() -> None:
    gate = asyncio.Event()
    done = []

    async def work() -> None:
        await gate.wait()
        done.append(True)

    task = asyncio.create_task(uninterrupted(work()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]


@in_loop
async def test_uninterrupted_work_may_fail() -> None:
    async def work() -> None:
        raise RemoteUnavailable("n", "down")

    with pytest.raises(RemoteUnavailable):
        await uninterrupted(work())
