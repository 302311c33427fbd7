"""Operating a cluster with very many keys.

    python -m benchmarks.operations [--keys N] [--moved N]

Makes a cluster of four nodes that want `fullybalanced=store:2`, with so many keys (100,000) that
are where they belong, but for 1000 of them:

* drain: they are on a fifth node only, which is to be emptied;
* rebalance: they are on the two other nodes;
* heal: they have one copy instead of two;
* scrub: one copy of each is bad.

Measures the preview and the work itself, in seconds of CPU with the git processes, and MiB of
memory of shoal alone at the most; then the same work again, with nothing left to do.

Nodes are in $SHOAL_BENCH_DIR if that is set. With 100,000 keys they are a million small files
and directories.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.clusters import run, use_home
from benchmarks.evaluate import measure
from benchmarks.manykeys import Holders, content_of, keys_of, make_cluster, node_uuids
from shoal.logs import location
from shoal.preferred.balanced import pick
from shoal.values.key import Key
from shoal.values.uuid import UUID

_COPIES = 2
_WANTED = f"fullybalanced=store:{_COPIES}"
*_STORE, _OLD = node_uuids(5)


def _belongs(key: Key) -> list[UUID]:
    return pick(_STORE, _STORE, key, _COPIES)


def _elsewhere(key: Key) -> list[UUID]:
    return [node for node in _STORE if node not in _belongs(key)]


_LAYOUTS: dict[str, Callable[[Key], Sequence[UUID]]] = {
    "drain": lambda key: [_OLD],
    "rebalance": _elsewhere,
    "heal": lambda key: _belongs(key)[:1],
    "scrub": _belongs,
}
"""Where the keys are with which something is to be done."""


def make(root: Path, operation: str, keys: int, moved: int) -> Path:
    """Make the cluster for an operation; give its gateway."""
    every = keys // moved

    def holders(number: int, key: Key) -> Sequence[UUID]:
        return _belongs(key) if number % every else _LAYOUTS[operation](key)

    path = make_cluster(root, [*_STORE, _OLD], _WANTED, keys, holders, real=True)
    run("git-annex", "numcopies", str(_COPIES), cwd=path)
    run("git-annex", "ungroup", _OLD, "store", cwd=path)
    run("git-annex", "wanted", _OLD, "present", cwd=path)
    bad = every if operation == "scrub" else 0
    fill(root, keys, holders, bad)
    return path


def fill(root: Path, keys: int, holders: Holders, bad: int) -> None:
    """Let the nodes have what is logged; of every so many keys, one copy is `bad`."""
    names = {uuid: f"node{number}" for number, uuid in enumerate([*_STORE, _OLD], 1)}
    for number, key in keys_of(keys, real=True):
        content = content_of(number)
        for place, uuid in enumerate(holders(number, key)):
            directory = root / names[uuid] / "annex/objects" / location.path(key)[: -len(".log")]
            directory.mkdir(parents=True)
            is_bad = bad and not place and number % bad == 0
            (directory / str(key)).write_bytes(bytes(len(content)) if is_bad else content)


def work(operation: str, path: Path) -> None:
    """Measure an operation."""
    words = ["shoal", "cluster", operation, *(["node5"] if operation == "drain" else [])]
    apply = [*words, "--quiet", *([] if operation == "scrub" else ["--yes"])]
    runs = [("", apply), ("again", apply)]
    if operation != "scrub":
        runs.insert(0, ("preview", [*words, "--dry-run"]))
    if operation == "heal":
        runs.insert(1, ("preview, by the log", [*words, "--dry-run", "--fast"]))
    for what, command in runs:
        took = measure(*command, cwd=path)
        name = f"{operation} {what}"
        print(f"{name:30} {took.seconds:7.1f} s {took.own_memory:7.0f} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure operations on a cluster.")
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--moved", type=int, default=1000)
    parser.add_argument("operations", nargs="*", choices=[[], *_LAYOUTS], default=[])
    args = parser.parse_args()
    for operation in args.operations or _LAYOUTS:
        with tempfile.TemporaryDirectory(dir=os.environ.get("SHOAL_BENCH_DIR")) as temporary:
            use_home(Path(temporary) / "home")
            work(operation, make(Path(temporary), operation, args.keys, args.moved))


if __name__ == "__main__":
    main()
