"""Comparing what was found with the location log."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from shoal.gateway import records
from shoal.gateway.choosing import Placed
from shoal.gateway.records import RepositoryRecords, in_thread, soon
from shoal.git.repository import Repository
from shoal.git.waiting import WouldWait, without_waiting
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.gitrepo import make_repository
from tests.support.loop import in_loop

pytestmark = pytest.mark.usefixtures("close_repositories")
KEYS = [Key.parse(b"WORM--%d" % number) for number in range(120)]
NODE, OTHER = (UUID(f"{digit * 8}-2222-4222-8222-222222222222") for digit in "ab")


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return make_repository(tmp_path / "repo")


@in_loop
async def test_what_was_found_is_recorded_when_the_log_does_not_know(repo: Repository) -> None:
    changes: list[None] = []
    known = RepositoryRecords(repo, lambda: changes.append(None))
    for key in KEYS[:100]:
        repo.logs.set_location(key, NODE, True)
    repo.branch.commit()
    for key in KEYS:
        assert known.found(key, NODE)
    assert known.found(KEYS[0], OTHER)
    await known.aclose()
    assert all(repo.logs.locations(key) >= {NODE} for key in KEYS)
    assert repo.logs.locations(KEYS[0]) == {NODE, OTHER}
    assert len(changes) == len(repo.branch.journal.names()) == 21
    assert known.kept_locations(KEYS[1]) == frozenset({NODE})
    await known.aclose()


@in_loop
async def test_not_too_much_waits_to_be_compared(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_MOST_FOUND", 3)
    known = RepositoryRecords(repo, lambda: None)
    assert [known.found(key, NODE) for key in KEYS[:5]] == [True, True, True, False, False]
    await known.aclose()
    assert known.found(KEYS[4], NODE)
    await known.aclose()
    present = [bool(repo.logs.locations(key)) for key in KEYS[:6]]
    assert present == [True, True, True, False, True, False]


@in_loop
async def test_a_log_that_cannot_be_read_harms_nobody(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = RepositoryRecords(repo, lambda: None)
    with monkeypatch.context() as patched:

        def fail(paths: object) -> list[bytes]:
            raise OSError(5, "input/output error")

        patched.setattr(repo.branch, "read_many", fail)
        assert known.found(KEYS[0], NODE)
        await known.aclose()
    assert known.found(KEYS[1], NODE)
    await known.aclose()
    assert repo.logs.locations(KEYS[1]) == {NODE}


@in_loop
async def test_what_was_found_and_removed_since_is_not_recorded(repo: Repository) -> None:
    known = RepositoryRecords(repo, lambda: None)
    for key in KEYS[:60]:
        assert known.found(key, NODE)
    known.record(KEYS[0], [], [NODE])
    await in_thread(partial(known.record, KEYS[55], [], [NODE, OTHER]))
    await known.aclose()
    present = [bool(repo.logs.locations(key)) for key in KEYS[:60]]
    assert present == [number not in (0, 55) for number in range(60)]


@in_loop
async def test_what_is_removed_while_it_is_compared_is_not_recorded(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = RepositoryRecords(repo, lambda: None)
    read = repo.logs.locations_of

    def read_and_remove(keys: Sequence[Key]) -> list[frozenset[UUID]]:
        logged = read(keys)
        known.record(KEYS[0], [], [NODE])
        return logged

    monkeypatch.setattr(repo.logs, "locations_of", read_and_remove)
    assert known.found(KEYS[0], NODE)
    await known.aclose()
    assert repo.logs.locations(KEYS[0]) == frozenset()


# Without waiting


@in_loop
async def test_what_is_journalled_is_recorded_and_read_without_a_thread(repo: Repository) -> None:
    changes: list[str] = []
    known = RepositoryRecords(repo, lambda: changes.append(thread_name()))
    for number in range(10):  # a thread asks git first what the branch is like
        await in_thread(partial(known.locations, KEYS[number]))
    with without_waiting():
        known.record(KEYS[50], [NODE], [])
        assert known.locations(KEYS[50]) == {NODE}
    assert changes == [thread_name()]
    with repo.locker.exclusive(repo.lock_path("journal")):
        waiting = asyncio.create_task(soon(partial(known.record, KEYS[50], [OTHER], [])))
        await asyncio.sleep(0.05)
        assert not waiting.done()
    await waiting
    assert known.locations(KEYS[50]) == {NODE, OTHER}
    assert changes[1] != thread_name()
    await known.aclose()


@in_loop
async def test_what_was_reserved_is_settled_in_a_thread(repo: Repository) -> None:
    known = RepositoryRecords(repo, lambda: None)
    repo.logs.set_max_size(NODE, 1000)
    await in_thread(partial(known.locations, KEYS[50]))
    with pytest.raises(WouldWait), without_waiting(), known.choosing([NODE], Placed(KEYS[50])):
        pass
    with repo.sizes.deciding() as decision:
        room = decision.reserve(NODE, KEYS[50])
    with pytest.raises(WouldWait), without_waiting():
        known.record(KEYS[50], [NODE], [])
    assert room.is_pending
    await soon(partial(known.record, KEYS[50], [NODE], []))
    assert not room.is_pending
    await known.aclose()


@in_loop
async def test_a_network_disk_is_not_used_in_the_event_loop(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.git.mounts.is_on_local_disk", lambda path: False)
    known = RepositoryRecords(repo, lambda: None)
    for ask in (partial(known.locations, KEYS[50]), partial(known.record, KEYS[50], [NODE], [])):
        with pytest.raises(WouldWait), without_waiting():
            ask()
        await soon(ask)
    await known.aclose()


def thread_name() -> str:
    return threading.current_thread().name
