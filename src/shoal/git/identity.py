"""Telling a repository from what is in its place when its disk has gone away."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.git.repository import Repository

Identity = tuple[int, int, int]
"""Device and inode of the git directory, device of the objects."""


def identity_of(repository: Repository) -> Identity | None:
    """Give what tells this repository from whatever may be in its place later.

    Objects on a disk of their own count too. Raises nothing: None is "not there", or a link to
    objects that are not there.
    """
    try:
        git = os.stat(repository.common_dir)
        os.stat(f"{repository.common_dir}/config")
        objects = _device(f"{repository.annex_dir}/objects")
    except OSError:
        return None
    return git.st_dev, git.st_ino, git.st_dev if objects is None else objects


def _device(path: str) -> int | None:
    """Give the device of a directory; None when there is none. Raises OSError for a link to what
    is not there."""
    try:
        return os.stat(path).st_dev
    except FileNotFoundError:
        if os.path.islink(path):
            raise
        return None
