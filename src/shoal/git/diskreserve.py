"""Keeping `annex.diskreserve` free: no content is received that would use it.

What other downloads have still to write counts as used.
Source: on-disk behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING

from shoal.errors import NotEnoughSpace
from shoal.git.transfers import TransferLog
from shoal.values.key import Key

if TYPE_CHECKING:
    from shoal.git.repository import Repository

DEFAULT_RESERVE = 100_000_000  # bytes
_SMALL = 1 << 20  # bytes
_PLENTY = 1 << 30  # bytes: more than a disk takes while a look at it holds
_LOOK_HOLDS = 0.05  # seconds


def parse_reserve(value: str | None) -> int:
    """Read annex.diskreserve, in bytes; what is no size means the default."""
    if value is None:
        return DEFAULT_RESERVE
    from shoal.values.size import parse_size

    try:
        return parse_size(value)
    except ValueError:
        return DEFAULT_RESERVE


def reserve_of(repository: Repository) -> int | None:
    """Give the bytes that must stay free by what is configured now; None: nobody looks."""
    if not repository.keeps_reserve:
        return None
    return parse_reserve(repository.config.get("annex.diskreserve"))


def free_bytes(directory: str | int) -> int:
    """Give how many bytes a user may still write to the file system of `directory`, or of an
    open file."""
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def check_reserve(
    key: Key, annex_dir: str, reserve: int, transfers: TransferLog, *, here_already: int = 0
) -> None:
    """Raise NotEnoughSpace when receiving `key` would touch the reserve.

    `here_already` are bytes of it that are in a temporary file. A key of unknown size needs
    one byte. When there was plenty of room a moment ago, small keys need no look.
    """
    is_small = key.size is not None and key.size <= _SMALL
    plenty_until, of_reserve = transfers.plenty
    if is_small and monotonic() < plenty_until and reserve <= of_reserve:
        return
    needed = (1 if key.size is None else key.size) + reserve - here_already
    free = free_bytes(annex_dir)
    spare = free - needed
    if spare >= 0:
        spare -= transfers.most_to_come(key)
    if spare >= 0:
        if spare > _PLENTY:
            transfers.plenty = (monotonic() + _LOOK_HOLDS, reserve)
        return
    # Looked at first, what came since then is free space that is used twice, never not at all.
    to_come = transfers.bytes_to_come(key)
    missing = needed + to_come - free_bytes(annex_dir)
    if missing > 0:
        from shoal.values.humansize import rough_size

        raise NotEnoughSpace(
            f"not enough free space, need {rough_size(missing, decimals=2)} more",
            hint="use --force to override this check or adjust annex.diskreserve",
        )
