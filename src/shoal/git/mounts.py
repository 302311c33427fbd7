"""On what kind of file system a path is.

A file system of this machine answers in a moment: most often from memory. One behind a
network, or one that is another program (FUSE), can keep whoever asks waiting for ever.
"""

from __future__ import annotations

import os
import re
from typing import Final

_LOCAL: Final = frozenset(
    {
        "bcachefs",
        "btrfs",
        "exfat",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "hfsplus",
        "jfs",
        "msdos",
        "nilfs2",
        "ntfs3",
        "overlay",
        "ramfs",
        "reiserfs",
        "tmpfs",
        "ubifs",
        "ufs",
        "vfat",
        "xfs",
        "zfs",
    }
)
_MOUNTS: Final = "/proc/self/mountinfo"
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def is_on_local_disk(path: str, mounts: str = _MOUNTS) -> bool:
    """Tell whether `path` is on a file system of this machine; False when that is not known.

    `mounts` is the kernel's list of what is mounted where (proc(5)).
    """
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return False
    path = os.path.realpath(path)
    longest, kind = "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), before.split(" ")[4])
        if len(point) >= len(longest) and _is_below(path, point):  # of two, the last one counts
            longest, kind = point, after.split(" ")[0]
    return kind in _LOCAL


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")
