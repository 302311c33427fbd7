"""Finding the repositories below some directories, again and again, at little cost.

A directory is a repository when it has a `.git`, or is a bare one. What is inside of a
repository is not looked at, and neither is what a symbolic link to a directory leads to; a
link to a repository counts (as with git-annex 10.20261026). Only repositories whose
configuration changed since the last look are asked for their UUID.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from shoal.git.process import Git
from shoal.values.uuid import UUID, parse_uuid

_MARKS_OF_A_GATEWAY = (b"proxy", b"cluster", b"include")


@dataclass(frozen=True, slots=True)
class Found:
    """A repository with a UUID. `may_serve_others` is False when its own configuration file
    rules out that it is a gateway."""

    path: str
    uuid: UUID
    may_serve_others: bool
    below: str = ""  # the path below the directory that was looked through


@dataclass(frozen=True, slots=True)
class _Look:
    """What a configuration file said, and how it looked then."""

    signature: tuple[int, int, int, int]
    found: Found | None


class Finder:
    """Looks for repositories below `tops`. Blocking; not for two threads at once."""

    def __init__(self, tops: tuple[str, ...]) -> None:
        self._tops = tops
        self._seen: dict[str, _Look] = {}  # by path

    def look(self) -> list[Found]:
        """Give all repositories that are there now and are initialised for git-annex.

        A directory that cannot be read counts as empty. Raises OSError for one of the tops.
        """
        seen: dict[str, _Look] = {}
        for top in self._tops:
            os.listdir(top)
            for path in _repositories_below(top):
                look = self._look_at(path, top)
                if look is not None:
                    seen[path] = look
        self._seen = seen
        return [look.found for look in seen.values() if look.found is not None]

    def _look_at(self, path: str, top: str) -> _Look | None:
        config = _config_file(path)
        try:
            status = os.stat(config)
            signature = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            known = self._seen.get(path)
            if known is not None and known.signature == signature:
                return known
            with open(config, "rb") as file:
                text = file.read().lower()
        except OSError:
            return None
        below = os.path.relpath(path, top)
        return _Look(signature, _read(path, config, text, "" if below == "." else below))


def _read(path: str, config: str, text: bytes, below: str) -> Found | None:
    if b"uuid" not in text:
        return None
    status, out, _ = Git(None).ask("config", "--file", config, "annex.uuid")
    try:
        uuid = parse_uuid(out.rstrip(b"\n")) if status == 0 else None
    except ValueError:
        uuid = None
    if uuid is None:
        return None
    return Found(path, uuid, any(mark in text for mark in _MARKS_OF_A_GATEWAY), below)


def _repositories_below(top: str) -> Iterator[str]:
    if is_repository(top):
        yield top
        return
    waiting = [top]
    while waiting:
        try:
            entries = sorted(os.scandir(waiting.pop()), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if not os.path.isdir(entry.path):
                continue
            if is_repository(entry.path):
                yield entry.path
            elif not entry.is_symlink():
                waiting.append(entry.path)


def is_repository(path: str) -> bool:
    """Tell whether there is a git repository at `path`, bare or not."""
    if os.path.exists(os.path.join(path, ".git")):
        return True
    parts = ("HEAD", "config", "objects", "refs")
    return all(os.path.exists(os.path.join(path, part)) for part in parts)


def _config_file(path: str) -> str:
    """Give the configuration file of a repository, also of one whose `.git` is a file."""
    marker = os.path.join(path, ".git")
    if not os.path.exists(marker):
        return os.path.join(path, "config")
    if os.path.isdir(marker):
        return os.path.join(marker, "config")
    git_dir = os.path.join(path, _pointer(marker).removeprefix("gitdir:").strip())
    common = _pointer(os.path.join(git_dir, "commondir"))
    return os.path.join(git_dir, common, "config")


def _pointer(file: str) -> str:
    """Give what a small file of git says about where to go on, "" when it is not there."""
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as opened:
            return opened.read(8192).rstrip("\n")
    except OSError:
        return ""
