"""Noticing changes by time stamps, and of journals."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from shoal.git import freshness
from shoal.git.freshness import Freshness
from shoal.git.journal import Journal
from shoal.git.locks import Locker
from shoal.git.othertmp import OtherTmp
from shoal.git.permissions import Permissions
from shoal.git.watch import SETTLING, Watch, signature


def _settle() -> None:
    """Wait until a file that was just written counts as unchanged."""
    threading.Event().wait(2 * SETTLING / 1e9)


def test_a_watch_that_never_looked_has_changed() -> None:
    assert Watch().changed()


def test_a_file_that_was_just_written_counts_as_changed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    watch = Watch()
    watch.look([str(path)])
    assert watch.changed()
    _settle()
    watch.look([str(path)])
    assert not watch.changed()
    path.write_text("two")
    assert watch.changed()


def test_files_that_come_go_and_are_replaced(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    watch = Watch()
    watch.look([str(path)])
    assert signature(str(path)) is None
    assert not watch.changed()
    path.write_text("one")
    other.write_text("two")
    times = path.stat()
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    _settle()
    watch.look([str(path)])
    assert not watch.changed()
    other.rename(path)
    assert watch.changed()
    _settle()
    watch.look([str(path)])
    path.unlink()
    assert watch.changed()


def test_whole_seconds_take_longer_to_settle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    coarse = os.stat_result((0,) * 10, {"st_mtime_ns": 5 * 10**9, "st_ctime_ns": 5 * 10**9})
    monkeypatch.setattr(os, "stat", lambda name: coarse)
    watch = Watch()
    for now, settled in ((6 * 10**9, False), (8 * 10**9, True)):
        monkeypatch.setattr(time, "time_ns", lambda now=now: now)
        watch.look([str(path)])
        assert watch.changed() is not settled


def test_a_journal_tells_which_files_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annex = str(tmp_path)
    othertmp = OtherTmp(annex, Locker(), Permissions())
    journal = Journal(f"{annex}/journal", annex, othertmp, Permissions())
    fresh = Freshness([journal])
    assert fresh.changed_paths() == frozenset()
    journal.write("a/b.log", b"1\n")
    journal.write("c.log", b"1\n")
    assert fresh.changed_paths() == frozenset({"a/b.log", "c.log"})
    assert fresh.changed_paths() == frozenset()
    journal.write("c.log", b"2\n")
    assert fresh.changed_paths() == frozenset({"c.log"})
    journal.remove(["a_b.log"])
    assert fresh.changed_paths() == frozenset({"a/b.log"})
    _settle()
    fresh.changed_paths()
    journal.write("c.log", b"3\n")
    assert fresh.changed_paths() == frozenset({"c.log"})
    monkeypatch.setattr(freshness, "_MANY", 20)
    for number in range(21):
        (tmp_path / "journal" / f"{number}.log").touch()
    assert fresh.changed_paths() is None
