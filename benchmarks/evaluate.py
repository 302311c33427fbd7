"""Evaluating balanced preferred content for very many keys: shoal beside the real git-annex.

    python -m benchmarks.evaluate [--keys N] [--nodes N] [--asked N]

Makes a repository with so many annexed files (100,000) and a cluster whose nodes (8) want
`fullybalanced=store:2`. Then measures, in seconds of CPU and MiB of memory at the most:

* `find --want-get-by NODE` of both programs, which must list the same files, for the first
  `--asked` nodes (1, since the real program takes a minute for each);
* `shoal cluster status`, which evaluates for all nodes, and plans a rebalance of each key.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clusters import run, use_home
from benchmarks.manykeys import make_repository
from shoal.values.uuid import UUID

_COPIES = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run of a program took, and what it said."""

    seconds: float  # of CPU, with the processes that it started
    memory: float  # MiB, of the largest of them
    output: str


def measure(*words: str, cwd: Path) -> Measured:
    """Run a program to its end."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(words, cwd=cwd, stdout=output)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(words)}: exit {process.returncode}")
        output.seek(0)
        seconds = used.ru_utime + used.ru_stime
        return Measured(seconds, used.ru_maxrss / 1024, output.read())


def make_cluster(root: Path, keys: int, nodes: int) -> Path:
    """Make the repository, and nodes that are there but empty; give its path."""
    path = root / "gateway"
    uuids = [UUID(f"{number:08x}-0000-4000-8000-000000000000") for number in range(1, nodes + 1)]
    make_repository(path, keys, uuids, _COPIES)
    run("git", "checkout", "-q", "-f", cwd=path)
    for number, uuid in enumerate(uuids, 1):
        name, node = f"node{number}", root / f"node{number}"
        run("git", "init", "-q", "--bare", node)
        run("git", "config", "annex.uuid", uuid, cwd=node)
        run("git", "config", "annex.version", "10", cwd=node)
        run("git", "remote", "add", name, node, cwd=path)
        run("git", "config", f"remote.{name}.annex-uuid", uuid, cwd=path)
        run("git", "config", f"remote.{name}.annex-cluster-node", "bench", cwd=path)
        run("git-annex", "describe", uuid, name, cwd=path)
        run("git-annex", "group", uuid, "store", cwd=path)
        run("git-annex", "wanted", uuid, f"fullybalanced=store:{_COPIES}", cwd=path)
        run("git-annex", "maxsize", uuid, "1TB", cwd=path)
    run("git-annex", "initcluster", "bench", cwd=path)
    run("git-annex", "updatecluster", cwd=path)
    return path


def compare(path: Path, nodes: int, asked: int) -> None:
    """Measure and show."""
    theirs, ours = [], []
    for number in range(1, asked + 1):
        question = ("find", f"--want-get-by=node{number}")
        theirs.append(measure("git-annex", *question, cwd=path))
        ours.append(measure("shoal", *question, cwd=path))
        if theirs[-1].output != ours[-1].output:
            raise RuntimeError(f"the two programs list different files for node{number}")
    status = measure("shoal", "cluster", "status", "--limit", "0", cwd=path)
    their_mean = sum(one.seconds for one in theirs) / asked
    our_mean = sum(one.seconds for one in ours) / asked
    show("git-annex find --want-get-by, a node", their_mean, max(one.memory for one in theirs))
    show("shoal find --want-get-by, a node", our_mean, max(one.memory for one in ours))
    show(f"shoal cluster status, {nodes} nodes", status.seconds, status.memory)
    print(f"find: {their_mean / our_mean:.1f} x faster")
    print(f"all nodes: {their_mean * nodes / status.seconds:.1f} x faster than {nodes} finds")


def show(what: str, seconds: float, memory: float) -> None:
    print(f"{what:40} {seconds:7.1f} s {memory:7.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure evaluation of balanced content.")
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--asked", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        use_home(Path(temporary) / "home")
        path = make_cluster(Path(temporary), args.keys, args.nodes)
        compare(path, args.nodes, args.asked)


if __name__ == "__main__":
    main()
