"""What there is to know of a key from its name alone, as texts for formats and JSON."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shoal.git.pointers import format_pointer
from shoal.values.backend import hash_name
from shoal.values.humansize import rough_size
from shoal.values.key import Key, has_extension
from shoal.values.keypath import hash_dir_lower, hash_dir_mixed

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_UNKNOWN = "unknown"


def key_fields(key: Key) -> dict[str, str]:
    """Give the fields that `find` and `examinekey` show."""
    return {
        "key": str(key),
        "backend": os.fsdecode(key.backend),
        "bytesize": _UNKNOWN if key.size is None else str(key.size),
        "humansize": _UNKNOWN if key.size is None else rough_size(key.size),
        "keyname": os.fsdecode(key.name),
        "hashdirlower": hash_dir_lower(key),
        "hashdirmixed": hash_dir_mixed(key),
        "mtime": _UNKNOWN if key.mtime is None else str(key.mtime),
    }


def object_fields(repository: Repository, key: Key) -> dict[str, str]:
    """Give the fields that only `examinekey` has: where its object is, or would be."""
    return {
        "objectpath": os.path.relpath(repository.objects.location(key)),
        "objectpointer": os.fsdecode(format_pointer(key)),
    }


def migrated(repository: Repository, key: Key, backend: str, file: str | None) -> Key:
    """Give the key of the same content in another backend, where its name alone says that.

    That is between a hash and the same hash with extensions. Else the key itself is given.
    """
    from shoal.git.keymaking import extension_for

    target = os.fsencode(backend)
    if target == key.backend or hash_name(key.backend) != hash_name(target):
        return key
    checksum, dot, extension = key.name.partition(b".")
    if has_extension(target):
        if file is None:
            return key
        name = checksum + extension_for(repository.config, file, target)
    else:
        name = checksum if dot or extension else key.name
    return Key(target, name, key.size, key.mtime)
