"""The real program's database of unlocked files, which may be there, missing or broken."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from shoal.db.keysdb import KeysDb
from shoal.values.key import Key

KEY = Key.parse(b"SHA256E-s3--abc.txt")
_TABLES = """
CREATE TABLE "associated"("id" INTEGER PRIMARY KEY,"key" BLOB NOT NULL,"file" BLOB NOT NULL,
  CONSTRAINT "key_file_index" UNIQUE ("key","file"),
  CONSTRAINT "file_key_index" UNIQUE ("file","key"));
CREATE TABLE "content"("id" INTEGER PRIMARY KEY,"key" BLOB NOT NULL,
  "inodecache" VARCHAR NOT NULL,"filesize" VARCHAR NOT NULL,"mtime" INTEGER NOT NULL,
  CONSTRAINT "key_inode_cache_index" UNIQUE ("key","inodecache"),
  CONSTRAINT "inode_cache_key_index" UNIQUE ("inodecache","key"));
"""


@pytest.fixture
def database(tmp_path: Path) -> KeysDb:
    """A database as git-annex 10.20261026 makes it."""
    with closing(sqlite3.connect(tmp_path / "db")) as db:
        db.executescript(_TABLES)
        db.execute("INSERT INTO associated(key, file) VALUES (?, ?)", (bytes(KEY), b"a file"))
        db.commit()
    return KeysDb(str(tmp_path))


def test_files_of_a_key_are_given(database: KeysDb) -> None:
    """As bytes, from the top of the work tree."""
    assert database.associated_files(KEY) == [b"a file"]
    assert database.associated_files(Key.parse(b"MD5--x")) == []


def test_states_of_files_are_remembered_and_forgotten(database: KeysDb, tmp_path: Path) -> None:
    """In the real program's form, each once."""
    rows = [("12 3 100 05", 3, 100), ("13 3 200 ", 3, 200)]
    database.add_inode_caches(KEY, rows)
    database.add_inode_caches(KEY, rows)
    assert sorted(database.inode_caches(KEY)) == ["12 3 100 05", "13 3 200 "]
    assert database.is_known("13 3 200 ")
    assert not database.is_known("13 3 201 ")
    with closing(sqlite3.connect(tmp_path / "db")) as db:
        found = db.execute("SELECT typeof(key), typeof(filesize), mtime FROM content").fetchall()
    assert found == [("blob", "text", 100), ("blob", "text", 200)]
    database.forget_inode_caches(KEY)
    assert database.inode_caches(KEY) == []


@pytest.mark.parametrize("content", [None, b"", b"this is no database at all" * 50])
def test_without_a_database_nothing_is_known(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty or broken: no error, and none is made."""
    path = tmp_path / "keysdb" / "db"
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    database = KeysDb(str(path.parent))
    assert database.associated_files(KEY) == []
    assert database.inode_caches(KEY) == []
    assert not database.is_known("1 2 3")
    database.add_inode_caches(KEY, [("12 3 100 05", 3, 100)])
    database.forget_inode_caches(KEY)
    assert path.exists() is (content is not None)
    if content is not None:
        assert path.read_bytes() == content
