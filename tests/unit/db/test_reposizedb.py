"""The database of repository sizes: its schema, and what each transaction does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shoal.db.reposizedb import Change, DatabaseUnusable, LiveChange, RepoSizeDb, create
from shoal.values.key import Key
from tests.support.annexrepo import HERE, THERE

KEY = Key.parse(b"SHA256E-s5000--aa.bin")
OTHER = Key.parse(b"SHA256E-s7000--bb.bin")
NO_SIZE = Key.parse(b"URL--http&c%%x")
COMMIT = "512ca6b4454f60a2443fcbfff069305619a7283d"

# As git-annex 10.20261026 made it (`.schema` of sqlite3).
SCHEMA = [
    'CREATE TABLE "repo_sizes"("id" INTEGER PRIMARY KEY,"repo" BLOB NOT NULL,'
    '"size" VARCHAR NOT NULL,CONSTRAINT "unique_repo" UNIQUE ("repo"))',
    'CREATE TABLE "annex_branch"("id" INTEGER PRIMARY KEY,"commit" VARCHAR NOT NULL,'
    'CONSTRAINT "unique_commit" UNIQUE ("commit"))',
    'CREATE TABLE "live_size_changes"("id" INTEGER PRIMARY KEY,"repo" BLOB NOT NULL,'
    '"key" BLOB NOT NULL,"changeid" VARCHAR NOT NULL,"changepid" VARCHAR NOT NULL,'
    '"change" INTEGER NOT NULL,CONSTRAINT "unique_live_size_change" UNIQUE '
    '("repo","key","changeid","changepid"))',
    'CREATE TABLE "size_changes"("id" INTEGER PRIMARY KEY,"repo" BLOB NOT NULL,'
    '"rollingtotal" VARCHAR NOT NULL,CONSTRAINT "unique_repo_rolling_total" UNIQUE ("repo"))',
    'CREATE TABLE "recent_changes"("id" INTEGER PRIMARY KEY,"repo" BLOB NOT NULL,'
    '"key" BLOB NOT NULL,"change" INTEGER NOT NULL,'
    'CONSTRAINT "unique_recent_change" UNIQUE ("repo","key"))',
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create(str(tmp_path / "db"), lambda path: Path(path).mkdir(), lambda path: None)
    return tmp_path / "db"


@pytest.fixture
def db(directory: Path) -> Iterator[RepoSizeDb]:
    with closing(RepoSizeDb(str(directory))) as opened:
        yield opened


def rows(directory: Path, table: str) -> list[tuple[object, ...]]:
    """Give the rows of a table without their ids, as they are stored."""
    with closing(sqlite3.connect(directory / "db")) as raw:
        return [row[1:] for row in raw.execute(f"SELECT * FROM {table} ORDER BY id")]


def adding(key: Key = KEY, *, process: int = 7, number: int = 1) -> LiveChange:
    return LiveChange(HERE, key, Change.ADDING, process, number)


def removing(key: Key = KEY, *, process: int = 7, number: int = 2) -> LiveChange:
    return LiveChange(HERE, key, Change.REMOVING, process, number)


def test_schema_and_journal_mode_are_the_real_programs(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "db")) as raw:
        made = [sql for (sql,) in raw.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")]
        assert made == SCHEMA
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_values_have_the_real_programs_types(db: RepoSizeDb, directory: Path) -> None:
    db.store_sizes({HERE: 12000}, COMMIT)
    db.add([adding(OTHER)])
    db.add([adding()])
    db.finish([adding()])
    assert rows(directory, "repo_sizes") == [(HERE.encode(), "12000")]
    assert rows(directory, "annex_branch") == [(COMMIT,)]
    assert rows(directory, "live_size_changes") == [(HERE.encode(), bytes(OTHER), "1", "7", 1)]
    assert rows(directory, "size_changes") == [(HERE.encode(), "5000")]
    assert rows(directory, "recent_changes") == [(HERE.encode(), bytes(KEY), 1)]


def test_sizes_are_of_the_last_commit_that_was_stored(db: RepoSizeDb) -> None:
    assert db.sizes() == ({}, None)
    db.store_sizes({HERE: 1, THERE: 2}, "old")
    db.store_sizes({HERE: 10**30}, COMMIT)
    assert db.sizes() == ({HERE: 10**30}, COMMIT)


def test_a_finished_change_is_counted_once(db: RepoSizeDb, directory: Path) -> None:
    """Two processes store the same key: the second finds the recent change of the first."""
    one, two = adding(process=7), adding(process=8)
    db.add([one, two])
    db.finish([one])
    db.finish([two])
    assert rows(directory, "size_changes") == [(HERE.encode(), "5000")]
    assert rows(directory, "live_size_changes") == []
    db.finish([removing()])
    assert rows(directory, "size_changes") == [(HERE.encode(), "0")]
    assert rows(directory, "recent_changes") == [(HERE.encode(), bytes(KEY), -1)]
    db.finish([adding(), adding(NO_SIZE)])
    assert rows(directory, "size_changes") == [(HERE.encode(), "5000")]


def test_storing_sizes_forgets_recent_changes_but_those_made_again(
    db: RepoSizeDb, directory: Path
) -> None:
    db.finish([adding(), adding(OTHER)])
    db.add([adding(OTHER, number=3), removing(KEY)])
    db.store_sizes({HERE: 12000}, COMMIT)
    assert rows(directory, "recent_changes") == [(HERE.encode(), bytes(OTHER), 1)]
    assert rows(directory, "size_changes") == [(HERE.encode(), "12000")]


def test_additions_are_those_of_other_processes(db: RepoSizeDb) -> None:
    db.add([adding(process=7), adding(OTHER, process=8), removing(process=8)])
    assert db.additions(besides=7) == [adding(OTHER, process=8)]
    assert db.additions(besides=9) == [adding(process=7), adding(OTHER, process=8)]
    db.cancel([adding(OTHER, process=8)])
    assert db.additions(besides=7) == []
    db.remove_processes([7, 8])
    assert db.additions(besides=9) == []


def test_the_version_changes_when_another_connection_writes(
    db: RepoSizeDb, directory: Path
) -> None:
    before = db.version()
    db.add([adding()])
    assert db.version() == before
    with closing(RepoSizeDb(str(directory))) as other:
        other.add([adding(process=9)])
    assert db.version() != before


def test_a_transaction_that_fails_changes_nothing(db: RepoSizeDb, directory: Path) -> None:
    db.store_sizes({HERE: 1}, "old")
    with closing(sqlite3.connect(directory / "db", isolation_level=None)) as raw:
        raw.execute(
            "CREATE TRIGGER full BEFORE INSERT ON annex_branch BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        with pytest.raises(DatabaseUnusable, match="no") as failure:
            db.store_sizes({HERE: 2}, COMMIT)
        raw.execute("DROP TRIGGER full")
    assert not failure.value.damaged
    assert db.sizes() == ({HERE: 1}, "old")


def test_a_locked_database_is_not_a_damaged_one(db: RepoSizeDb, directory: Path) -> None:
    with closing(sqlite3.connect(directory / "db", isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnusable, match="locked") as failure:
            db.add([adding()])
    assert not failure.value.damaged
    db.add([adding()])


@pytest.mark.parametrize("content", [b"", b"garbage" * 999], ids=["empty", "garbage"])
def test_damage_is_noticed(directory: Path, content: bytes) -> None:
    for left in directory.iterdir():
        left.unlink()
    (directory / "db").write_bytes(content)
    with pytest.raises(DatabaseUnusable) as failure:
        RepoSizeDb(str(directory))
    assert failure.value.damaged


def test_a_size_that_is_no_number_is_damage(db: RepoSizeDb, directory: Path) -> None:
    with closing(sqlite3.connect(directory / "db")) as raw, raw:
        raw.execute("INSERT INTO repo_sizes(repo, size) VALUES (?, 'much')", (HERE.encode(),))
    with pytest.raises(DatabaseUnusable) as failure:
        db.sizes()
    assert failure.value.damaged


def test_a_missing_database_is_not_made_by_opening_it(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    with pytest.raises(DatabaseUnusable) as failure:
        RepoSizeDb(str(tmp_path / "db"))
    assert not failure.value.damaged
    assert list((tmp_path / "db").iterdir()) == []


def test_a_database_that_was_replaced_is_noticed(db: RepoSizeDb, directory: Path) -> None:
    assert db.is_in_place()
    create(str(directory), lambda path: Path(path).mkdir(), lambda path: None)
    assert not db.is_in_place()
