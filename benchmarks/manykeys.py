"""A repository with very many keys, made without their contents."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.clusters import run
from shoal.logs import location
from shoal.values.key import Key
from shoal.values.uuid import UUID

_CLOCK = 1700000000
_PER_DIRECTORY = 1000
_AUTHOR = b"Ben Chmark <ben@example.org> 1700000000 +0000"


def make_repository(path: Path, keys: int, nodes: Sequence[UUID], copies: int) -> None:
    """Make a repository with so many annexed files, each of them logged to be in `copies` of
    the `nodes`, one after another; sizes are from 1 byte to 1 MB."""
    run("git", "init", "-q", path)
    run("git-annex", "init", "many keys", cwd=path)
    tip = run("git", "rev-parse", "git-annex", cwd=path)
    feed = subprocess.Popen(
        ["git", "fast-import", "--quiet"], cwd=path, stdin=subprocess.PIPE, bufsize=1 << 20
    )
    assert feed.stdin is not None
    feed.stdin.writelines(_commit(b"git-annex", tip.encode()))
    for number, key in keys_of(keys):
        holders = [nodes[(number + i) % len(nodes)] for i in range(copies)]
        log = b"".join(b"%ds 1 %s\n" % (_CLOCK, node.encode()) for node in holders)
        feed.stdin.writelines(_file(b"100644", location.path(key).encode(), log))
    feed.stdin.writelines(_commit(b"main", b""))
    for number, key in keys_of(keys):
        name = b"%d/%d.dat" % (number // _PER_DIRECTORY, number)
        target = b"../.git/annex/objects/x/y/%s/%s" % (bytes(key), bytes(key))
        feed.stdin.writelines(_file(b"120000", name, target))
    feed.stdin.close()
    if feed.wait() != 0:
        raise RuntimeError("git fast-import failed")
    run("git", "read-tree", "main", cwd=path)
    run("git", "symbolic-ref", "HEAD", "refs/heads/main", cwd=path)


def keys_of(count: int) -> Iterator[tuple[int, Key]]:
    """Give the keys of a repository with so many files, each with the number of its file."""
    for number in range(count):
        digest = hashlib.sha256(b"%d" % number).hexdigest().encode()
        yield number, Key(b"SHA256E", digest + b".dat", 1 + number * 7919 % 1_000_000)


def _commit(branch: bytes, parent: bytes) -> list[bytes]:
    start = [b"commit refs/heads/%s\ncommitter %s\ndata 4\nmany\n" % (branch, _AUTHOR)]
    return [*start, b"from %s\n" % parent] if parent else start


def _file(mode: bytes, path: bytes, content: bytes) -> list[bytes]:
    return [b"M %s inline %s\ndata %d\n" % (mode, path, len(content)), content, b"\n"]
