"""Who can be asked, while that changes."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from shoal.errors import ShoalError
from shoal.operations.attendance import Attendance
from shoal.operations.fleet import Fleet
from shoal.operations.probing import Health, State
from shoal.values.uuid import UUID
from tests.support.fleet import A, B, C, FleetOfThree
from tests.support.loop import in_loop


@dataclass
class Told:
    """What an attendance tells, and the time that it reads."""

    heard: list[tuple[UUID, State]] = field(default_factory=list)
    now: float = 0.0

    def of(self, fleet: Fleet, *down: UUID) -> Attendance:
        up = {A, B, C} - {*down}
        return Attendance(fleet, up, down, tell=self.tell, clock=lambda: self.now)

    def tell(self, repo: UUID, health: Health) -> None:
        self.heard.append((repo, health.state))


async def use(fleet: Fleet, repo: UUID) -> None:
    """Ask a node for something, as a step does."""
    with pytest.raises(ShoalError):
        await fleet.node(repo).ask(lambda remote: remote.timestamp())


@in_loop
async def test_one_that_went_away_is_left_out_until_it_is_back(three: FleetOfThree) -> None:
    told = Told()
    async with three.fleet() as fleet:
        attendance = told.of(fleet)
        await attendance.look()
        assert attendance.up == {A, B, C}
        three.b.fail("timestamp")
        three.b.fail("check_present")
        await use(fleet, B)
        await attendance.look()
        assert attendance.up == {A, C}
        told.now = 29.0
        await attendance.look()
        assert attendance.up == {A, C}
        told.now = 31.0
        await attendance.look()
        assert attendance.up == {A, B, C}
    assert told.heard == [(B, State.DOWN), (B, State.UP)]


@in_loop
async def test_one_that_is_there_stays_in_though_it_failed(three: FleetOfThree) -> None:
    told = Told()
    async with three.fleet() as fleet:
        attendance = told.of(fleet)
        three.b.fail("timestamp")
        await use(fleet, B)
        await attendance.look()
        assert attendance.up == {A, B, C}
    assert told.heard == []


@in_loop
async def test_one_that_was_away_from_the_start_is_looked_out_for(three: FleetOfThree) -> None:
    told = Told()
    three.c.fail("check_present")
    async with three.fleet() as fleet:
        attendance = told.of(fleet, C)
        for told.now in (31.0, 62.0):
            assert attendance.up == {A, B}
            await attendance.look()
        assert attendance.up == {A, B, C}
    assert told.heard == [(C, State.UP)]
