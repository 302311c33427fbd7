"""Following remotes: connections that fail, end, or are not wanted; fetches that are given up."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shoal.annex.following import Following, Pace
from shoal.git.repository import Repository
from tests.support.annexrepo import make_annex
from tests.support.loop import in_loop
from tests.support.wait import wait_until

URI = "ssh://host/there"
FAST = Pace(look=0.02, first_wait=0.01, longest_wait=0.02)
UNKNOWN = "0123456789012345678901234567890123456789"


class Run:
    """What runs, and the lines that it said."""

    def __init__(self, repository: Repository, said: asyncio.Queue[str], pace: Pace) -> None:
        self.repository = repository
        self.said = said
        self.following = Following(repository, said.put_nowait, pace=pace)

    async def hears(self, *words: str) -> None:
        """Wait for lines about the remote."""
        for word in words:
            said, _, rest = (await self.said.get()).partition(f" {URI}")
            assert said + rest == word


@asynccontextmanager
async def following(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, pace: Pace = FAST
) -> AsyncIterator[Run]:
    """Follow a remote; `shell` is what ssh runs, with $n for the number of its calls."""
    count = shlex.quote(str(tmp_path / "count"))
    script = f"echo >> {count}; n=$(wc -l < {count}); {shell}"
    (tmp_path / "ssh").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(tmp_path / "ssh"))
    monkeypatch.setenv("GIT_ANNEX_USE_GIT_SSH", "1")
    with make_annex(tmp_path / "repo") as repository:
        repository.config.set("remote.there.url", URI)
        run = Run(repository, asyncio.Queue(), pace)
        task = asyncio.create_task(run.following.run())
        yield run
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@in_loop
async def test_who_cannot_be_reached_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said once is not said again."""
    shell = "test $n -lt 4 && exit 255; echo READY; cat > /dev/null"
    async with following(tmp_path, monkeypatch, shell) as run:
        await run.hears(
            'WARNING remote "there" is not available (ssh could not connect)', "CONNECTED"
        )
    await run.hears("DISCONNECTED")
    assert run.said.empty()
    assert (tmp_path / "count").read_text().count("\n") == 4


@pytest.mark.parametrize(
    ("shell", "why"),
    [
        ("exit 127", "git-annex-shell is not installed there, or not in PATH"),
        ("exit 1", "git-annex-shell ended with status 1"),
        ("echo HELLO", "it does not tell of changes"),
    ],
)
@in_loop
async def test_who_tells_nothing_is_asked_again_when_the_user_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, why: str
) -> None:
    shell = f"if test $n -lt 2; then {shell}; exit; fi; echo READY; cat > /dev/null"
    async with following(tmp_path, monkeypatch, shell) as run:
        await run.hears(f"WARNING {why}")
        run.following.reload()
        await run.hears("CONNECTED")


@in_loop
async def test_words_that_make_no_sense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = "echo READY; echo HELLO; cat > /dev/null"
    async with following(tmp_path, monkeypatch, shell) as run:
        await run.hears("CONNECTED", "DISCONNECTED", "WARNING it does not tell of changes")


@in_loop
async def test_a_fetch_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remote goes on to be listened to."""
    shell = f"test $n -gt 1 && exit 1; echo READY; echo CHANGED {UNKNOWN}; cat > /dev/null"
    async with following(tmp_path, monkeypatch, shell) as run:
        await run.hears("CONNECTED", "SYNCING", "DONESYNCING 0")
        assert run.said.empty()


@in_loop
async def test_a_fetch_that_hangs_ends_with_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = f"echo $$ > {tmp_path}/pid; exec sleep 99"
    shell = (
        f"if test $n -gt 1; then {hang}; fi; echo READY; echo CHANGED {UNKNOWN}; cat > /dev/null"
    )
    async with following(tmp_path, monkeypatch, shell) as run:
        await run.hears("CONNECTED", "SYNCING")
        pid = await asyncio.to_thread(number_in, tmp_path / "pid")
        run.following.pause(lost_network=True)
        await run.hears("DISCONNECTED")
        await asyncio.to_thread(wait_until, lambda: not is_running(pid))


def number_in(path: Path) -> str:
    """Wait until a number is written to a file."""
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"))
    return path.read_text().strip()


def is_running(pid: str) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().split()[2] != "Z"


@in_loop
async def test_remotes_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without a word of the user."""
    shell = "echo READY; cat > /dev/null"
    async with following(tmp_path, monkeypatch, shell) as run:
        await run.hears("CONNECTED")
        run.repository.config.set("remote.there.annex-sync", "false")
        await run.hears("DISCONNECTED")
        run.repository.config.set("remote.there.annex-sync", "true")
        await run.hears("CONNECTED")


@in_loop
async def test_while_it_pauses_nobody_is_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following(tmp_path, monkeypatch, "echo READY; cat > /dev/null") as run:
        await run.hears("CONNECTED")
        run.following.pause()
        await run.hears("DISCONNECTED")
        run.following.reload()
        await asyncio.sleep(5 * FAST.look)
        assert run.said.empty()
        run.following.resume()
        await run.hears("CONNECTED")


@in_loop
async def test_a_connection_that_held_counts_as_a_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the pauses would add up to a minute and more."""
    pace = Pace(first_wait=0.01, longest_wait=3600, stable=0)
    async with following(tmp_path, monkeypatch, "echo READY", pace) as run:
        async with asyncio.timeout(40):
            await run.hears(*("CONNECTED", "DISCONNECTED") * 14)
