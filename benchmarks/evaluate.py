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
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clusters import use_home
from benchmarks.manykeys import in_turn, make_cluster, node_uuids

_COPIES = 2
_LOOK = 0.05  # seconds between two looks at the memory of a process


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run of a program took, and what it said."""

    seconds: float  # of CPU, with the processes that it started
    memory: float  # MiB, of the largest of them
    own_memory: float  # MiB, of the program itself
    output: str


def measure(*words: str, cwd: Path) -> Measured:
    """Run a program to its end."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(words, cwd=cwd, stdout=output)
        own = _watch_memory(process.pid)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(words)}: exit {process.returncode}")
        output.seek(0)
        seconds = used.ru_utime + used.ru_stime
        return Measured(seconds, used.ru_maxrss / 1024, own, output.read())


def _watch_memory(pid: int) -> float:
    """Wait until a process is over; give its memory in MiB at the most. What is after the last
    look, at the end of a process, is not seen."""
    most = 0
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                most = int(line.split()[1])  # kB
        time.sleep(_LOOK)
    return most / 1024


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
        wanted = f"fullybalanced=store:{_COPIES}"
        uuids = node_uuids(args.nodes)
        path = make_cluster(Path(temporary), uuids, wanted, args.keys, in_turn(uuids, _COPIES))
        compare(path, args.nodes, args.asked)


if __name__ == "__main__":
    main()
