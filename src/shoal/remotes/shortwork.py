"""Short work on disks: done in the event loop, or by one thread, as long as that is prompt.

Threads that run Python at the same time take its lock from each other at every call to the
system, which costs more than the calls do. So what need not wait for anything, but for what a
disk's files have in memory, is done at once, in the event loop; a disk that made that wait is
left to threads for a while. In threads, the short work of all disks is done by one of them, piece
after piece. A disk may hang, though, and must not stop the others: when a piece takes too long,
another thread goes on with the rest. Work for a disk that hangs, or where pieces are slow on
average, goes to threads of its own until it is prompt again.

    lane of disk A ──┐           ┌── A is prompt ──> the one thread
    lane of disk B ──┴── queue ──┴── A is slow ────> up to 8 threads of lane A
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from queue import SimpleQueue
from resource import RUSAGE_THREAD, getrusage
from time import monotonic, sleep
from typing import Final, TypeVar

from shoal.git.waiting import WouldWait

T = TypeVar("T")

PROMPT: Final = 0.02  # seconds that a piece of work may take on average
HANGS: Final = 0.1  # seconds that a piece may take before another thread goes on with the rest
_WEIGHT: Final = 0.2  # of the newest piece in the average
_WORST: Final = 5.0  # times PROMPT: some ten prompt pieces bring the average down again
_THREADS: Final = 8  # of one lane that is slow
_TOGETHER: Final = 0.001  # seconds; results of so much time are handed to an event loop at once
_REST: Final = 1.0  # seconds for which a disk that was not prompt is not used in an event loop
_SETTLE: Final = 1.0  # seconds that a cancelled caller waits for its work to end


class Lane:
    """The short work of one disk. Its methods belong in one event loop."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._average = 0.0  # seconds that a piece lately took
        self._pool: ThreadPoolExecutor | None = None
        self._unfinished = 0
        self._idle: asyncio.Event | None = None
        self._rests_until = 0.0  # of the monotonic clock: when the event loop may use it again

    def at_once(self, work: Callable[[], T]) -> T:
        """Give what `work` gives, or raise what it raises, right here in the event loop.

        `work` makes a few calls for what most likely is in memory, and raises WouldWait where
        that is not enough; so does this when the disk was slow within the last second. A disk
        of this machine that has to be waited for delays the event loop now and then by one
        such wait.
        """
        began, slept = monotonic(), _times_slept()
        if began < self._rests_until or self.slow:
            raise WouldWait
        try:
            return work()
        finally:
            ended = monotonic()
            if ended - began > PROMPT and _times_slept() > slept:
                self._rests_until = ended + _REST

    @property
    def slow(self) -> bool:
        """Whether its work goes to threads of its own."""
        return self._average > PROMPT

    def took(self, seconds: float) -> None:
        """Note how long a piece took, or takes already. Called in threads."""
        average = self._average * (1 - _WEIGHT) + seconds * _WEIGHT
        self._average = min(average, _WORST * PROMPT)

    async def call(self, work: Callable[[], T]) -> T:
        """Give what `work`, run in a thread, gives, or raise what it raises.

        When this is cancelled, work that did not begin yet is dropped. A thread cannot be
        stopped, and a disk can hang: work that runs is waited for only briefly.
        """
        loop = asyncio.get_running_loop()
        given: list[T] = []
        piece = _Piece(self, lambda: given.append(work()), loop)
        self._unfinished += 1
        _crew().put(piece)
        try:
            await piece.result
            return given[0]
        except asyncio.CancelledError:
            piece.dropped = True
            if piece.begun and not piece.handed_over:
                piece.ended = loop.create_future()
                await wait_briefly(piece.ended, _SETTLE)
            raise

    async def idle(self) -> None:
        """Wait until all work has ended."""
        while self._unfinished:
            self._idle = asyncio.Event()
            await self._idle.wait()

    def do_apart(self, piece: _Piece) -> None:
        """Do a piece in a thread of this lane. Called in threads."""
        if self._pool is None:  # only one thread at a time is the leader
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=self.name)
        self._pool.submit(self._do_apart, piece)

    def _do_apart(self, piece: _Piece) -> None:
        began = monotonic()
        piece.do()
        self.took(monotonic() - began)
        _hand_over(deque([piece]))

    def finished(self) -> None:
        """A piece has ended; called in the event loop."""
        self._unfinished -= 1
        if not self._unfinished and self._idle is not None:
            self._idle.set()


