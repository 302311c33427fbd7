"""How long it takes until shoal-shell answers, beside git-annex-shell and a bare interpreter.

    python -m benchmarks.startup [--runs 15]

ssh starts a shell for every connection. For the repository itself, and for a cluster of two nodes
that it is the gateway of: milliseconds of processor time, and of the clock, from the start of the
shell until AUTH-SUCCESS has come, and until the first CHECKPRESENT is answered; the smallest of
all runs, since that is what the programs themselves cost. Some commands of both programs, to
their end, follow. Compiled Python files are used as an installation has them.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.clusters import make_cluster, run, use_home

_KEY = b"SHA256E-s12--a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447.txt"


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds."""

    processor: float
    clock: float


def _processor(pid: int) -> float:
    """Give the processor time of a running process and of those that it waited for, in ms."""
    running = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ended = (int(fields[13]) + int(fields[14])) * 1000 / os.sysconf("SC_CLK_TCK")
    return running + ended


def first_answers(words: Sequence[str | Path]) -> tuple[Cost, Cost]:
    """Run a shell; give the cost of its greeting, and of its first answer about a key."""
    began = time.perf_counter()
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as shell:
        if shell.stdin is None or shell.stdout is None:
            raise SystemExit("no pipes")

        def cost() -> Cost:
            return Cost(_processor(shell.pid), (time.perf_counter() - began) * 1000)

        if not shell.stdout.readline().startswith(b"AUTH-SUCCESS"):
            raise SystemExit(f"{words[0]} did not begin a session")
        greeting = cost()
        for line in (b"VERSION 4\n", b"CHECKPRESENT %s\n" % _KEY):
            shell.stdin.write(line)
            shell.stdin.flush()
            shell.stdout.readline()
        answer = cost()
        shell.stdin.close()
    return greeting, answer


def whole_run(words: Sequence[str | Path], directory: Path) -> Cost:
    """Give what a command costs to its end."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, cwd=directory, stdout=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(used * 1000, (time.perf_counter() - began) * 1000)


def _least(costs: Sequence[Cost]) -> str:
    processor = min(cost.processor for cost in costs)
    return f"{processor:9.0f}{min(cost.clock for cost in costs):9.0f}"


def _show_whole(title: str, runs: int, run: Callable[[], Cost]) -> None:
    run()  # compiles, and fills the caches
    print(f"{title:<44}{_least([run() for _ in range(runs)])}")


def _show_session(title: str, runs: int, words: Sequence[str | Path]) -> None:
    first_answers(words)
    both = [first_answers(words) for _ in range(runs)]
    greeting = _least([one for one, _ in both])
    print(f"{title:<44}{greeting}{_least([one for _, one in both])}")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    work = Path(tempfile.mkdtemp(prefix="shoal-startup-"))
    try:
        use_home(work / "home")
        cluster = make_cluster(work, 2)
        own = run("git", "config", "annex.uuid", cwd=cluster.gateway)
        print(f"{'ms':<44}{'cpu':>9}{'clock':>9}")
        _show_whole(
            "python -c pass", runs, partial(whole_run, [sys.executable, "-c", "pass"], work)
        )
        for program in ("shoal", "git-annex"):
            for command in ("version", "find", "whereis"):
                words = [program, command]
                _show_whole(" ".join(words), runs, partial(whole_run, words, cluster.gateway))
        print(f"\n{'until the answer to':<44}{'start':>18}{'CHECKPRESENT':>18}")
        for what, uuid in (("repository", own), ("cluster", cluster.uuid)):
            for shell in ("shoal-shell", "git-annex-shell"):
                words = [shell, "p2pstdio", str(cluster.gateway), "client", "--uuid", uuid]
                _show_session(f"{shell}: {what}", runs, words)
    finally:
        subprocess.run(["chmod", "-R", "u+w", work], check=False)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
