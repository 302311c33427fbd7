"""The journal: names, atomic writes, half-written lines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.git.journal import Journal, branch_path, journal_name
from shoal.git.locks import Locker
from shoal.git.othertmp import OtherTmp
from shoal.git.permissions import Permissions


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return _journal(tmp_path, Permissions())


def _journal(tmp_path: Path, permissions: Permissions) -> Journal:
    annex = str(tmp_path / "annex")
    os.mkdir(annex)
    othertmp = OtherTmp(annex, Locker(permissions), permissions)
    return Journal(f"{annex}/journal", annex, othertmp, permissions)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("uuid.log", "uuid.log"),
        ("e8a/023/MD5-s0--a_b.log", "e8a_023_MD5-s0--a__b.log"),
        ("e8a/023/MD5-s0--a__b.log", "e8a_023_MD5-s0--a____b.log"),
        ("e8a/MD5--x.log.web", "e8a_MD5--x.log.web"),
        ("e8a/023/_X--y_.log", "e8a_023___X--y__.log"),
        ("e8a/_X--y.log", "e8a___X--y.log"),
        ("remote/web/aaa/bbb/K.log", "remote_web_aaa_bbb_K.log"),
        ("a_/b", "a___b"),
    ],
)
def test_names(path: str, name: str) -> None:
    assert journal_name(path) == name
    assert branch_path(name) == path


def test_a_file_is_read_back_and_listed(journal: Journal) -> None:
    assert journal.read("a/b_c.log") is None
    assert journal.is_empty()
    journal.write("a/b_c.log", b"one\n")
    journal.write("a/b_c.log", b"two\n")
    assert journal.read("a/b_c.log") == b"two\n"
    assert journal.names() == ["a_b__c.log"]
    assert journal.paths() == {"a/b_c.log"}
    assert [path for path, _ in journal.signatures(["a_b__c.log", "gone"])] == ["a/b_c.log"]
    journal.remove(["a_b__c.log", "gone"])
    assert journal.is_empty()


def test_no_temporary_file_is_left(journal: Journal, tmp_path: Path) -> None:
    journal.write("x.log", b"one\n")
    assert os.listdir(tmp_path / "annex" / "othertmp") == []


@pytest.mark.parametrize(
    ("content", "read"),
    [(b"1s 1 a\n2s 1 b", b"1s 1 a\n"), (b"1s 1", b""), (b"", b""), (b"1s 1 a\n", b"1s 1 a\n")],
)
def test_a_line_that_is_being_appended_is_left_out(
    journal: Journal, content: bytes, read: bytes
) -> None:
    journal.write("x.log", content)
    assert journal.read("x.log") == read


def test_only_regular_files_count(journal: Journal, tmp_path: Path) -> None:
    directory = tmp_path / "annex" / "journal"
    (directory / "sub").mkdir(parents=True)
    (tmp_path / "outside").write_bytes(b"linked\n")
    (directory / "link.log").symlink_to(tmp_path / "outside")
    (directory / "dangling.log").symlink_to(tmp_path / "nowhere")
    assert journal.names() == ["link.log"]
    assert journal.read("link.log") == b"linked\n"


def test_modes_of_a_shared_repository(tmp_path: Path) -> None:
    os.umask(0o022)
    journal = _journal(tmp_path, Permissions.parse("group"))
    journal.write("x.log", b"x\n")
    assert os.stat(tmp_path / "annex" / "journal" / "x.log").st_mode & 0o777 == 0o664
    assert os.stat(tmp_path / "annex" / "journal").st_mode & 0o777 == 0o775
