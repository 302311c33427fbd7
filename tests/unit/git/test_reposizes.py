"""Sizes of repositories follow the location logs, and what is reserved."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from shoal.db.reposizedb import DatabaseUnusable, LiveChange, RepoSizeDb
from shoal.git import reposizes
from shoal.git.preferences import Preferences
from shoal.git.repository import Repository
from shoal.git.sizesdb import SharedSizes
from shoal.logs import location
from shoal.logs import uuid as uuid_log
from shoal.logs.presence import Status
from shoal.values.clock import Clock
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE, THERE, make_annex

CLUSTER = UUID("ac666666-6666-8666-8666-666666666666")
LARGE = Key.parse(b"SHA256E-s1000000--aa.bin")
SMALL = Key.parse(b"SHA256E-s7--bb.bin")
UNKNOWN = Key.parse(b"URL--http&c%%x")


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with make_annex(tmp_path / "r") as repository:
        yield repository


def _log(repository: Repository, key: Key, repo: UUID, status: Status | bool, at: int) -> None:
    path = location.path(key)
    repository.branch.change(path, lambda log: location.change(log, repo, status, Clock(at)))


def _describe(repository: Repository, repo: UUID) -> None:
    repository.branch.change(
        uuid_log.PATH, lambda log: uuid_log.change(log, repo, b"somewhere", Clock(1))
    )


def test_sizes_are_sums_over_the_keys_that_each_repository_has(repository: Repository) -> None:
    for repo in (HERE, THERE, CLUSTER):
        _describe(repository, repo)
    _log(repository, LARGE, HERE, True, 1)
    _log(repository, SMALL, HERE, True, 1)
    _log(repository, UNKNOWN, HERE, True, 1)
    _log(repository, SMALL, THERE, Status.DEAD, 1)
    sizes = repository.sizes
    assert sizes.sizes() == {HERE: 1_000_007, THERE: 0, CLUSTER: 0}
    assert sizes.size(UUID("99999999-9999-4999-8999-999999999999")) is None


def test_changes_count_at_once_committed_or_not(repository: Repository) -> None:
    sizes = repository.sizes
    assert sizes.sizes() == {}
    _describe(repository, HERE)
    _log(repository, LARGE, HERE, True, 1)
    assert sizes.size(HERE) == 1_000_000
    repository.branch.commit()
    _log(repository, LARGE, THERE, True, 2)
    _log(repository, LARGE, HERE, False, 3)
    assert sizes.sizes() == {HERE: 0, THERE: 1_000_000}


def test_changes_of_others_count_after_a_refresh(repository: Repository) -> None:
    sizes = repository.sizes
    _log(repository, SMALL, HERE, True, 1)
    repository.branch.commit()
    assert sizes.size(HERE) == 7
    with Repository.open(repository.path) as other:
        _log(other, LARGE, HERE, True, 2)
        repository.refresh()
        assert sizes.size(HERE) == 1_000_007
        other.branch.commit()
        _log(other, SMALL, HERE, False, 3)
        other.branch.commit()
    repository.refresh()
    assert sizes.size(HERE) == 1_000_000


# Reservations


def _rows(repository: Repository) -> list[tuple[bytes, bytes]]:
    """Give repository and key of each change under way that other processes see."""
    with closing(sqlite3.connect(repository.annex_path("reposize", "db", "db"))) as db:
        return db.execute("SELECT repo, key FROM live_size_changes ORDER BY id").fetchall()


def _rolling_totals(repository: Repository) -> dict[bytes, str]:
    with closing(sqlite3.connect(repository.annex_path("reposize", "db", "db"))) as db:
        return dict(db.execute("SELECT repo, rollingtotal FROM size_changes").fetchall())


@pytest.fixture
def two(repository: Repository) -> Repository:
    """A repository that knows of two repositories."""
    _describe(repository, HERE)
    _describe(repository, THERE)
    return repository


def test_a_reservation_counts_until_it_is_cancelled(two: Repository) -> None:
    with two.sizes.deciding() as decision:
        reservation = decision.reserve(THERE, LARGE)
        assert two.sizes.live_size(THERE) == 1_000_000, "at once, inside the decision"
        assert _rows(two) == []
    assert _rows(two) == [(THERE.encode(), bytes(LARGE))]
    assert two.sizes.live_sizes() == {HERE: 0, THERE: 1_000_000}
    assert two.sizes.sizes() == {HERE: 0, THERE: 0}
    assert reservation.is_pending
    reservation.cancel()
    reservation.cancel()
    assert not reservation.is_pending
    assert two.sizes.live_sizes() == {HERE: 0, THERE: 0}
    assert _rows(two) == []
    assert _rolling_totals(two) == {}


def test_a_decision_that_fails_reserves_nothing(two: Repository) -> None:
    def decide() -> None:
        with two.sizes.deciding() as decision:
            decision.reserve(THERE, LARGE)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        decide()
    assert two.sizes.live_size(THERE) == 0
    assert _rows(two) == []


def test_a_location_log_settles_its_reservations(two: Repository) -> None:
    """All of that repository and key, and no others; each is counted once."""
    with two.sizes.deciding() as decision:
        settled = [decision.reserve(THERE, LARGE) for _ in range(2)]
        other = [decision.reserve(THERE, SMALL), decision.reserve(HERE, LARGE)]
    assert two.sizes.live_sizes() == {HERE: 1_000_000, THERE: 1_000_007}
    two.logs.set_location(SMALL, THERE, False)
    assert all(one.is_pending for one in other)
    two.logs.set_locations(LARGE, {THERE: True})
    assert not any(one.is_pending for one in settled)
    assert all(one.is_pending for one in other)
    assert two.sizes.live_sizes() == {HERE: 1_000_000, THERE: 1_000_007}
    assert len(_rows(two)) == 2
    assert _rolling_totals(two) == {THERE.encode(): "1000000"}
    for one in [*settled, *other]:
        one.cancel()
    assert two.sizes.live_sizes() == {HERE: 0, THERE: 1_000_000}


def test_it_is_settled_while_the_journal_is_locked(
    two: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And after the new log counts: at no time is the key forgotten."""
    with two.sizes.deciding() as decision:
        decision.reserve(THERE, LARGE)
    seen: list[tuple[bool, int | None]] = []
    real = SharedSizes.finish

    def finish(self: SharedSizes, changes: list[LiveChange]) -> None:
        locked = two.locker.is_locked_exclusively(two.lock_path("journal"))
        seen.append((locked, two.sizes.live_size(THERE)))
        real(self, changes)

    monkeypatch.setattr(SharedSizes, "finish", finish)
    two.logs.set_location(LARGE, THERE, True)
    assert seen == [(True, 1_000_000)]


