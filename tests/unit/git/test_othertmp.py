"""Temporary files, and others who delete them."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from shoal.git.locks import Locker
from shoal.git.othertmp import OtherTmp
from shoal.git.permissions import Permissions
from tests.support.annexrepo import descriptors


@pytest.fixture
def annex(tmp_path: Path) -> Path:
    (tmp_path / "HEAD").touch()
    (tmp_path / "annex").mkdir()
    return tmp_path / "annex"


@pytest.fixture
def tmp(annex: Path) -> OtherTmp:
    return OtherTmp(str(annex), Locker(), Permissions())


def test_a_file_is_replaced(tmp: OtherTmp, annex: Path) -> None:
    """New or not, and nothing is left over."""
    target = annex / "file"
    for content in (b"one", b"", b"three" * 1000):
        tmp.replace(str(target), content)
        assert target.read_bytes() == content
    assert os.listdir(annex / "othertmp") == []


def test_replacing_waits_for_nobody(tmp: OtherTmp, annex: Path) -> None:
    """The one who cleans up may be waiting for a lock that the caller holds."""
    with Locker().exclusive(str(annex / "othertmp.lck")):
        tmp.replace(str(annex / "file"), b"content")
    assert (annex / "file").read_bytes() == b"content"


def test_what_others_delete_is_written_again(tmp: OtherTmp, annex: Path) -> None:
    """However often they do it, the file is whole or as before."""
    stop = threading.Event()

    def clean() -> None:
        while not stop.is_set():
            shutil.rmtree(annex / "othertmp", ignore_errors=True)

    cleaner = threading.Thread(target=clean)
    cleaner.start()
    try:
        for number in range(50):
            tmp.replace(str(annex / "file"), b"%d" % number)
            assert (annex / "file").read_bytes() == b"%d" % number
    finally:
        stop.set()
        cleaner.join()


def test_a_missing_target_directory_is_an_error(tmp: OtherTmp, annex: Path) -> None:
    """And leaves nothing."""
    before = descriptors()
    with pytest.raises(FileNotFoundError):
        tmp.replace(str(annex / "missing" / "file"), b"x")
    assert not (annex / "othertmp").exists()
    assert descriptors() == before


def test_a_file_in_use_is_not_swept(tmp: OtherTmp, annex: Path) -> None:
    """Sweeping takes what nobody uses."""
    with tmp.file("name") as path:
        Path(path).touch()
        tmp.sweep()
        assert os.path.exists(path)
    assert not os.path.exists(path)
    (annex / "othertmp" / "left").touch()
    (annex / "othertmp" / "directory" / "below").mkdir(parents=True)
    tmp.sweep()
    assert os.listdir(annex / "othertmp") == []