class _Piece:
    """One piece of work, and the future that waits for its end."""

    __slots__ = (
        "_error", "_work", "begun", "dropped", "ended", "handed_over", "lane", "loop", "result",
    )  # fmt: skip

    def __init__(
        self, lane: Lane, work: Callable[[], object], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.lane = lane
        self.loop = loop
        self.result: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] | None = None
        self.begun = False
        self.dropped = False
        self.handed_over = False
        self._work = work
        self._error: BaseException | None = None

    def do(self) -> None:
        """Do the work, in a thread."""
        self.begun = True
        if self.dropped:
            return
        try:
            self._work()
        except BaseException as error:  # whatever it is, whoever waits must get it
            self._error = error

    def hand_over(self) -> None:
        """Give what came of it to who waits for it, in the event loop."""
        self.handed_over = True
        self.lane.finished()
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(None)
        if self.result.done():
            return
        if self._error is not None:
            self.result.set_exception(self._error)
        elif not self.dropped:
            self.result.set_result(None)


class _Worker(threading.Thread):
    """A thread that does pieces of work for as long as it leads."""

    def __init__(self, crew: _Crew) -> None:
        super().__init__(name="short work", daemon=True)
        self._crew = crew
        self.done: deque[_Piece] = deque()  # what is not handed over yet
        self.began = 0.0  # when the piece that is being done began; 0.0: there is none
        self.lane: Lane | None = None  # whose piece that is
        self._oldest = 0.0  # when the first piece that is done began

    def run(self) -> None:
        crew, queue = self._crew, self._crew.queue
        while crew.leader is self:
            piece = queue.get()
            if piece.lane.slow:
                piece.lane.do_apart(piece)
            else:
                self._do(piece)
            if queue.empty() or monotonic() - self._oldest > _TOGETHER:
                _hand_over(self.done)
        _hand_over(self.done)

    def _do(self, piece: _Piece) -> None:
        self.lane = piece.lane
        self.began = monotonic()
        if not self.done:
            self._oldest = self.began
        piece.do()
        piece.lane.took(monotonic() - self.began)
        self.began = 0.0
        self.done.append(piece)


class _Crew:
    """The thread that leads, and one that watches whether it gets on."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[_Piece] = SimpleQueue()
        self._working = threading.Event()
        self.leader = self._new_leader()
        threading.Thread(target=self._watch, name="watch short work", daemon=True).start()

    def _new_leader(self) -> _Worker:
        self.leader = _Worker(self)
        self.leader.start()
        return self.leader

    def put(self, piece: _Piece) -> None:
        self.queue.put(piece)
        if not self._working.is_set():
            self._working.set()

    def _watch(self) -> None:
        while True:
            self._working.wait()
            sleep(HANGS / 2)
            self._working.clear()
            leader, began = self.leader, self.leader.began
            if began and monotonic() - began > HANGS:
                assert leader.lane is not None
                leader.lane.took(HANGS / _WEIGHT)  # from now on it is slow
                self._new_leader()
                _hand_over(leader.done)
            if began or not self.queue.empty():
                self._working.set()


def _times_slept() -> int:
    """Give how often this thread waited for something: a disk, but not the processor, which
    is no reason to go to other threads."""
    return getrusage(RUSAGE_THREAD).ru_nvcsw


@cache
def _crew() -> _Crew:
    return _Crew()


def _hand_over(done: deque[_Piece]) -> None:
    """Wake the event loops that wait for pieces. Several threads may do that at once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = {}
    while done:
        try:
            piece = done.popleft()
        except IndexError:
            break
        by_loop.setdefault(piece.loop, []).append(piece.hand_over)
    for loop, calls in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_call_all, calls)


def _call_all(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        call()


async def wait_briefly(future: asyncio.Future[T], seconds: float) -> None:
    """Wait a moment for a future, whatever becomes of it, also while being cancelled."""
    waiting = asyncio.ensure_future(asyncio.wait([future], timeout=seconds))
    cancelled = False
    while not waiting.done():
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
