"""Committing some time after the last change."""

from __future__ import annotations

import asyncio
import threading

import pytest

from shoal.errors import ConfigError
from shoal.gateway.committer import IdleCommitter
from tests.support.loop import in_loop, pass_time


class Branch:
    """Counts commits; each can be held up, or fail."""

    def __init__(self) -> None:
        self.commits = 0
        self.committed = threading.Event()
        self.errors: list[Exception] = []
        self.go_on = threading.Event()
        self.go_on.set()

    async def commit(self) -> None:
        await asyncio.to_thread(self.go_on.wait, 60)
        if self.errors:
            raise self.errors.pop()
        self.commits += 1
        self.committed.set()

    async def wait(self) -> None:
        """Wait for a commit."""
        await asyncio.to_thread(self.committed.wait, 60)
        self.committed.clear()


@in_loop
async def test_one_commit_after_a_burst_of_changes() -> None:
    branch = Branch()
    committer = IdleCommitter(branch.commit, idle=10)
    for _ in range(4):
        committer.changed()
        await pass_time(6)
    assert branch.commits == 0
    await pass_time(10)
    await branch.wait()
    await committer.aclose()
    assert branch.commits == 1


@in_loop
async def test_changes_without_end_are_committed_in_between() -> None:
    branch = Branch()
    committer = IdleCommitter(branch.commit, idle=10, latest=20)
    for _ in range(5):
        committer.changed()
        assert branch.commits == 0
        await pass_time(4)
    committer.changed()
    await branch.wait()
    assert branch.commits == 1
    await committer.aclose()


@in_loop
async def test_the_end_commits_at_once() -> None:
    branch = Branch()
    committer = IdleCommitter(branch.commit, idle=60)
    committer.changed()
    await committer.aclose()
    assert branch.commits == 1


@in_loop
async def test_nothing_changed_nothing_to_commit() -> None:
    branch = Branch()
    await IdleCommitter(branch.commit).aclose()
    assert branch.commits == 0


@in_loop
async def test_a_change_during_a_commit_is_committed_after_it() -> None:
    branch = Branch()
    branch.go_on.clear()
    committer = IdleCommitter(branch.commit, idle=0.001)
    committer.changed()
    await asyncio.sleep(0.02)
    committer.changed()
    await asyncio.sleep(0.02)
    assert branch.commits == 0
    branch.go_on.set()
    await committer.aclose()
    assert branch.commits == 2


@in_loop
async def test_a_commit_that_fails_is_tried_again_at_the_end() -> None:
    branch = Branch()
    branch.errors = [ConfigError("who are you?")]
    heard: list[Exception] = []
    told = asyncio.Event()

    def complain(error: Exception) -> None:
        heard.append(error)
        told.set()

    committer = IdleCommitter(branch.commit, idle=0.001, complain=complain)
    committer.changed()
    await told.wait()
    assert branch.commits == 0
    await committer.aclose()
    assert branch.commits == 1
    assert [str(error) for error in heard] == ["who are you?"]


@in_loop
async def test_a_commit_that_fails_is_tried_again_later() -> None:
    branch = Branch()
    branch.errors = [ConfigError("who are you?")]
    committer = IdleCommitter(branch.commit, idle=0.001, latest=0.05)
    committer.changed()
    await branch.wait()
    assert branch.commits == 1
    await committer.aclose()


@in_loop
async def test_a_commit_that_fails_is_tried_again_after_the_next_change() -> None:
    branch = Branch()
    branch.errors = [ConfigError("who are you?")]
    told = asyncio.Event()
    committer = IdleCommitter(
        branch.commit, idle=0.01, latest=60, complain=lambda error: told.set()
    )
    committer.changed()
    await told.wait()
    committer.changed()
    await branch.wait()
    assert branch.commits == 1
    await committer.aclose()


@in_loop
async def test_many_changes_are_committed_at_once() -> None:
    branch = Branch()
    committer = IdleCommitter(branch.commit, idle=60, latest=60, most=100)
    threads = [threading.Thread(target=_change, args=(committer, 25)) for _ in range(4)]
    for thread in threads:
        thread.start()
    await branch.wait()
    await committer.aclose()
    assert branch.commits == 1


def _change(committer: IdleCommitter, count: int) -> None:
    for _ in range(count):
        committer.changed()


@in_loop
async def test_the_event_loop_is_not_woken_for_each_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    branch = Branch()
    committer = IdleCommitter(branch.commit, idle=60)
    loop = asyncio.get_running_loop()
    woken = 0

    def wake(*call: object, context: object = None) -> None:
        nonlocal woken
        woken += 1

    monkeypatch.setattr(loop, "call_soon_threadsafe", wake)
    _change(committer, 100)
    monkeypatch.undo()
    await committer.aclose()
    assert (woken, branch.commits) == (1, 1)
