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
from shoal.values.text import SPACE, to_bytes, to_text, words
from shoal.values.uuid import UUID

PATH = "remote.log"

RemoteConfig = dict[str, str]
"""A special remote's configuration: names to values."""

SAMEAS_UUID = "sameas-uuid"
SAMEAS_NAME = "sameas-name"
SAMEAS_INHERITED = frozenset(
    {"encryption", "mac", "cipher", "cipherkeys", "pubkeys", "chunksize", "chunk"}
)
"""What a remote that is the same as another takes from that one's configuration."""

_ESCAPED = re.compile("&([0-9]+);")
_TO_ESCAPE = re.compile(f"[{SPACE}&]")


def _read(text: bytes) -> RemoteConfig:
    config = {}
    for word in words(to_text(text)):
        key, _, value = word.partition("=")
        config[key] = _ESCAPED.sub(_unescape, value)
    return config


def _unescape(found: re.Match[str]) -> str:
    """Give the character; an impossible one stays as it is (the real program crashes)."""
    try:
        character = chr(int(found[1]))
        to_bytes(character)
    except (OverflowError, ValueError):
        return found[0]
    return character


def _escape(value: str) -> str:
    return _TO_ESCAPE.sub(lambda found: f"&{ord(found[0])};", value)


def _write(config: Mapping[str, str]) -> bytes:
    return to_bytes(" ".join(f"{key}={_escape(config[key])}" for key in sorted(config)))


LOG: UuidLog[RemoteConfig] = UuidLog(_read, _write)


def parse(log: bytes) -> dict[UUID, RemoteConfig]:
    """Give the configuration of each special remote, as it is written there.

    The UUID is that of the configuration; see `effective` for remotes that are the same as
    another.
    """
    return LOG.values(log)


def effective(configs: Mapping[UUID, RemoteConfig]) -> dict[UUID, RemoteConfig]:
    """Give each configuration with what it inherits from the remote that it is the same as."""
    found = {}
    for uuid, config in configs.items():
        parent = configs.get(UUID(config.get(SAMEAS_UUID, "")))
        if parent is None:
            found[uuid] = config
        else:
            inherited = {key: parent[key] for key in SAMEAS_INHERITED & parent.keys()}
            found[uuid] = {**_own(config), **inherited}
    return found


def _own(config: Mapping[str, str]) -> RemoteConfig:
    return {key: value for key, value in config.items() if key not in SAMEAS_INHERITED}


def name_of(config: Mapping[str, str]) -> str | None:
    """Give the name that the special remote was set up with."""
    return config.get("name") or config.get(SAMEAS_NAME)


def change(log: bytes, uuid: UUID, config: Mapping[str, str], now: Clock) -> bytes:
    """Set the whole configuration of a special remote; what is inherited is not written.

    Raises ValueError for a name that has white space or `=`: it could not be read back.
    """
    for key in config:
        if "=" in key or words(key) not in ([key], []):
            raise ValueError(f"not a name for a remote's setting: {key!r}")
    return LOG.change(log, uuid, _own(config) if SAMEAS_UUID in config else dict(config), now)
