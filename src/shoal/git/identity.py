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
        objects_dir = f"{repository.annex_dir}/objects"
        objects = os.stat(objects_dir).st_dev if os.path.lexists(objects_dir) else git.st_dev
    except OSError:
        return None
    return git.st_dev, git.st_ino, objects
