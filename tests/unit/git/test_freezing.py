"""Modes of objects and their directories; hooks."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from shoal.git.freezing import Freezer
from shoal.git.permissions import Permissions


@pytest.fixture(autouse=True)
def _umask() -> None:
    os.umask(0o022)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("shared", "file", "directory"),
    [
        (None, 0o444, 0o555),
        ("false", 0o444, 0o555),
        ("group", 0o444, 0o775),
        ("all", 0o444, 0o775),
        ("0660", 0o440, 0o2570),
    ],
)
def test_frozen_modes_are_the_real_programs(
    tmp_path: Path, shared: str | None, file: int, directory: int
) -> None:
    """The modes of an object and its directory, as measured (on-disk formats, 1.8)."""
    permissions = Permissions.parse(shared)
    freezer = Freezer(permissions)
    place = tmp_path / "K"
    permissions.make_directory(str(place), str(tmp_path))
    content = place / "K"
    content.write_bytes(b"x")
    freezer.freeze_file(str(content))
    freezer.freeze_directory(str(place))
    assert _mode(content) == file
    assert _mode(place) == directory
    freezer.thaw_directory(str(place))
    freezer.thaw_file(str(content))
    assert _mode(content) & stat.S_IWUSR
    assert _mode(place) & stat.S_IWUSR


def test_a_crippled_file_system_keeps_its_modes(tmp_path: Path) -> None:
    """Where modes mean nothing they are not changed."""
    content = tmp_path / "K"
    content.write_bytes(b"x")
    before = _mode(content)
    Freezer(Permissions(crippled=True)).freeze_file(str(content))
    assert _mode(content) == before


def test_a_missing_directory_can_be_frozen_but_not_thawed(tmp_path: Path) -> None:
    """Others clean up: freezing what is gone is done, thawing it is an error."""
    freezer = Freezer(Permissions())
    freezer.freeze_directory(str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError):
        freezer.thaw_directory(str(tmp_path / "gone"))


def test_commands_get_the_path(tmp_path: Path) -> None:
    """%path is replaced by the quoted path."""
    log = tmp_path / "log"
    content = tmp_path / "a 'file'"
    content.write_bytes(b"x")
    freezer = Freezer(
        Permissions(),
        freeze_command=f"echo froze %path >> {log}",
        thaw_command=f"echo thawed %path >> {log}",
    )
    freezer.freeze_file(str(content))
    freezer.thaw_file(str(content))
    assert log.read_text() == f"froze {content}\nthawed {content}\n"
    assert freezer.thawing_does_more


def test_a_hook_comes_before_the_command(tmp_path: Path) -> None:
    """hooks/freezecontent-annex gets the path as its argument; then no command is run."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    log = tmp_path / "log"
    hook = hooks / "freezecontent-annex"
    hook.write_text(f'#!/bin/sh\necho "hook $1" >> {log}\nexit 1\n')
    hook.chmod(0o755)
    content = tmp_path / "K"
    content.write_bytes(b"x")
    freezer = Freezer(Permissions(), freeze_command=f"echo command >> {log}", hooks_dir=str(hooks))
    freezer.freeze_file(str(content))
    assert log.read_text() == f"hook {content}\n"
    assert not freezer.thawing_does_more
