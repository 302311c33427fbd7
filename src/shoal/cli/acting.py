"""Running an action on everything that a command selects: one by one, several at once, or as a
batch asks for it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

from shoal.annex.network import Network
from shoal.cli.arguments import jobs
from shoal.cli.selection import Selection, Work

if TYPE_CHECKING:
    from shoal.annex.matching import Candidate
    from shoal.annex.reporting import Reporter
    from shoal.cli.context import Context
    from shoal.remotes.settings import RemoteSettings
    from shoal.values.key import Key


class Action(Protocol):
    """What is done with each key."""

    async def applies(self, candidate: Candidate) -> bool:
        """Tell whether there is anything to do."""

    async def run(self, candidate: Candidate, reporter: Reporter) -> bool:
        """Do it; tell whether that worked."""


def run_action(
    args: argparse.Namespace, context: Context, make: Callable[[Network], Action]
) -> int:
    """Run the action that `make` gives on what `args` select; give the exit code."""
    context.repository.branch.update()
    selection = Selection(args, context)
    count = 1 if selection.batch else args.jobs or _configured_jobs(context)
    context.out.concurrent = count > 1
    asyncio.run(_act(selection, context, make, count))
    return context.out.exit_code


async def _act(
    selection: Selection, context: Context, make: Callable[[Network], Action], count: int
) -> None:
    async with Network(context.session) as network:
        action = _OneAtATime(make(network))
        works = selection.works()
        if selection.batch:
            async for work in _read_slowly(works):
                if not await _do(work, action, context):
                    context.out.blank()
            return None
        if count == 1:
            return await _work_off(works, action, context)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task(_work_off(works, action, context))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the others were cancelled, or are the same


class _OneAtATime:
    """An action that never works twice on one key at the same time: with several jobs, files
    with the same content would get into each other's way."""

    def __init__(self, action: Action) -> None:
        self._action = action
        self._locks: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    def lock(self, candidate: Candidate) -> asyncio.Lock:
        """Give the lock to hold while the action applies() and runs."""
        return self._locks.setdefault(candidate.key, asyncio.Lock())

    async def applies(self, candidate: Candidate) -> bool:
        return await self._action.applies(candidate)

    async def run(self, candidate: Candidate, reporter: Reporter) -> bool:
        return await self._action.run(candidate, reporter)


async def _work_off(works: Iterator[Work], action: _OneAtATime, context: Context) -> None:
    for work in works:
        await _do(work, action, context)


async def _do(work: Work, action: _OneAtATime, context: Context) -> bool:
    """Do one thing; tell whether anything was shown."""
    candidate = work.candidate
    if candidate is None:
        return False
    async with action.lock(candidate):
        if not await action.applies(candidate):
            return False
        if not context.limits.admit(candidate.key, context.repository):
            return False
        with context.out.item(work.subject, given=work.given) as item:
            if not await action.run(candidate, item):
                item.fail()
    return True


async def _read_slowly(works: Iterator[Work]) -> AsyncIterator[Work]:
    """Give what comes on standard input, and let connections live while there is nothing."""
    while (work := await _in_thread(lambda: next(works, None))) is not None:
        yield work


def _in_thread(call: Callable[[], Work | None]) -> Awaitable[Work | None]:
    return asyncio.to_thread(call)


def remote_of(context: Context, name: str) -> RemoteSettings:
    """Give the remote that an option names. Raises NoSuchRemote."""
    return context.session.remote_named(name)


def _configured_jobs(context: Context) -> int:
    value = context.repository.config.get("annex.jobs") or "1"
    try:
        return jobs(value)
    except argparse.ArgumentTypeError:
        return 1
