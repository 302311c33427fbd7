"""Modes in shared repositories (the table was checked against git-annex 10.20261026)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.git.permissions import Permissions


@pytest.mark.parametrize(
    ("value", "file", "directory"),
    [
        (None, 0o644, 0o755),
        ("false", 0o644, 0o755),
        ("umask", 0o644, 0o755),
        ("group", 0o664, 0o775),
        ("TRUE", 0o664, 0o775),
        ("1", 0o664, 0o775),
        ("all", 0o664, 0o775),
        ("everybody", 0o664, 0o775),
        ("0660", 0o660, 0o2770),
        ("0640", 0o640, 0o2750),
    ],
)
def test_modes(tmp_path: Path, value: str | None, file: int, directory: int) -> None:
    permissions = Permissions.parse(value)
    old = os.umask(0o022)
    try:
        (tmp_path / "HEAD").touch()
        top = tmp_path / "annex"
        permissions.make_directory(str(top / "a" / "b"), str(top))
        permissions.make_directory(str(top / "a" / "b"), str(top))
        path = top / "file"
        path.touch()
        permissions.settle(str(path))
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o7777 == file
    for made in (top, top / "a", top / "a" / "b"):
        assert made.stat().st_mode & 0o7777 == directory


def test_a_crippled_file_system_keeps_its_modes(tmp_path: Path) -> None:
    permissions = Permissions.parse("0600", crippled=True)
    assert permissions.shared
    assert permissions.file_mode(0o644) == 0o644


def test_nothing_is_made_in_a_mount_point(tmp_path: Path) -> None:
    """A bare repository's disk went away: its directory is there, and empty."""
    with pytest.raises(FileNotFoundError):
        Permissions().make_directory(str(tmp_path / "annex" / "tmp"), str(tmp_path / "annex"))
    assert not (tmp_path / "annex").exists()


def test_nothing_is_made_above_the_top(tmp_path: Path) -> None:
    top = str(tmp_path / "gone" / "annex")
    with pytest.raises(FileNotFoundError):
        Permissions().make_directory(top + "/journal", top)
