"""The history of very many location logs: `shoal log` beside `git annex log`.

    python -m benchmarks.history [--keys N] [--commits N]

Makes a repository with so many annexed files (20,000), each of which is logged in one node, then
in another, and then no longer in the first; the second and third change are in so many commits
(300). Then measures, in seconds of CPU, what both programs take for the same questions. They must
give the same answers, but for the time of the last row of sizes.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from benchmarks.clusters import run, use_home
from benchmarks.evaluate import Measured, measure
from benchmarks.manykeys import in_turn, keys_of, make_repository
from shoal.logs import location
from shoal.values.uuid import UUID

_PROGRAMS = ("git-annex", "shoal")
_NODES = [UUID(f"{number:08x}-0000-4000-8000-000000000000") for number in (1, 2)]
_BEGIN = 1700000100  # after the first change of all keys
_STEP = 600  # seconds between two commits
_QUESTIONS = (
    ("--all",),
    ("--all", "--json"),
    ("--sizes",),
    ("0/1.dat",),
    tuple(f"0/{number}.dat" for number in range(10)),
    tuple(f"0/{number}.dat" for number in range(100)),
)
_ONLY_OURS = ("--raw-date",)  # all files: the real program would take the better part of an hour


def make_history(path: Path, keys: int, commits: int) -> None:
    """Make the repository, and commits in which each key changes twice."""
    make_repository(path, keys, in_turn(_NODES[:1], 1))
    run("git", "checkout", "-q", "-f", cwd=path)
    run("git", "annex", "merge", "--quiet", cwd=path)
    tip = run("git", "rev-parse", "git-annex", cwd=path)
    changes = [(key, step) for step in (1, 2) for _, key in keys_of(keys)]
    per_commit = -(-len(changes) // commits)
    lines: list[bytes] = []
    for number in range(commits):
        now = _BEGIN + number * _STEP
        lines.append(
            b"commit refs/heads/git-annex\ncommitter B <b@example.org> %d +0000\ndata 0\n" % now
        )
        if not number:
            lines.append(b"from %s\n" % tip.encode())
        for at, (key, step) in enumerate(changes[number * per_commit :][:per_commit]):
            first, second = (node.encode() for node in _NODES)
            kept = b"%ds %d %s\n" % (now if step == 2 else _BEGIN - 100, step == 1, first)
            log = kept + b"%ds 1 %s\n" % (now - at % _STEP, second)
            header = b"M 100644 inline %s\ndata %d\n" % (location.path(key).encode(), len(log))
            lines += [header, log, b"\n"]
    subprocess.run(["git", "fast-import", "--quiet"], cwd=path, input=b"".join(lines), check=True)


def compare(path: Path) -> None:
    """Measure and show."""
    for question in _QUESTIONS:
        theirs, ours = (measure(program, "log", *question, cwd=path) for program in _PROGRAMS)
        if _lines(theirs) != _lines(ours):
            raise RuntimeError(f"the two programs answer log {question[0]} differently")
        shown = " ".join(question) if len(question) < 3 else f"{len(question)} files"
        ratio = theirs.seconds / ours.seconds
        print(f"{shown:16} {theirs.seconds:6.2f} s {ours.seconds:6.2f} s {ratio:5.1f} x faster")
    ours = measure("shoal", "log", *_ONLY_OURS, cwd=path)
    print(f"{'all files':16} {ours.seconds:15.2f} s")


def _lines(measured: Measured) -> list[str]:
    """Give the answer; of a table of sizes not the last row, which is of now."""
    lines = measured.output.splitlines()
    return lines[:-1] if measured.output.startswith("date,") else lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the history of location logs.")
    parser.add_argument("--keys", type=int, default=20_000)
    parser.add_argument("--commits", type=int, default=300)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        use_home(Path(temporary) / "home")
        path = Path(temporary) / "repository"
        make_history(path, args.keys, args.commits)
        compare(path)


if __name__ == "__main__":
    main()
