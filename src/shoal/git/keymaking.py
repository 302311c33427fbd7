"""Making the key of a file's content, as the repository is configured."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from shoal.errors import ConfigError
from shoal.values.backend import DEFAULT_BACKEND, hash_name, hasher, key_for
from shoal.values.extension import MAX_LENGTH, MAX_NUMBER, select_extension
from shoal.values.key import has_extension
from shoal.values.keynames import worm_key

if TYPE_CHECKING:
    from shoal.git.config import GitConfig
    from shoal.values.key import Key

_PIECE: Final = 1 << 20


def default_backend(config: GitConfig) -> bytes:
    """Give the backend for new keys: annex.backend, else the first of annex.backends."""
    configured = config.get("annex.backend") or config.get("annex.backends") or ""
    words = os.fsencode(configured).split()
    return words[0] if words else DEFAULT_BACKEND


def can_make_keys(backend: bytes) -> bool:
    """Tell whether a file's content is enough to make a key of `backend`."""
    return backend == b"WORM" or hash_name(backend) is not None


def extension_for(config: GitConfig, path: str, backend: bytes) -> bytes:
    """Give the extension that the key of the file `path` has in `backend`, b"" for none."""
    if not has_extension(backend):
        return b""
    return select_extension(
        os.fsencode(path),
        config.get_int("annex.maxextensionlength", MAX_LENGTH),
        config.get_int("annex.maxextensions", MAX_NUMBER),
    )


def make_key(
    config: GitConfig,
    file: int,
    path: str,
    backend: bytes,
    progress: Callable[[int], None] | None = None,
) -> Key:
    """Give the key of an open file's content; `path` is its name from the work tree's top.

    `progress` is told how many bytes were read. Raises ConfigError for a backend that makes
    no keys from contents.
    """
    if not can_make_keys(backend):
        name = backend.decode("utf-8", "replace")
        raise ConfigError(f"cannot make a key with the backend {name}")
    if backend == b"WORM":
        status = os.fstat(file)
        return worm_key(os.fsencode(path), status.st_size, int(status.st_mtime))
    hashing, size = hasher(backend), 0
    view = memoryview(bytearray(_PIECE))
    while count := os.preadv(file, [view], size):
        hashing.update(view[:count])
        size += count
        if progress is not None:
            progress(size)
    extension = extension_for(config, path, backend)
    return key_for(backend, hashing.hexdigest(), size, extension)
