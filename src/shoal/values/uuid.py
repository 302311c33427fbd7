"""UUIDs of repositories and of clusters.

A repository's UUID is any word without white space; git-annex makes random version 4 ones.
It is kept as text decoded with `surrogateescape`, so that any bytes survive a round trip.
A cluster's UUID says by its form that it is one, so that no repository can pose as a cluster
(source: git-annex design page "passthrough proxy"; checked against git-annex 10.20261026).
"""

from __future__ import annotations

from typing import NewType

UUID = NewType("UUID", str)

_VERSION_NIBBLE = 14  # index of the version digit in the text form


def parse_uuid(text: bytes | str) -> UUID:
    """Give the UUID in `text`. Raises ValueError when it is empty or has white space."""
    word = text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
    if word.split() != [word]:
        raise ValueError(f"not a repository UUID: {word!r}")
    return UUID(word)


def uuid_bytes(uuid: UUID) -> bytes:
    """Give the bytes that stand for `uuid` on disk and on the wire."""
    return uuid.encode("utf-8", "surrogateescape")


def is_cluster_uuid(uuid: str) -> bool:
    """Tell whether `uuid` is a cluster's: `ac` first and version 8. Nothing else is looked at."""
    return uuid[:2] == "ac" and uuid[_VERSION_NIBBLE : _VERSION_NIBBLE + 1] == "8"


def cluster_uuid_from(random_uuid: str) -> UUID:
    """Make a cluster UUID out of a random version 4 UUID in text form."""
    if len(random_uuid) != 36:
        raise ValueError(f"not a UUID in text form: {random_uuid!r}")
    return UUID("ac" + random_uuid[2:_VERSION_NIBBLE] + "8" + random_uuid[_VERSION_NIBBLE + 1 :])
