"""Which file systems are this machine's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.git.mounts import is_on_local_disk

MOUNTS = """\
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 27 0:27 / /srv rw - nfs4 server:/srv rw
31 30 8:1 / /srv/disk rw master:2 - xfs /dev/sda1 rw
32 27 0:30 / /media/my\\040disk rw - fuse.sshfs host: rw
33 27 0:31 / /twice rw - tmpfs none rw
34 33 0:32 / /twice rw - fuse none rw
"""


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("/", True),
        ("/home/annex", True),
        ("/srv", False),
        ("/srv/annex", False),
        ("/srvx", True),
        ("/srv/disk/annex", True),
        ("/media/my disk/annex", False),
        ("/media/my", True),
        ("/twice/a", False),
    ],
)
def test_the_file_system_of_a_path(tmp_path: Path, path: str, local: bool) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert is_on_local_disk(path, str(mounts)) is local


def test_links_are_followed(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    (tmp_path / "far").mkdir()
    mounts.write_text(f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {tmp_path}/far rw - cifs x rw\n")
    (tmp_path / "link").symlink_to("far")
    assert is_on_local_disk(str(tmp_path / "link" / "file"), str(mounts)) is False


def test_an_unknown_system_is_not_local(tmp_path: Path) -> None:
    assert is_on_local_disk("/", str(tmp_path / "none")) is False


def test_what_the_kernel_says_can_be_read() -> None:
    assert is_on_local_disk("/proc") is False
