"""Sizes that another process counts."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shoal.git import countapart
from shoal.git.countapart import CountApart
from shoal.git.repository import Repository
from shoal.values.key import Key
from tests.support.annexrepo import HERE, make_annex
from tests.support.wait import wait_until

KEY = Key.parse(b"SHA256E-s5000--aa.bin")


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with make_annex(tmp_path / "r") as repository:
        repository.logs.set_location(KEY, HERE, True)
        repository.branch.commit()
        yield repository


def stored(repository: Repository) -> list[tuple[bytes, int]]:
    with closing(sqlite3.connect(repository.annex_path("reposize", "db", "db"))) as db:
        return db.execute("SELECT repo, CAST(size AS INTEGER) FROM repo_sizes").fetchall()


def test_it_leaves_the_sizes_where_all_find_them(repository: Repository) -> None:
    CountApart(repository).run()
    assert stored(repository) == [(HERE.encode(), 5000)]
    assert repository.sizes.sizes() == {HERE: 5000}


def test_what_is_known_is_not_counted_again(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.sizes.sizes()
    monkeypatch.setattr(countapart, "_COMMAND", ("no such program",))
    CountApart(repository).run()


def test_who_asks_meanwhile_waits_and_counts_when_it_was_stopped(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(countapart, "_COMMAND", ("sh", "-c", 'touch "$0/begun"; exec sleep 600'))
    count, found = CountApart(repository), {}
    running = threading.Thread(target=count.run)
    running.start()
    wait_until((Path(repository.path) / "begun").exists)
    asking = threading.Thread(target=lambda: found.update(repository.sizes.sizes()))
    asking.start()
    assert running.is_alive()
    assert found == {}
    count.stop()
    running.join(30)
    asking.join(30)
    assert found == {HERE: 5000}


def test_what_is_stopped_before_it_begins_does_nothing(repository: Repository) -> None:
    count = CountApart(repository)
    count.stop()
    count.run()
    assert stored(repository) == []
