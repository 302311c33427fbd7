"""Waiting for nodes, but not for ever.

A node's disk can hang: a thread that reads from a dead network mount ends when the kernel
lets it, and no cancellation reaches it. So every call to a node runs in a task of its own;
when its time is over the task is cancelled, waited for a little, and then left behind in a
list that `aclose` empties. Whatever happens, the caller gets its answer in time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TypeVar

from shoal.errors import RemoteUnavailable, ShoalError

_NOTE_EVERY = 0.5  # seconds

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long nodes are waited for, in seconds."""

    answer: float = 30.0  # for one answer: is it there, may I store, remove it, ...
    stall: float = 60.0  # for the next chunk, of a download or into an upload
    finish: float = 600.0  # for an upload's end: verify, flush to disk, make visible
    hedge: float = 1.0  # before the other nodes are asked as well, when any may answer
    grace: float = 5.0  # for a cancelled call to clean up


class NodeTimeout(RemoteUnavailable):
    """A node did not answer in time."""


class Patience:
    """Runs calls to nodes within `limits`."""

    def __init__(self, limits: Limits = Limits()) -> None:
        self.limits = limits
        self._left_behind: set[asyncio.Task[object]] = set()

    @property
    def left_behind(self) -> int:
        """How many calls have neither ended nor heeded their cancellation."""
        return len(self._left_behind)

    async def call(
        self,
        who: str,
        work: Coroutine[object, object, T],
        seconds: float,
        more: Callable[[], float] | None = None,
    ) -> T:
        """Give the result of `work`, or raise what it raises; NodeTimeout after `seconds`.

        When these are over, `more` is asked how many more it may have.
        """
        task = asyncio.create_task(work)
        try:
            await _wait(task, seconds)
            if more is not None and not task.done() and (rest := more()) > 0:
                await _wait(task, rest)
                seconds += rest
        except asyncio.CancelledError:
            await self.dismiss(task)
            raise
        if not task.done():
            await self.dismiss(task)
            raise NodeTimeout(who, f"no answer within {seconds:g} s")
        return task.result()

    async def dismiss(self, *tasks: asyncio.Task[object]) -> None:
        """Cancel tasks and wait until they end, but no longer than the grace period."""
        running = {task for task in tasks if not task.done()}
        for task in running:
            task.cancel()
        if running:
            try:
                await asyncio.wait(running, timeout=self.limits.grace)
            finally:
                for task in running:
                    self._keep(task)
        for task in tasks:
            _forget(task)

    def abandon(self, task: asyncio.Task[object]) -> None:
        """Cancel a task and do not wait for it."""
        task.cancel()
        self._keep(task)

    def _keep(self, task: asyncio.Task[object]) -> None:
        if not task.done():
            self._left_behind.add(task)
            task.add_done_callback(self._left_behind.discard)
            task.add_done_callback(_forget)

    async def first_yes(
        self, questions: Mapping[K, Callable[[], Coroutine[object, object, bool]]], hedge: float
    ) -> tuple[K | None, dict[K, ShoalError]]:
        """Ask the first, and after its no, its failure or `hedge` seconds all others at once.

        Gives who said yes first, None when nobody did; and the errors of those who failed. The
        others are left to end by themselves.
        """
        rest = list(questions)
        failures: dict[K, ShoalError] = {}
        asked: dict[asyncio.Task[bool], K] = {}
        try:
            while rest or asked:
                for one in rest[:1] if len(rest) == len(questions) else rest:
                    asked[asyncio.create_task(questions[one](), name=f"ask {one}")] = one
                rest = rest[1:] if len(rest) == len(questions) else []
                done, _ = await asyncio.wait(
                    asked,
                    timeout=hedge if rest else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    one = asked.pop(task)
                    if isinstance(error := task.exception(), ShoalError):
                        failures[one] = error
                    elif task.result():
                        return one, failures
            return None, failures
        finally:
            for task in asked:
                self.abandon(task)

    async def aclose(self) -> None:
        """Wait a last time for calls that were left behind."""
        if self._left_behind:
            await asyncio.wait(set(self._left_behind), timeout=self.limits.grace)


async def _wait(task: asyncio.Task[T], seconds: float) -> None:
    """Wait until a task ends, but no longer than this. asyncio.wait() costs twice as much."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = loop.call_later(seconds, wake)
    task.add_done_callback(wake)
    try:
        await waiter
    finally:
        timer.cancel()
        task.remove_done_callback(wake)


def _forget(task: asyncio.Task[object]) -> None:
    """Take a dismissed task's error, so that asyncio does not report it as never looked at."""
    if task.done() and not task.cancelled():
        with contextlib.suppress(BaseException):
            task.exception()


async def uninterrupted(work: Coroutine[object, object, T]) -> T:
    """Do `work` to its end even when the caller is cancelled; the cancellation comes after."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        _forget(task)
        raise


@contextlib.asynccontextmanager
async def noting(note: Callable[[], Coroutine[object, object, None]]) -> AsyncIterator[None]:
    """Call `note` twice a second while the context is open, and when it ends, however it ends.

    Raises what `note` raises in the end. What it raises before that is not told: it is to do
    later what it could not do. Most contexts end before a task is needed for this.
    """
    tasks: list[asyncio.Task[None]] = []

    async def now_and_then() -> None:
        while True:
            with contextlib.suppress(ShoalError, OSError):
                await uninterrupted(note())
            await asyncio.sleep(_NOTE_EVERY)

    def begin() -> None:
        tasks.append(asyncio.create_task(now_and_then(), name="note what is known"))

    async def end() -> None:
        for task in tasks:
            task.cancel()
            await asyncio.wait({task})
            _forget(task)
        await note()

    timer = asyncio.get_running_loop().call_later(_NOTE_EVERY, begin)
    try:
        yield
    finally:
        timer.cancel()
        await (uninterrupted(end()) if tasks else note())
