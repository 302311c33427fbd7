"""An object that is open for reading, and whether it is still what was opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from shoal.git.objectfile import ObjectFile


def _overwrite(path: Path) -> None:
    path.write_bytes(b"changed")
    os.utime(path, ns=(1, 1))


def _replace(path: Path) -> None:
    path.rename(path.with_name("old"))
    path.write_bytes(b"content")


@pytest.mark.parametrize(
    ("change", "unchanged"),
    [(lambda path: None, True), (Path.unlink, True), (_overwrite, False), (_replace, False)],
)
def test_what_happened_to_the_file_is_seen(
    tmp_path: Path, change: Callable[[Path], None], unchanged: bool
) -> None:
    """What was removed can still be read, to its end."""
    path = tmp_path / "object"
    path.write_bytes(b"content")
    with closing(ObjectFile(str(path))) as file:
        change(path)
        assert file.is_unchanged() is unchanged


def test_a_file_that_is_not_there_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ObjectFile(str(tmp_path / "none"))
