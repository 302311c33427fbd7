"""The shared database of sizes: its locks, its upkeep, and doing without it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shoal.db.reposizedb import Change, LiveChange
from shoal.git import sizesdb
from shoal.git.locks import Lock, LockError
from shoal.git.repository import Repository
from shoal.git.sizesdb import SharedSizes
from shoal.values.key import Key
from tests.support.annexrepo import HERE, THERE, git, make_annex

KEY = Key.parse(b"SHA256E-s5000--aa.bin")
DEAD = 999_999_999  # no process has such a number


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with make_annex(tmp_path / "r") as repository:
        yield repository


@pytest.fixture
def shared(repository: Repository) -> Iterator[SharedSizes]:
    made = SharedSizes(repository)
    yield made
    made.close()


def place(repository: Repository) -> Path:
    return Path(repository.annex_dir) / "reposize"


def change(process: int | None = None, number: int = 1) -> LiveChange:
    return LiveChange(HERE, KEY, Change.ADDING, process or os.getpid(), number)


def begin(shared: SharedSizes, *changes: LiveChange) -> None:
    shared.open()
    with shared.deciding():
        shared.begin(changes)


def rows(repository: Repository) -> list[tuple[str, str]]:
    """Give process and number of each change under way, as they are in the database."""
    with closing(sqlite3.connect(place(repository) / "db" / "db")) as db:
        return db.execute("SELECT changepid, changeid FROM live_size_changes").fetchall()


def insert(repository: Repository, process: int) -> None:
    """Put in a row as another program would."""
    with closing(sqlite3.connect(place(repository) / "db" / "db")) as db, db:
        db.execute(
            "INSERT INTO live_size_changes(repo, key, changeid, changepid, change) "
            "VALUES (?, ?, '1', ?, 1)",
            (HERE.encode(), bytes(KEY), str(process)),
        )


def test_nothing_is_made_before_it_is_needed(repository: Repository, shared: SharedSizes) -> None:
    assert shared.stored_sizes() == ({}, None)
    assert shared.others() == frozenset()
    shared.cancel([change()])
    assert not place(repository).exists()
    shared.open()
    assert {path.name for path in place(repository).iterdir()} == {"db", "lock"}
    assert shared.trouble is None


def test_it_is_where_annex_dbdir_says(tmp_path: Path) -> None:
    with make_annex(tmp_path / "r", config={"annex.dbdir": str(tmp_path / "dbs")}) as repository:
        shared = SharedSizes(repository)
        shared.open()
        shared.close()
        assert (tmp_path / "dbs" / HERE / "reposize" / "db" / "db").exists()
        assert not place(repository).exists()


def test_modes_are_those_of_a_shared_repository(tmp_path: Path) -> None:
    config = {"core.sharedRepository": "0660"}
    with make_annex(tmp_path / "r", config=config) as repository:
        shared = SharedSizes(repository)
        begin(shared, change())
        top = place(repository)
        found = {path: path.stat().st_mode & 0o7777 for path in top.rglob("*")}
        shared.close()
    assert found[top / "db"] == found[top / "live"] == 0o2770
    files = [
        top / "lock",
        top / "db" / "db",
        top / "db" / "db-wal",
        top / "live" / str(os.getpid()),
    ]
    assert [found[path] for path in files] == [0o660] * 4


# Deciding


def test_one_thread_decides_at_a_time(shared: SharedSizes) -> None:
    inside = threading.Event()
    second = threading.Event()

    def decide() -> None:
        with shared.deciding():
            second.set()

    thread = threading.Thread(target=decide)
    with shared.deciding(), shared.deciding():
        thread.start()
        inside.set()
        assert not second.wait(0.05)
    thread.join()
    assert second.is_set()


def test_others_see_the_lock(repository: Repository, shared: SharedSizes) -> None:
    path = str(place(repository) / "lock")
    with shared.deciding():
        assert repository.locker.is_locked_exclusively(path)
        assert repository.locker.try_exclusive(path) is None
    assert not repository.locker.is_locked_exclusively(path)


def test_a_lock_that_others_keep_is_waited_for(
    repository: Repository, shared: SharedSizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.open()
    theirs = repository.locker.exclusive(str(place(repository) / "lock"))
    release = threading.Timer(0.05, theirs.release)
    release.start()
    with shared.deciding():
        assert theirs.files == ()
    release.join()
    monkeypatch.setattr(sizesdb, "_PATIENCE", 0.05)
    with (
        repository.locker.exclusive(str(place(repository) / "lock")),
        pytest.raises(LockError, match="another process"),
        shared.deciding(),
    ):
        pass


def test_a_process_that_decides_all_the_time_lets_others_in(
    repository: Repository, shared: SharedSizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for the lock is woken when it is free, and then is too slow without a pause."""
    shared.open()
    monkeypatch.setattr(sizesdb, "_GAP", 60.0)  # all that follows is in a row
    monkeypatch.setattr(sizesdb, "_SPELL", 0.0)
    theirs: list[Lock | None] = []

    def pause(seconds: float) -> None:
        with repository.locker.exclusive(str(place(repository) / "lock")) as lock:
            theirs.append(lock)

    monkeypatch.setattr("time.sleep", pause)
    for _ in range(3):
        with shared.deciding():
            pass
    assert len(theirs) == 1, "one pause, after which a new row begins"


