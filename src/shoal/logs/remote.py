"""`remote.log`: the configuration of special remotes, shared with all repositories.

    UUID SP k=v SP k=v … SP timestamp=CLOCK

In values, white space and `&` are written as `&DEC;` (the character's number). Keys are sorted
and unknown ones kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from shoal.logs.uuidlog import UuidLog
from shoal.values.clock import Clock
from shoal.values.uuid import UUID

PATH = "remote.log"

RemoteConfig = dict[str, str]
"""A special remote's configuration: names to values."""

_ESCAPED = re.compile(r"&([0-9]+);")
_TO_ESCAPE = re.compile(r"[\s&]")


def _read(text: bytes) -> RemoteConfig:
    config = {}
    for word in text.decode("utf-8", "surrogateescape").split():
        key, _, value = word.partition("=")
        config[key] = _ESCAPED.sub(lambda found: chr(int(found[1])), value)
    return config


def _write(config: Mapping[str, str]) -> bytes:
    words = [
        f"{key}={_TO_ESCAPE.sub(lambda found: f'&{ord(found[0])};', config[key])}"
        for key in sorted(config)
    ]
    return " ".join(words).encode("utf-8", "surrogateescape")


LOG: UuidLog[RemoteConfig] = UuidLog(_read, _write)


def parse(log: bytes) -> dict[UUID, RemoteConfig]:
    """Give the configuration of each special remote, as it is written."""
    return LOG.values(log)


def change(log: bytes, uuid: UUID, config: Mapping[str, str], now: Clock) -> bytes:
    """Set the whole configuration of a special remote."""
    return LOG.change(log, uuid, dict(config), now)