def test_the_same_key_in_the_same_place_counts_once(two: Repository) -> None:
    with two.sizes.deciding() as decision:
        decision.reserve(THERE, LARGE)
        decision.reserve(THERE, LARGE)
    assert two.sizes.live_size(THERE) == 1_000_000
    with two.sizes.deciding() as decision:
        two.logs.set_location(SMALL, HERE, True)
        decision.reserve(HERE, SMALL)
    assert two.sizes.live_size(HERE) == 7, "a key that is there needs no more room"


def test_reservations_of_a_repository_that_nobody_heard_of(two: Repository) -> None:
    """Else a new node with a maximum size would take whatever comes at once."""
    unheard = UUID("unheard")
    with two.sizes.deciding() as decision:
        room = decision.reserve(unheard, LARGE)
    assert two.sizes.live_sizes() == {HERE: 0, THERE: 0, unheard: 1_000_000}
    room.cancel()
    assert two.sizes.live_size(unheard) is None


def test_other_processes_reservations_count(
    two: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And when they are settled, so does the log, without a refresh."""
    assert two.sizes.live_size(THERE) == 0
    with Repository.open(two.path) as other:
        with monkeypatch.context() as patched:
            patched.setattr("os.getpid", lambda: 4242)
            with other.sizes.deciding() as decision:
                kept, made = (decision.reserve(THERE, key) for key in (SMALL, LARGE))
        assert two.sizes.live_size(THERE) == 1_000_007
        other.logs.set_location(LARGE, THERE, True)
        assert not made.is_pending
        assert two.sizes.live_size(THERE) == 1_000_007
        kept.cancel()
        two.refresh()
        assert two.sizes.live_size(THERE) == 1_000_000


def test_a_decision_sees_what_others_did_since_the_last_refresh(two: Repository) -> None:
    assert two.sizes.size(THERE) == 0
    with Repository.open(two.path) as other:
        other.logs.set_location(LARGE, THERE, True)
        with two.sizes.deciding():
            assert two.sizes.live_size(THERE) == 1_000_000
        other.logs.set_location(SMALL, THERE, True)
        other.branch.commit()
        with two.sizes.deciding():
            assert two.sizes.live_size(THERE) == 1_000_007


def test_the_journal_is_not_looked_through_for_each_decision(
    two: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[None] = []
    notice = two.branch.changes.notice

    def look() -> None:
        looks.append(None)
        notice()

    monkeypatch.setattr(reposizes, "_NOTICE_SHARE", 1e6)
    monkeypatch.setattr(two.branch.changes, "notice", look)
    for number in range(5):
        with two.sizes.deciding() as decision:
            key = Key.parse(b"SHA256E-s10--%d" % number)
            assert two.sizes.live_size(THERE) == 10 * number
            decision.reserve(THERE, key)
        two.logs.set_location(key, THERE, True)
    assert len(looks) <= 3


def test_many_threads_never_promise_more_than_there_is(two: Repository) -> None:
    """16 uploads of 100 kB at once, with room for 10; some fail and make room again."""
    two.logs.set_max_size(THERE, 1_000_000)
    preferences = Preferences(two)
    keys = [Key.parse(b"SHA256E-s100000--%d" % number) for number in range(16)]
    largest: list[int] = []

    def upload(key: Key) -> bool:
        with two.sizes.deciding() as decision:
            if not preferences.has_room(THERE, key):
                return False
            reservation = decision.reserve(THERE, key)
        with reservation:
            largest.append(two.sizes.live_size(THERE) or 0)
            if key is keys[0]:
                return False
            two.logs.set_location(key, THERE, True)
        return True

    with ThreadPoolExecutor(16) as threads:
        stored = sum(threads.map(upload, keys))
    assert stored in (9, 10), "one failed, perhaps after all others had asked"
    assert two.sizes.live_size(THERE) == two.sizes.size(THERE) == stored * 100_000
    assert max(largest) <= 1_000_000
    assert _rows(two) == []


def test_with_a_full_disk_reservations_are_known_to_this_process(
    two: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.sizes.sizes()

    def full(self: RepoSizeDb, changes: object) -> None:
        raise DatabaseUnusable("db", sqlite3.OperationalError("database or disk is full"))

    monkeypatch.setattr(RepoSizeDb, "add", full)
    with two.sizes.deciding() as decision:
        decision.reserve(THERE, LARGE)
    assert two.sizes.live_size(THERE) == 1_000_000
    assert "disk is full" in str(two.sizes.trouble)
    two.logs.set_location(LARGE, THERE, True)
    assert two.sizes.live_size(THERE) == 1_000_000


def test_closing_a_repository_gives_up_its_reservations(two: Repository) -> None:
    with two.sizes.deciding() as decision:
        reservation = decision.reserve(THERE, LARGE)
    two.close()
    assert _rows(two) == []
    assert not reservation.is_pending
    assert two.sizes.live_size(THERE) == 0


def test_without_reservations_nothing_is_opened(two: Repository) -> None:
    two.logs.set_location(LARGE, THERE, True)
    assert not Path(two.annex_path("reposize")).exists()
