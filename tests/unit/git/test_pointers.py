"""Reading pointer files and links from a disk."""

from __future__ import annotations

import os
from pathlib import Path

from shoal.git.pointers import blob_id, format_pointer, link_target, linked_key, read_pointer
from shoal.values.key import Key
from tests.support.annexrepo import git

KEY = Key.parse(b"SHA256E-s3--abc%:.txt")


def test_a_pointer_file_is_read(tmp_path: Path) -> None:
    """A plain file with a pointer in it is one."""
    file = tmp_path / "file"
    file.write_bytes(format_pointer(KEY))
    assert read_pointer(str(file)) == KEY


def test_a_symlink_is_no_pointer_file(tmp_path: Path) -> None:
    """A locked file is a link, even if what it leads to looks like a pointer."""
    (tmp_path / "file").write_bytes(format_pointer(KEY))
    (tmp_path / "link").symlink_to("file")
    assert read_pointer(str(tmp_path / "link")) is None


def test_what_is_missing_or_no_file_is_no_pointer(tmp_path: Path) -> None:
    """Nothing, a directory and a pipe are no pointer files, and do not block."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", ".", "missing/below", "pipe"):
        assert read_pointer(str(tmp_path / name)) is None


def test_a_locked_file_names_its_key(tmp_path: Path) -> None:
    """The link's target tells the key."""
    target = link_target(str(tmp_path / "a" / "b"), str(tmp_path / ".git/annex/objects/X/Y/K/K"))
    assert target == "../.git/annex/objects/X/Y/K/K"
    os.symlink(".git/annex/objects/X/Y/MD5--x/MD5--x", tmp_path / "link")
    assert linked_key(str(tmp_path / "link")) == Key.parse(b"MD5--x")
    assert linked_key(str(tmp_path / "none")) is None
    assert linked_key(str(tmp_path)) is None


def test_blob_ids_are_gits(tmp_path: Path) -> None:
    """The id of a pointer's blob is what git gives it."""
    git(tmp_path, "init", "-q")
    content = format_pointer(KEY)
    expected = git(tmp_path, "hash-object", "--stdin", data=content).strip()
    assert blob_id(content).hex() == expected
