"""Transfers under way in a repository, whichever process runs them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.git.transfers import TransferInfo
from shoal.values.keypath import parse_key_file
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shoal.git.repository import Repository
    from shoal.values.key import Key

_LOCK = "lck."


@dataclass(frozen=True, slots=True)
class Running:
    """A transfer under way with the repository `other`; `file` is "" when none is known."""

    upload: bool
    other: UUID
    key: Key
    file: str


def running_transfers(repository: Repository) -> list[Running]:
    """Give the transfers that a living process holds the lock of: uploads first, by file."""
    found = [*_in_direction(repository, "upload"), *_in_direction(repository, "download")]
    return sorted(found, key=lambda one: (not one.upload, not one.file, one.file, bytes(one.key)))


def _in_direction(repository: Repository, direction: str) -> Iterator[Running]:
    top = repository.annex_path("transfer", direction)
    for other in _names(top):
        for name in _names(os.path.join(top, other)):
            if other == "lck" or name.startswith(_LOCK):
                continue
            locks = [os.path.join(top, other, _LOCK + name)]
            if direction == "download":
                locks.append(os.path.join(top, "lck", _LOCK + name))
            if any(map(repository.locker.is_locked_exclusively, locks)):
                yield from _read(os.path.join(top, other, name), direction, UUID(other))


def _read(path: str, direction: str, other: UUID) -> Iterator[Running]:
    with suppress(FileNotFoundError, ValueError), open(path, "rb") as file:
        key = parse_key_file(os.fsencode(os.path.basename(path)))
        info = TransferInfo.parse(file.read(1 << 16))
        yield Running(direction == "upload", other, key, info.file)


def _names(directory: str) -> list[str]:
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(os.listdir(directory))
    return []
