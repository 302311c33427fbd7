"""Finding out how large repositories are: shoal beside the real git-annex.

    python -m benchmarks.sizes [--keys N] [--nodes N]

Makes a repository with so many keys (100,000), each in 3 of 8 repositories. Then measures:

* `maxsize` of both programs, which must print the same: when nothing is known yet, when one
  key changed since, and when nothing did; in seconds of CPU, with the git processes, and MiB
  of memory at the most;
* in a process of shoal that goes on, as a server does: the sizes after a change of its own,
  after one of another process, and after a commit; and a decision that reserves room for a
  key, together with the recording of that key. These wait for the disk and for git, so they
  are in milliseconds of time, the median and the worst of some.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.clusters import run, use_home
from benchmarks.evaluate import Measured, measure, show
from benchmarks.manykeys import in_turn, make_repository
from shoal.git.repository import Repository
from shoal.values.key import Key
from shoal.values.uuid import UUID

_COPIES = 3
_TIMES = 15
_QUESTION = ("maxsize", "--bytes")


def compare_commands(path: Path, node: UUID) -> None:
    """Measure the command of both programs."""
    database = path / ".git" / "annex" / "reposize"
    for when in ("first", "again", "1 changed"):
        found: list[Measured] = []
        for program in ("git-annex", "shoal"):
            if when == "first":
                shutil.rmtree(database, ignore_errors=True)
            if when == "1 changed":
                _change(path, node, present=program == "git-annex")
            found.append(measure(program, *_QUESTION, cwd=path))
            show(f"{program} maxsize, {when}", found[-1].seconds, found[-1].memory)
        if when != "1 changed" and found[0].output != found[1].output:
            raise RuntimeError("the two programs do not agree")
        print(f"{when}: {found[0].seconds / found[1].seconds:.1f} x faster")
    if measure("git-annex", *_QUESTION, cwd=path).output != found[1].output:
        raise RuntimeError("the two programs do not agree after changes")


def _change(path: Path, node: UUID, *, present: bool) -> None:
    """Let another program change where one key is, and commit that."""
    word = "1" if present else "0"
    run("git-annex", "setpresentkey", "SHA256E-s1000--changed.dat", node, word, cwd=path)
    run("git-annex", "merge", "--quiet", cwd=path)  # commits it


def measure_process(path: Path, node: UUID) -> None:
    """Measure a process that goes on."""
    numbers = iter(range(1_000_000))

    def a_key() -> Key:
        return Key.parse(b"SHA256E-s1000--going-on%d.dat" % next(numbers))

    with Repository.open(path) as repository, Repository.open(path) as other:
        repository.sizes.sizes()

        def own_change() -> None:
            repository.logs.set_location(a_key(), node, True)

        def foreign_change() -> None:
            other.logs.set_location(a_key(), node, True)

        def commit() -> None:
            other.logs.set_location(a_key(), node, True)
            other.branch.commit()

        def ask() -> None:
            repository.refresh()
            repository.sizes.sizes()

        def store() -> None:
            key = a_key()
            with repository.sizes.deciding() as decision:
                reservation = decision.reserve(node, key)
            with reservation:
                repository.logs.set_location(key, node, True)

        _time("sizes, nothing changed", lambda: None, ask)
        _time("sizes, own change", own_change, ask)
        _time("sizes, change of another", foreign_change, ask)
        _time("sizes, commit of another", commit, ask)
        _time("recording a key", lambda: None, own_change)
        _time("reserving and recording a key", lambda: None, store)


def _time(what: str, before: Callable[[], None], act: Callable[[], None]) -> None:
    """Show how long `act` takes, each time after `before`."""
    taken = []
    for _ in range(_TIMES):
        before()
        start = time.perf_counter()
        act()
        taken.append((time.perf_counter() - start) * 1000)
    print(f"{what:40} {statistics.median(taken):7.2f} ms {max(taken):9.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure repository sizes.")
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=8)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        use_home(Path(temporary) / "home")
        nodes = [UUID(f"{n:08x}-0000-4000-8000-000000000000") for n in range(1, args.nodes + 1)]
        path = Path(temporary) / "repository"
        make_repository(path, args.keys, in_turn(nodes, _COPIES))
        compare_commands(path, nodes[0])
        measure_process(path, nodes[0])


if __name__ == "__main__":
    main()
