"""The git index: finding files by their blob, and telling git that they are unchanged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.git.gitindex import GitIndex, IndexUnreadable, iter_entries
from shoal.git.permissions import Permissions
from shoal.git.pointers import blob_id, format_pointer
from shoal.values.key import Key
from tests.support.annexrepo import git

KEY = Key.parse(b"SHA256E-s7--abc.txt")
POINTER = format_pointer(KEY)
PAST = 1_500_000_000


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work tree with many files, two of them pointers to KEY, and no filters."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q")
    for number in range(50):
        directory = work / f"dir{number % 3}" / ("x" * (number % 17 + 1))
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file {number}").write_text(str(number))
    (work / "dir1" / "unlocked").write_bytes(POINTER)
    (work / "z").write_bytes(POINTER)
    (work / "z").chmod(0o755)
    (work / "link").symlink_to("z")
    for file in work.rglob("*"):
        if file.is_file() and ".git" not in file.parts:
            os.utime(file, (PAST, PAST), follow_symlinks=False)
    git(work, "add", ".")
    return work


def _index(work: Path) -> GitIndex:
    return GitIndex(str(work / ".git"), str(work), Permissions())


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_entries_are_what_git_lists(work: Path, version: str) -> None:
    """In every version of the format."""
    if version == "3":  # written when an entry needs an extended flag
        (work / "intended").write_text("x")
        git(work, "add", "--intent-to-add", "intended")
    else:
        git(work, "update-index", "--index-version", version)
    data = (work / ".git" / "index").read_bytes()
    assert data[4:8] == bytes([0, 0, 0, int(version)])
    listed = git(work, "ls-files", "--stage", "-z").split("\0")[:-1]
    found = [
        f"{entry.mode:06o} {entry.blob.hex()} {entry.stage}\t{os.fsdecode(entry.path)}"
        for entry in iter_entries(data)
    ]
    assert found == listed


@pytest.mark.parametrize("version", ["2", "4"])
def test_files_are_found_by_their_blob(work: Path, version: str) -> None:
    """Only plain files: a symlink with such a target is a locked file."""
    git(work, "update-index", "--index-version", version)
    entries = _index(work).entries_of(blob_id(POINTER))
    assert [entry.path for entry in entries] == [b"dir1/unlocked", b"z"]
    assert _index(work).entries_of(blob_id(b"other")) == []


def test_a_repository_without_an_index_has_no_files(tmp_path: Path) -> None:
    """A new one, and one whose index is empty."""
    git(tmp_path, "init", "-q")
    assert _index(tmp_path).entries_of(blob_id(POINTER)) == []
    (tmp_path / ".git" / "index").write_bytes(b"")
    assert _index(tmp_path).entries_of(blob_id(POINTER)) == []


def test_a_split_index_is_left_to_git(work: Path) -> None:
    """Its entries are in two files."""
    git(work, "update-index", "--split-index")
    with pytest.raises(IndexUnreadable):
        _index(work).entries_of(blob_id(POINTER))
    assert _index(work).restamp({b"z": (blob_id(POINTER), os.lstat(work / "z"))}) == set()
    assert not (work / ".git" / "index.lock").exists()


@pytest.mark.parametrize("cut", [5, 30, 200])
def test_a_damaged_index_is_not_used(work: Path, cut: int) -> None:
    """Cut off, or of another kind."""
    data = (work / ".git" / "index").read_bytes()
    with pytest.raises(IndexUnreadable):
        list(iter_entries(data[:cut]))
    with pytest.raises(IndexUnreadable):
        list(iter_entries(b"JUNK" + data[4:]))


@pytest.mark.parametrize("version", ["2", "4"])
def test_git_believes_that_a_file_is_unchanged(work: Path, version: str) -> None:
    """After its content took the pointer's place; and git can read the whole index."""
    git(work, "update-index", "--index-version", version)
    before = git(work, "ls-files", "--stage")
    for name in ("dir1/unlocked", "z"):
        (work / name).write_bytes(b"content")
        os.utime(work / name, (PAST + 1, PAST + 1))
    assert git(work, "diff-files", "--name-only").split() == ["dir1/unlocked", "z"]
    blob = blob_id(POINTER)
    files = {name: (blob, os.lstat(work / os.fsdecode(name))) for name in (b"dir1/unlocked", b"z")}
    assert _index(work).restamp(files) == set(files)
    assert git(work, "diff-files", "--name-only") == ""
    assert git(work, "ls-files", "--stage") == before
    git(work, "fsck", "--strict")


def test_an_entry_with_another_blob_is_left_alone(work: Path) -> None:
    """The user staged something else meanwhile."""
    status = os.lstat(work / "z")
    (work / "z").write_bytes(b"changed and longer")
    other = {b"z": (blob_id(b"other"), status), b"none": (blob_id(POINTER), status)}
    assert _index(work).restamp(other) == set()
    assert git(work, "diff-files", "--name-only").split() == ["z"]


def test_an_index_that_git_is_changing_is_left_alone(work: Path) -> None:
    """git's own lock is respected."""
    lock = work / ".git" / "index.lock"
    lock.write_bytes(b"")
    assert _index(work).restamp({b"z": (blob_id(POINTER), os.lstat(work / "z"))}) == set()
    assert lock.exists()


def test_a_change_within_the_same_second_stays_visible(work: Path) -> None:
    """git compares contents when a file is as new as the index; a newer index must not hide
    such a change of another file."""
    racy = work / "dir0" / "x" / "file 0"
    index = work / ".git" / "index"
    os.utime(racy, (PAST + 5, PAST + 5))
    git(work, "add", "dir0/x/file 0")
    status = racy.stat()
    racy.write_text("9")  # as long as before
    os.utime(racy, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.utime(index, (PAST + 5, PAST + 5))
    git(work, "config", "core.trustctime", "false")
    assert "file 0" in git(work, "diff-files", "--name-only", "-z")
    assert _index(work).restamp({b"z": (blob_id(POINTER), os.lstat(work / "z"))}) == {b"z"}
    assert "file 0" in git(work, "diff", "--name-only", "-z")


def test_a_checksum_can_be_left_out(work: Path) -> None:
    """index.skipHash leaves zeros where the checksum would be, and they stay."""
    index = work / ".git" / "index"
    data = index.read_bytes()
    index.write_bytes(data[:-20] + bytes(20))
    assert _index(work).restamp({b"z": (blob_id(POINTER), os.lstat(work / "z"))}) == {b"z"}
    assert index.read_bytes()[-20:] == bytes(20)
    index.write_bytes(data[:-20] + b"x" * 20)
    assert _index(work).restamp({b"z": (blob_id(POINTER), os.lstat(work / "z"))}) == set()
