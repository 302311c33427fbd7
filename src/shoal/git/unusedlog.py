"""ANNEX/unused: what the last `git annex unused` found, numbered.

    line = NUMBER SP KEY SP CLOCK

A line that does not parse is skipped, as git-annex 10.20261026 does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shoal.values.key import Key

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_LINE = re.compile(rb"^[0-9]+ (.+) [0-9]+(?:\.[0-9]+)?s?$", re.MULTILINE)


def unused_keys(repository: Repository) -> list[Key]:
    """Give the keys, in the order in which git-annex works on them: by name."""
    try:
        with open(repository.annex_path("unused"), "rb") as file:
            found = {key for text in _LINE.findall(file.read()) if (key := _key(text)) is not None}
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda key: (key.name, key.backend, key.size or 0, bytes(key)))


def _key(text: bytes) -> Key | None:
    try:
        return Key.parse(text)
    except ValueError:
        return None
