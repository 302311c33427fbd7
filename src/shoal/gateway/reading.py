"""A download from one node, which can be left behind when the node hangs.

The node's content is opened, read and closed in a task of its own; whoever reads asks that
task for one step after the other and waits as long as the limits say. There is no queue
between them (a chunk is valid only until the next one is asked for): nothing is read ahead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

from shoal.errors import RemoteUnavailable, ShoalError
from shoal.gateway.node import Node
from shoal.gateway.patience import NodeTimeout
from shoal.remotes.base import Caller
from shoal.remotes.content import Chunk, Content
from shoal.values.key import Key

T = TypeVar("T")


class Reading:
    """One node's content of one key, from some offset on. `open` it once, and `close` it."""

    def __init__(self, node: Node, key: Key, offset: int, file: str, caller: Caller) -> None:
        self.node = node
        self._limits = node.patience.limits
        self._context = node.remote.retrieve(key, offset, file=file, caller=caller)
        self._steps: asyncio.Queue[Callable[[Content], Awaitable[None]] | None] = asyncio.Queue()
        self._stream: AsyncIterator[Chunk] | None = None
        self._task: asyncio.Task[None] | None = None
        self._replied: asyncio.Future[None] | None = None  # somebody waits for a step

    async def open(self) -> Content:
        """Give the content. Raises what retrieve() of the remote raises, in time."""
        self.node.check()
        self.node.enter(reading=True)
        self._task = asyncio.create_task(self._run(), name=f"read from {self.node.name}")
        self._task.add_done_callback(self._wake)

        async def opened(content: Content) -> Content:
            return content

        return await self._do(opened, self._limits.answer)

    async def chunks(self, skip: int) -> AsyncGenerator[Chunk, None]:
        """Give the chunks after the first `skip` bytes, each within the limit for a stall."""

        async def following(content: Content) -> Chunk | None:
            if self._stream is None:
                self._stream = content.stream(skip)
            return await anext(self._stream, None)

        while (chunk := await self._do(following, self._limits.stall)) is not None:
            yield chunk

    async def confirm(self) -> bool:
        """Tell whether the node vouches for what it gave. An error is no."""

        async def confirmed(content: Content) -> bool:
            return await content.confirm()

        if self._task is None or self._task.done():
            return False
        try:
            return await self._do(confirmed, self._limits.answer)
        except ShoalError:
            return False

    async def close(self) -> None:
        """Let the node close its content; wait for that only for the time of grace.

        What goes wrong with it no longer matters: the bytes were taken, or they were not.
        """
        task, self._task = self._task, None
        if task is None:
            return
        self._steps.put_nowait(None)
        try:
            await asyncio.wait({task}, timeout=self._limits.grace)
        finally:
            try:
                await self.node.patience.dismiss(task)
            finally:
                await self.node.leave()

    async def _do(self, step: Callable[[Content], Awaitable[T]], seconds: float) -> T:
        """Have the task take one step; give its result."""
        task = self._task
        if task is None:
            raise RemoteUnavailable(self.node.name, "the download has ended")
        results: list[T] = []
        loop = asyncio.get_running_loop()
        replied = self._replied = loop.create_future()

        async def work(content: Content) -> None:
            results.append(await step(content))
            if not replied.done():
                replied.set_result(None)

        self._steps.put_nowait(work)
        timer = loop.call_later(seconds, self._wake)  # asyncio.wait() costs more than the step
        try:
            if not task.done():
                await replied
        finally:
            timer.cancel()
        if results:
            return results[0]
        try:
            if task.done():
                task.result()
                raise RemoteUnavailable(self.node.name, "the download has ended")
            task.cancel()
            raise NodeTimeout(self.node.name, f"nothing came within {seconds:g} s")
        except (ShoalError, OSError) as error:
            raise self.node.failure(error) from error

    def _wake(self, _: object = None) -> None:
        """Let who waits for a step see what has become of it."""
        if self._replied is not None and not self._replied.done():
            self._replied.set_result(None)

    async def _run(self) -> None:
        """Open the content, do what is asked until None comes, and close it."""
        async with self._context as content:
            try:
                while (step := await self._steps.get()) is not None:
                    await step(content)
            finally:
                if isinstance(self._stream, AsyncGenerator):
                    await self._stream.aclose()
