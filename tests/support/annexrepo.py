"""Repositories initialised for git-annex by hand, without the real program: fast."""

from __future__ import annotations

import subprocess
from pathlib import Path

from shoal.git.repository import Repository
from shoal.values.backend import hasher, key_for
from shoal.values.key import Key
from shoal.values.uuid import UUID

HERE = UUID("66666666-6666-4666-8666-666666666666")
THERE = UUID("77777777-7777-4777-8777-777777777777")


def git(directory: Path, *words: str, data: bytes = b"") -> str:
    """Run git; give its output."""
    done = subprocess.run(
        ["git", "-C", str(directory), *words], input=data, capture_output=True, check=True
    )
    return done.stdout.decode("utf-8", "surrogateescape")


def make_annex(
    path: Path, *, bare: bool = False, uuid: str = HERE, config: dict[str, str] | None = None
) -> Repository:
    """Make a repository with a UUID and version 10, and open it."""
    subprocess.run(["git", "init", "-q", *(["--bare"] if bare else []), str(path)], check=True)
    values = {"annex.uuid": uuid, "annex.version": "10", **(config or {})}
    for key, value in values.items():
        git(path, "config", key, value)
    annex = (path if bare else path / ".git") / "annex"
    (annex / "objects").mkdir(parents=True)
    return Repository.open(path)


def key_of(content: bytes, backend: bytes = b"SHA256E", extension: bytes = b".txt") -> Key:
    """Give the key of a content."""
    hashing = hasher(backend)
    hashing.update(content)
    return key_for(backend, hashing.hexdigest(), len(content), extension)


def descriptors() -> set[str]:
    """Give the files that this process has open, to see what a test leaves open."""
    found = set()
    for fd in Path("/proc/self/fd").iterdir():
        try:
            target = fd.readlink()
        except OSError:
            continue
        found.add(f"{fd.name} {target}")
    return found
