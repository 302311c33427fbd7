"""A repository with very many keys, made without their contents."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.clusters import run
from shoal.logs import location
from shoal.values.key import Key
from shoal.values.uuid import UUID

_CLOCK = 1700000000
_PER_DIRECTORY = 1000
_AUTHOR = b"Ben Chmark <ben@example.org> 1700000000 +0000"


Holders = Callable[[int, Key], Sequence[UUID]]
"""Which repositories have a key, by its number."""


def in_turn(nodes: Sequence[UUID], copies: int) -> Holders:
    """Let each key be in so many `copies` of the `nodes`, one after another."""
    return lambda number, key: [nodes[(number + i) % len(nodes)] for i in range(copies)]


def make_repository(path: Path, keys: int, holders: Holders, *, real: bool = False) -> None:
    """Make a repository with so many annexed files, logged to be where `holders` says. The
    keys are those of keys_of()."""
    run("git", "init", "-q", path)
    run("git-annex", "init", "many keys", cwd=path)
    tip = run("git", "rev-parse", "git-annex", cwd=path)
    feed = subprocess.Popen(
        ["git", "fast-import", "--quiet"], cwd=path, stdin=subprocess.PIPE, bufsize=1 << 20
    )
    assert feed.stdin is not None
    feed.stdin.writelines(_commit(b"git-annex", tip.encode()))
    for number, key in keys_of(keys, real=real):
        log = b"".join(b"%ds 1 %s\n" % (_CLOCK, one.encode()) for one in holders(number, key))
        feed.stdin.writelines(_file(b"100644", location.path(key).encode(), log))
    feed.stdin.writelines(_commit(b"main", b""))
    for number, key in keys_of(keys, real=real):
        name = b"%d/%d.dat" % (number // _PER_DIRECTORY, number)
        target = b"../.git/annex/objects/x/y/%s/%s" % (bytes(key), bytes(key))
        feed.stdin.writelines(_file(b"120000", name, target))
    feed.stdin.close()
    if feed.wait() != 0:
        raise RuntimeError("git fast-import failed")
    run("git", "read-tree", "main", cwd=path)
    run("git", "symbolic-ref", "HEAD", "refs/heads/main", cwd=path)


def keys_of(count: int, *, real: bool = False) -> Iterator[tuple[int, Key]]:
    """Give the keys of a repository with so many files, each with the number of its file.

    Those that are `real` have content_of() for content. The others, of 1 byte to 1 MB, have none.
    """
    for number in range(count):
        content = content_of(number)
        size = len(content) if real else 1 + number * 7919 % 1_000_000
        yield number, Key(b"SHA256E", hashlib.sha256(content).hexdigest().encode() + b".dat", size)


def content_of(number: int) -> bytes:
    """Give the content of a real key."""
    return b"%d" % number


def node_uuids(count: int) -> list[UUID]:
    """Make up UUIDs of nodes."""
    return [UUID(f"{number:08x}-0000-4000-8000-000000000000") for number in range(1, count + 1)]


def make_cluster(
    root: Path,
    nodes: Sequence[UUID],
    wanted: str,
    keys: int,
    holders: Holders,
    *,
    real: bool = False,
) -> Path:
    """Make a gateway with so many keys, and nodes that are there but empty: node1, node2, …,
    all in the group "store" and of 1 TB. Gives the gateway's path."""
    path = root / "gateway"
    make_repository(path, keys, holders, real=real)
    run("git", "checkout", "-q", "-f", cwd=path)
    for number, uuid in enumerate(nodes, 1):
        name, node = f"node{number}", root / f"node{number}"
        run("git", "init", "-q", "--bare", node)
        run("git", "config", "annex.uuid", uuid, cwd=node)
        run("git", "config", "annex.version", "10", cwd=node)
        run("git", "remote", "add", name, node, cwd=path)
        run("git", "config", f"remote.{name}.annex-uuid", uuid, cwd=path)
        run("git", "config", f"remote.{name}.annex-cluster-node", "bench", cwd=path)
        run("git-annex", "describe", uuid, name, cwd=path)
        run("git-annex", "group", uuid, "store", cwd=path)
        run("git-annex", "wanted", uuid, wanted, cwd=path)
        run("git-annex", "maxsize", uuid, "1TB", cwd=path)
    run("git-annex", "initcluster", "bench", cwd=path)
    run("git-annex", "updatecluster", cwd=path)
    return path


def _commit(branch: bytes, parent: bytes) -> list[bytes]:
    start = [b"commit refs/heads/%s\ncommitter %s\ndata 4\nmany\n" % (branch, _AUTHOR)]
    return [*start, b"from %s\n" % parent] if parent else start


def _file(mode: bytes, path: bytes, content: bytes) -> list[bytes]:
    return [b"M %s inline %s\ndata %d\n" % (mode, path, len(content)), content, b"\n"]
