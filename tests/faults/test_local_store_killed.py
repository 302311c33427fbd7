"""kill -9 in the middle of a store or of a removal, before each single change of the disk."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from shoal.git.repository import Repository
from shoal.logs.presence import Status
from tests.support.annexrepo import HERE, key_of, make_annex
from tests.support.killed_store import CONTENT, run

KEY = key_of(CONTENT)
_TOP = Path(__file__).parent.parent.parent


def _run(path: Path, fuse: int, *words: str) -> bool:
    """Run the process; tell whether it came to its end."""
    command = [sys.executable, "-m", "tests.support.killed_store", str(path), HERE, str(fuse)]
    done = subprocess.run([*command, *words], cwd=_TOP, capture_output=True, check=False)
    if done.stdout == b"done\n":
        return True
    assert done.returncode == -9, done.stderr.decode()
    return False


def _check(repository: Repository) -> bool:
    """Check what must hold at any time; tell whether the content is there."""
    path = repository.objects.path(KEY)
    if path is not None:
        assert Path(path).read_bytes() == CONTENT
    repository.refresh()
    logged = repository.logs.location_log(KEY).get(repository.uuid)
    if logged is Status.PRESENT:
        assert path is not None, "the log claims what is not there"
    return path is not None


@pytest.mark.parametrize(
    ("bare", "how"), [(True, "store"), (False, "store"), (False, "whole"), (True, "at-once")]
)
def test_a_killed_store_is_repeated(tmp_path: Path, bare: bool, how: str) -> None:
    """Wherever it died: no bad object, no false log, and the next attempt works."""
    fuse = 0
    finished = False
    while not finished:
        fuse += 1
        path = tmp_path / f"repo{fuse}"
        with make_annex(path, bare=bare) as repository:
            finished = _run(path, fuse, how)
            _check(repository)
            if not finished:
                asyncio.run(run(str(path), HERE, None, how))
            assert _check(repository)
            repository.refresh()
            stored = repository.objects.path(KEY)
            assert stored is not None
            logged = repository.logs.location_log(KEY).get(HERE)
            # Content that is there without a log is the safe direction: fsck mends it.
            assert logged is Status.PRESENT or not finished
            assert not Path(repository.objects.temp_path(KEY)).exists()
            with repository.objects.lock_removal(KEY) as lock:
                lock.remove()
            assert list(Path(repository.annex_path("objects")).iterdir()) == []
    assert fuse > 15  # there were as many places to die at


def test_a_killed_removal_is_repeated(tmp_path: Path) -> None:
    """Wherever it died: the log may say less than there is, never more for long."""
    fuse = 0
    finished = False
    while not finished:
        fuse += 1
        path = tmp_path / f"repo{fuse}"
        with make_annex(path) as repository:
            source = Path(repository.annex_path("incoming"))
            source.write_bytes(CONTENT)
            repository.objects.place(KEY, str(source))
            repository.logs.set_location(KEY, HERE, True)
            finished = _run(path, fuse, "remove")
            path_now = repository.objects.path(KEY)
            assert path_now is None or Path(path_now).read_bytes() == CONTENT
            if not finished:
                asyncio.run(run(str(path), HERE, None, "remove"))
            repository.refresh()
            assert repository.objects.path(KEY) is None
            assert repository.logs.location_log(KEY) == {HERE: Status.MISSING}
            objects = Path(repository.annex_path("objects"))
            assert not [found for found in objects.rglob("*") if found.is_file()] or not finished
    assert fuse > 5
