"""The key that a file's content would get."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.git.keymaking import can_make_keys, default_backend, make_key

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.key import Key


class CannotMakeKey(ShoalError):
    """A file or backend that no key can be made with."""


def key_of_file(repository: Repository, path: str, backend: str | None = None) -> Key:
    """Give the key of the content at `path` (from the current directory; symlinks are followed).

    `backend` is by default what the repository is configured to use. Raises CannotMakeKey.
    """
    raw = default_backend(repository.config) if backend is None else os.fsencode(backend)
    if not can_make_keys(raw):
        raise CannotMakeKey(f"cannot make a key with the backend {os.fsdecode(raw)}")
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise CannotMakeKey(f"{path} is not a file")
        with open(path, "rb", buffering=0) as file:
            return make_key(repository.config, file.fileno(), _from_top(repository, path), raw)
    except OSError as error:
        raise CannotMakeKey(f"{path}: {error.strerror}") from error


def _from_top(repository: Repository, path: str) -> str:
    full = os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path))
    return os.path.relpath(full, os.path.realpath(repository.path))