# Processes


def test_a_process_is_known_to_live_while_it_has_changes(
    repository: Repository, shared: SharedSizes
) -> None:
    begin(shared, change())
    assert rows(repository) == [(str(os.getpid()), "1")]
    alive = str(place(repository) / "live" / str(os.getpid()))
    assert repository.locker.is_locked_exclusively(alive)
    shared.close()
    assert rows(repository) == []
    assert not os.path.exists(alive)


def test_what_dead_processes_left_is_removed(repository: Repository, shared: SharedSizes) -> None:
    shared.open()
    live = place(repository) / "live"
    live.mkdir()
    for process in (DEAD, DEAD + 1):
        insert(repository, process)
        (live / str(process)).touch()
    (live / "notes").touch()
    with repository.locker.exclusive(str(live / str(DEAD + 1))):
        assert {other.process for other in shared.others()} == {DEAD + 1}
        assert rows(repository) == [(str(DEAD + 1), "1")]
        assert {path.name for path in live.iterdir()} == {str(DEAD + 1), "notes"}


def test_dead_processes_are_looked_for_once_a_minute(
    repository: Repository, shared: SharedSizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.open()
    insert(repository, DEAD)
    assert len(shared.others()) == 1  # looked now, and found nobody
    live = place(repository) / "live"
    live.mkdir()
    (live / str(DEAD)).touch()
    assert len(shared.others()) == 1
    monkeypatch.setattr(sizesdb, "_STALE_EVERY", 0.0)
    assert shared.others() == frozenset()
    assert rows(repository) == []


def test_a_dead_namesakes_changes_are_removed(repository: Repository, shared: SharedSizes) -> None:
    shared.open()
    insert(repository, os.getpid())
    begin(shared, change(number=2))
    assert rows(repository) == [(str(os.getpid()), "2")]


def test_a_living_namesake_of_another_container_is_left_alone(
    repository: Repository, shared: SharedSizes
) -> None:
    shared.open()
    live = place(repository) / "live"
    live.mkdir()
    insert(repository, os.getpid())
    with repository.locker.exclusive(str(live / str(os.getpid()))):
        begin(shared, change(number=2))
        assert rows(repository) == [(str(os.getpid()), "1")]


def test_with_a_pid_lock_nothing_is_written_that_others_could_not_judge(tmp_path: Path) -> None:
    with make_annex(tmp_path / "r", config={"annex.pidlock": "true"}) as repository:
        shared = SharedSizes(repository)
        begin(shared, change())
        insert(repository, DEAD)
        assert {other.process for other in shared.others()} == {DEAD}
        assert rows(repository) == [(str(DEAD), "1")]
        shared.close()


# A database that cannot be used


@pytest.mark.parametrize("content", [b"", b"garbage" * 999], ids=["empty", "garbage"])
def test_a_damaged_database_is_made_anew(repository: Repository, content: bytes) -> None:
    database = place(repository) / "db" / "db"
    database.parent.mkdir(parents=True)
    database.write_bytes(content)
    with closing(SharedSizes(repository)) as shared:
        shared.open()
        shared.store_sizes({HERE: 1}, "commit")
        assert shared.stored_sizes() == ({HERE: 1}, "commit")
        assert shared.trouble is None


def test_damage_that_shows_later_is_mended_too(repository: Repository, shared: SharedSizes) -> None:
    told: list[str] = []
    repository.complain = told.append
    begin(shared, change())
    with closing(sqlite3.connect(place(repository) / "db" / "db")) as db, db:
        db.execute("INSERT INTO repo_sizes(repo, size) VALUES (x'41', 'much')")
        db.execute("INSERT INTO annex_branch(\"commit\") VALUES ('x')")
    assert shared.stored_sizes() == ({}, None)
    assert shared.trouble is not None
    shared.open()
    assert shared.trouble is None
    assert rows(repository) == [(str(os.getpid()), "1")], "and our changes are in the new one"
    assert told == []


def test_a_database_that_was_deleted_is_made_anew(
    repository: Repository, shared: SharedSizes
) -> None:
    begin(shared, change())
    shutil.rmtree(place(repository))
    shared.open()
    assert rows(repository) == [(str(os.getpid()), "1")]


def test_what_cannot_be_made_is_done_without(repository: Repository, shared: SharedSizes) -> None:
    told: list[str] = []
    repository.complain = told.append
    place(repository).write_bytes(b"not a directory")
    shared.open()
    assert [str(shared.trouble) in text for text in told] == [True]
    assert shared.trouble is not None
    assert shared.stored_sizes() == ({}, None)
    with shared.deciding():
        shared.begin([change()])
    shared.finish([change()])
    assert len(told) == 1
    place(repository).unlink()


def test_a_busy_database_is_left_alone_for_a_while(
    repository: Repository, shared: SharedSizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what could not be removed from it is removed when it can be used again."""
    monkeypatch.setattr("shoal.db.reposizedb._BUSY_SECONDS", 0.05)
    begin(shared, change(number=1), change(number=2))
    with closing(sqlite3.connect(place(repository) / "db" / "db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        shared.cancel([change(number=1)])
        assert "locked" in str(shared.trouble)
        shared.cancel([change(number=2)])
        shared.open()
        assert shared.others() == frozenset()
        assert "locked" in str(shared.trouble), "not tried again at once"
    assert len(rows(repository)) == 2
    monkeypatch.setattr("time.monotonic", lambda: 1e9)
    shared.open()
    assert shared.trouble is None
    assert rows(repository) == []


def test_who_cannot_clear_up_is_taken_for_dead(
    repository: Repository, shared: SharedSizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that somebody else does."""
    monkeypatch.setattr("shoal.db.reposizedb._BUSY_SECONDS", 0.05)
    begin(shared, change())
    with closing(sqlite3.connect(place(repository) / "db" / "db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        shared.close()
    assert len(rows(repository)) == 1
    monkeypatch.setattr("os.getpid", lambda: DEAD)
    with closing(SharedSizes(repository)) as another:
        another.open()
        assert another.others() == frozenset()
    assert rows(repository) == []


def test_what_others_begin_is_noticed(repository: Repository, shared: SharedSizes) -> None:
    shared.open()
    assert shared.others() == frozenset()
    with Repository.open(repository.path) as again:
        theirs = SharedSizes(again)
        theirs.open()
        begin(shared, change())
        assert shared.others() == frozenset(), "our own is no other's"
        insert(repository, DEAD)
        assert {other.process for other in shared.others()} == {DEAD}
        theirs.close()


def test_a_linked_work_tree_shares_it(repository: Repository, tmp_path: Path) -> None:
    path = Path(repository.path)
    git(path, "commit", "-q", "--allow-empty", "-m", "start")
    git(path, "worktree", "add", "-q", str(tmp_path / "linked"))
    with Repository.open(tmp_path / "linked") as linked:
        shared = SharedSizes(linked)
        shared.open()
        shared.store_sizes({THERE: 1}, "commit")
        shared.close()
    with closing(SharedSizes(repository)) as shared:
        shared.open()
        assert shared.stored_sizes() == ({THERE: 1}, "commit")
