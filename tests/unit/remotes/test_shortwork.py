"""Short work: one thread while disks are prompt, more when one is not."""

from __future__ import annotations

import asyncio
import threading

import pytest

from shoal.remotes import shortwork
from shoal.remotes.shortwork import Lane
from tests.support.loop import in_loop, until


def me() -> int:
    return threading.get_ident()


class Disk:
    """Work on a disk that hangs until it is told to go on."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def work(self) -> int:
        self.reached.set()
        assert self.go_on.wait(60)
        return me()

    async def hang(self) -> asyncio.Task[int]:
        """Start work that hangs."""
        task = asyncio.create_task(self.lane.call(self.work))
        await asyncio.to_thread(self.reached.wait, 60)
        return task


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine makes prompt work look slow."""
    monkeypatch.setattr(shortwork, "PROMPT", 0.1)
    monkeypatch.setattr(shortwork, "HANGS", 0.3)


@in_loop
async def test_work_gives_what_it_gives_and_raises_what_it_raises() -> None:
    lane = Lane("disk")
    assert await lane.call(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        await lane.call(lambda: 1 // 0)
    await lane.idle()


@in_loop
async def test_one_thread_does_the_work_of_all_disks() -> None:
    lanes = [Lane("one"), Lane("other")]
    threads = await asyncio.gather(*(lanes[n % 2].call(me) for n in range(100)))
    assert len(set(threads)) == 1
    assert threads[0] != me()


@in_loop
async def test_a_disk_that_hangs_holds_up_nobody_else() -> None:
    disk, other = Disk(Lane("hangs")), Lane("other")
    stuck = await disk.hang()
    async with asyncio.timeout(60):
        assert await other.call(me) == await other.call(me)
    assert not stuck.done()
    assert disk.lane.slow
    disk.go_on.set()
    assert await stuck != await other.call(me)


@in_loop
async def test_what_was_done_is_told_when_the_next_piece_hangs() -> None:
    disk, other = Disk(Lane("hangs")), Lane("other")
    first = Disk(other)
    held = await first.hang()  # so that the next two wait in the queue
    done = asyncio.create_task(other.call(me))
    stuck = asyncio.create_task(disk.lane.call(disk.work))
    await asyncio.sleep(0)
    first.go_on.set()
    async with asyncio.timeout(60):
        await done
        await held
    assert not stuck.done()
    disk.go_on.set()
    await stuck


@in_loop
async def test_a_slow_disk_has_threads_of_its_own_until_it_is_prompt() -> None:
    disk = Disk(Lane("slow"))
    stuck = [await disk.hang()]
    await until(lambda: disk.lane.slow)
    stuck += [asyncio.create_task(disk.lane.call(disk.work)) for _ in range(20)]
    await asyncio.sleep(0)  # so that all these are in the queue
    async with asyncio.timeout(60):
        leader = await Lane("other").call(me)
    disk.go_on.set()
    threads = set(await asyncio.gather(*stuck))
    assert leader not in threads
    assert len(threads) <= 9
    while disk.lane.slow:
        await disk.lane.call(me)
    assert await disk.lane.call(me) == leader


@in_loop
async def test_what_was_done_is_told_when_the_rest_is_of_a_slow_disk() -> None:
    disk = Disk(Lane("slow"))
    stuck = [await disk.hang()]
    await until(lambda: disk.lane.slow)
    done = asyncio.create_task(Lane("other").call(me))
    stuck += [asyncio.create_task(disk.lane.call(disk.work)) for _ in range(20)]
    async with asyncio.timeout(60):
        await done
    disk.go_on.set()
    await asyncio.gather(*stuck)


@in_loop
async def test_work_that_did_not_begin_is_dropped_when_nobody_waits() -> None:
    disk, done = Disk(Lane("hangs")), threading.Event()
    stuck = await disk.hang()
    waiting = asyncio.create_task(Lane("other").call(done.set))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    disk.go_on.set()
    await stuck
    await Lane("another").call(me)
    assert not done.is_set()


@in_loop
async def test_work_that_runs_is_waited_for_by_who_is_cancelled() -> None:
    disk = Disk(Lane("disk"))
    task = await disk.hang()
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    disk.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await disk.lane.idle()


@in_loop
async def test_a_disk_that_hangs_is_waited_for_only_briefly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shortwork, "_SETTLE", 0.01)
    disk = Disk(Lane("disk"))
    task = await disk.hang()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    idle = asyncio.create_task(disk.lane.idle())
    await asyncio.sleep(0.01)
    assert not idle.done()
    disk.go_on.set()
    await idle


def test_an_event_loop_that_has_ended_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortwork, "_SETTLE", 0.01)
    disk = Disk(Lane("disk"))

    async def begin() -> None:
        task = await disk.hang()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(begin())
    disk.go_on.set()
    assert asyncio.run(Lane("other").call(me)) != me()


@in_loop
async def test_a_disk_is_slow_when_it_is_so_on_average() -> None:
    lane = Lane("disk")
    lane.took(0.3)
    assert not lane.slow
    for _ in range(5):
        lane.took(0.15)
    assert lane.slow
    leader = await Lane("other").call(me)
    assert await lane.call(me) != leader
    while lane.slow:
        await lane.call(me)
    assert await lane.call(me) == leader
