"""A disk that is full, and one that goes away: a small file system, made for the test where the
user may mount one, else played by the functions of `os` that would meet it."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.errors import NotEnoughSpace, RemoteUnavailable
from shoal.remotes.local import LocalRemote
from shoal.values.key import Key
from tests.support.annexrepo import HERE, key_of, make_annex
from tests.support.localnode import CALLER
from tests.support.loop import in_loop
from tests.support.memory_remote import content_from
from tests.unit.remotes.contract import begin, put, read

_SIZE = 4 << 20  # bytes


class SmallDisk:
    """A file system of 4 MiB at `place`."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
        self._mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        if not self._mounted:
            self._play(monkeypatch)

    def _play(self, monkeypatch: pytest.MonkeyPatch) -> None:
        statvfs, writev = os.statvfs, os.writev

        def small(path: str) -> os.statvfs_result:
            found = list(statvfs(path))
            found[4] = _SIZE // found[1]  # blocks available, of this size
            return os.statvfs_result(found)

        def full(fd: int, buffers: list[memoryview]) -> int:
            if os.lseek(fd, 0, os.SEEK_CUR) + sum(map(len, buffers)) > _SIZE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return writev(fd, buffers)

        monkeypatch.setattr(os, "statvfs", small)
        monkeypatch.setattr(os, "writev", full)

    def take_away(self) -> None:
        """Unmount it: the mount point stays, empty."""
        if self._mounted:
            self._mounted = False
            subprocess.run(["umount", "--lazy", str(self.place)], check=True)
        elif any(self.place.iterdir()):
            self.place.rename(self.place.with_name("away"))
            self.place.mkdir()


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallDisk]:
    small = SmallDisk(tmp_path / "disk", monkeypatch)
    yield small
    small.take_away()


@in_loop
async def test_a_full_disk_keeps_what_it_has(disk: SmallDisk) -> None:
    """A store that does not fit fails with the reason; the others stay readable."""
    path = disk.place / "repo"
    make_annex(path, bare=True, config={"annex.diskreserve": "0"}).close()
    remote = LocalRemote(str(path), HERE)
    small = await put(remote, b"small")
    data = b"x" * 2 * _SIZE
    key = key_of(data, b"SHA256", b"")
    with pytest.raises(NotEnoughSpace):
        await remote.begin_store(key, caller=CALLER)
    unsized = Key(key.backend, key.name)  # its size is not known beforehand
    with pytest.raises(NotEnoughSpace):
        async with await begin(remote, unsized) as upload:
            await upload.store(content_from(data, chunk=1 << 20))
    assert not await remote.check_present(unsized)
    assert await read(remote, small) == b"small"
    (path / "annex" / "tmp" / str(unsized)).unlink()
    await put(remote, b"another")
    await remote.aclose()


@in_loop
async def test_a_disk_that_is_unmounted_is_away(disk: SmallDisk) -> None:
    """Its mount point stays empty, and nothing is known of what it holds."""
    path = disk.place / "repo"
    make_annex(path, bare=True, config={"annex.diskreserve": "0"}).close()
    remote = LocalRemote(str(path), HERE)
    key = await put(remote, b"content")
    disk.take_away()
    for asked in (key, key_of(b"other")):
        with pytest.raises(RemoteUnavailable):
            await remote.check_present(asked)
        with pytest.raises(RemoteUnavailable):
            await remote.remove(asked, caller=CALLER)
        with pytest.raises(RemoteUnavailable):
            await remote.begin_store(asked, caller=CALLER)
    assert list(disk.place.iterdir()) == []
    await remote.aclose()
