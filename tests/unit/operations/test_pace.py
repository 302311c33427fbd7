"""Rates and budgets of a run, with a clock that the test turns."""

from __future__ import annotations

import pytest

from shoal.operations.pace import Budget, Paced, Throttle
from tests.support.loop import in_loop
from tests.support.memory_remote import content_from, gather


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@in_loop
async def test_bytes_pass_at_the_rate() -> None:
    clock = Clock()
    throttle = Throttle(1000, clock=clock, sleep=clock.sleep)
    for _ in range(10):
        await throttle.take(500)
    assert clock.now == 105.0
    clock.now += 60  # what was not used is not saved up
    await throttle.take(1000)
    assert clock.now == 166.0


@in_loop
async def test_without_a_rate_nobody_waits() -> None:
    clock = Clock()
    await Throttle(None, clock=clock, sleep=clock.sleep).take(1 << 40)
    assert clock.now == 100.0


@in_loop
async def test_content_passes_in_slices_and_is_counted() -> None:
    clock = Clock()
    data = bytes(range(256)) * 400
    seen: list[int] = []
    throttle = Throttle(20_000, clock=clock, sleep=clock.sleep)
    paced = Paced(content_from(data, offset=400, chunk=50_000), throttle, seen.append, weight=2)
    assert await gather(paced) == data[400:]
    assert (paced.passed, seen[-1]) == (len(data) - 400, len(data))
    assert clock.now == pytest.approx(100 + 2 * paced.passed / 20_000)
    assert len(seen) > 3


def test_a_budget_is_never_passed() -> None:
    budget = Budget(100)
    assert budget.allows(60)
    assert not budget.allows(60)
    assert budget.spent
    assert not budget.allows(1)


def test_time_runs_out() -> None:
    clock = Clock()
    budget = Budget(seconds=10, clock=clock)
    assert budget.allows(1 << 50)
    clock.now += 10
    assert not budget.in_time()
    assert budget.spent == "the time is over"
