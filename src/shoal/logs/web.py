"""The URL log of a key (`.log.web`): where its content can be downloaded.

A URL may have a prefix that says who downloads it: `:` another special remote than the web,
`yt:` (formerly `quvi:`) yt-dlp.
"""

from __future__ import annotations

from enum import Enum

from shoal.logs import presence
from shoal.logs.presence import Status
from shoal.values.clock import Clock
from shoal.values.key import Key
from shoal.values.keypath import hash_dir_lower, key_file, log_path
from shoal.values.uuid import UUID

SUFFIX = ".log.web"
WEB_UUID = UUID("00000000-0000-0000-0000-000000000001")


class Downloader(Enum):
    """Who downloads a URL; the value is its prefix in the log."""

    WEB = b""
    YOUTUBE = b"yt:"
    OTHER = b":"


def path(key: Key, levels: int = 2) -> str:
    """Give the path of the key's URL log."""
    return log_path(key, SUFFIX, levels)


def old_paths(key: Key, levels: int = 2) -> list[str]:
    """Give the paths that very old versions wrote; read when the log at `path` has no URL."""
    directory = f"remote/web/{hash_dir_lower(key, levels)}"
    return [f"{directory}{key}.log", f"{directory}{key_file(key)}.log"]


def parse(log: bytes) -> list[bytes]:
    """Give the present URLs with their prefixes, sorted."""
    return presence.present(log)


def split_downloader(logged: bytes) -> tuple[bytes, Downloader]:
    """Give the URL without its prefix, and who downloads it."""
    prefix, colon, url = logged.partition(b":")
    if colon and not prefix:
        return url, Downloader.OTHER
    if colon and prefix in {b"yt", b"quvi"}:
        return url, Downloader.YOUTUBE
    return logged, Downloader.WEB


def is_web(logged: bytes) -> bool:
    """Tell whether the URL makes the web special remote have the key."""
    return split_downloader(logged)[1] is not Downloader.OTHER


def add(log: bytes, logged: bytes, now: Clock) -> bytes | None:
    """Add a URL (with its prefix); None when it is there already.

    When it `is_web`, the location log must say that WEB_UUID has the key.
    Raises ValueError when the URL is not a single line.
    """
    if b"\n" in logged or b"\r" in logged:
        raise ValueError("a URL is a single line")
    if logged in parse(log):
        return None
    return presence.add(log, logged, Status.PRESENT, now)


def remove(log: bytes, logged: bytes, now: Clock) -> bytes | None:
    """Take a URL away; None when it is not there.

    When it `is_web` and none of the URLs that stay are, the location log must say that
    WEB_UUID does not have the key any more.
    """
    if logged not in parse(log):
        return None
    return presence.add(log, logged, Status.MISSING, now)
