"""Small files, read without waiting."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shoal.remotes.localcontent import read_file_at_once

DATA = bytes(range(200))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize("offset", [0, 1, 199, 200, 300])
def test_a_small_file(file: Path, offset: int) -> None:
    assert read_file_at_once(str(file), offset, 200) == DATA[offset:]


def test_a_file_that_is_too_large(file: Path) -> None:
    assert read_file_at_once(str(file), 0, 199) is None
    assert read_file_at_once(str(file), 1, 199) == DATA[1:]


def test_a_file_that_would_have_to_be_waited_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def preadv(fd: int, buffers: list[bytearray], offset: int, flags: int) -> int:
        assert flags == os.RWF_NOWAIT
        raise BlockingIOError(errno.EAGAIN, "not in memory")

    monkeypatch.setattr(os, "preadv", preadv)
    assert read_file_at_once(str(file), 0, 200) is None


def test_a_file_of_which_only_a_part_is_in_memory(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, offset, flags: 100)
    assert read_file_at_once(str(file), 0, 200) is None


def test_a_file_system_that_cannot_tell_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def preadv(fd: int, buffers: list[bytearray], offset: int, flags: int) -> int:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "preadv", preadv)
    assert read_file_at_once(str(file), 5, 200) == DATA[5:]


def test_a_disk_that_fails_is_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def preadv(fd: int, buffers: list[bytearray], offset: int, flags: int) -> int:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "preadv", preadv)
    with pytest.raises(OSError, match="input/output"):
        read_file_at_once(str(file), 0, 200)


def test_a_file_that_changes_meanwhile(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def preadv(fd: int, buffers: list[bytearray], offset: int, flags: int) -> int:
        buffers[0][:] = os.pread(fd, len(DATA), offset)
        os.utime(file, (1, 1))
        return len(DATA)

    monkeypatch.setattr(os, "preadv", preadv)
    assert read_file_at_once(str(file), 0, 200) is None


def test_a_pipe_is_no_content(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read_file_at_once(str(tmp_path / "pipe"), 0, 200) is None
