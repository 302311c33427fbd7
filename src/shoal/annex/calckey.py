"""The key that a file's content would get."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.values.backend import hash_name, hasher, key_for
from shoal.values.extension import MAX_LENGTH, MAX_NUMBER, select_extension
from shoal.values.key import has_extension
from shoal.values.keynames import worm_key

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.key import Key

DEFAULT_BACKEND = "SHA256E"
_PIECE = 1 << 20


class CannotMakeKey(ShoalError):
    """A file or backend that no key can be made with."""


def key_of_file(repository: Repository, path: str, backend: str | None = None) -> Key:
    """Give the key of the content at `path` (from the current directory; symlinks are followed).

    `backend` is by default what the repository is configured to use. Raises CannotMakeKey.
    """
    name = backend or default_backend(repository)
    raw = os.fsencode(name)
    if raw != b"WORM" and hash_name(raw) is None:
        raise CannotMakeKey(f"cannot make a key with the backend {name}")
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise CannotMakeKey(f"{path} is not a file")
        if raw == b"WORM":
            return worm_key(_from_top(repository, path), found.st_size, int(found.st_mtime))
        checksum, size = _hash(path, raw)
    except OSError as error:
        raise CannotMakeKey(f"{path}: {error.strerror}") from error
    return key_for(raw, checksum, size, extension_for(repository, path, raw))


def extension_for(repository: Repository, path: str, backend: bytes) -> bytes:
    """Give the extension that the key of a file has in `backend`, b"" for none."""
    if not has_extension(backend):
        return b""
    config = repository.config
    return select_extension(
        os.fsencode(path),
        config.get_int("annex.maxextensionlength", MAX_LENGTH),
        config.get_int("annex.maxextensions", MAX_NUMBER),
    )


def default_backend(repository: Repository) -> str:
    """Give the backend that the repository is configured to use."""
    config = repository.config
    configured = config.get("annex.backend") or config.get("annex.backends") or ""
    return (configured.split() or [DEFAULT_BACKEND])[0]


def _hash(path: str, backend: bytes) -> tuple[str, int]:
    hashing, size = hasher(backend), 0
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            hashing.update(piece)
            size += len(piece)
    return hashing.hexdigest(), size


def _from_top(repository: Repository, path: str) -> bytes:
    full = os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path))
    return os.fsencode(os.path.relpath(full, os.path.realpath(repository.path)))
