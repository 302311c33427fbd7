"""Copying inside the kernel, and where the kernel cannot."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shoal.git.copying import copy_bytes, copy_file

CONTENT = bytes(range(256)) * 50_000


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize(
    ("offset", "length", "at"),
    [(0, len(CONTENT), 0), (10, 1000, 0), (5, 10**9, 7), (len(CONTENT), 5, 0), (0, 0, 3)],
)
def test_any_part_is_copied_anywhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kernel: bool,
    offset: int,
    length: int,
    at: int,
) -> None:
    """And what was copied is told."""
    if not kernel:

        def refuse(*args: int) -> int:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

        monkeypatch.setattr(os, "copy_file_range", refuse)
    (tmp_path / "source").write_bytes(CONTENT)
    (tmp_path / "target").write_bytes(b"#" * at)
    expected = CONTENT[offset : offset + length]
    with (tmp_path / "source").open("rb") as source, (tmp_path / "target").open("r+b") as target:
        assert copy_bytes(source.fileno(), target.fileno(), offset, length, at) == len(expected)
    assert (tmp_path / "target").read_bytes() == b"#" * at + expected


def test_other_errors_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is not a kernel that cannot copy."""

    def full(*args: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "copy_file_range", full)
    (tmp_path / "source").write_bytes(CONTENT)
    with pytest.raises(OSError, match="No space"):
        copy_file(str(tmp_path / "source"), str(tmp_path / "target"))


def test_a_file_is_copied_with_its_time(tmp_path: Path) -> None:
    """Never over another."""
    (tmp_path / "source").write_bytes(CONTENT)
    os.utime(tmp_path / "source", ns=(5, 1_500_000_000_123_456_789))
    copy_file(str(tmp_path / "source"), str(tmp_path / "target"))
    assert (tmp_path / "target").read_bytes() == CONTENT
    assert (tmp_path / "target").stat().st_mtime_ns == 1_500_000_000_123_456_789
    with pytest.raises(FileExistsError):
        copy_file(str(tmp_path / "source"), str(tmp_path / "target"))
