"""Measure a gateway in front of two local nodes: shoal beside the real git-annex.

    python -m benchmarks.gateway [--size MIB] [--small N] [--program NAME] [--awake]

Both programs serve clusters that the real program made, one after the other, with the same
requests. The client is the same small one for both. Each line ends in a ratio: how many times
better shoal is.

A request over a single connection wakes the server and then the client. In a virtual machine
with nothing else to do that can take longer than the request itself: --awake keeps the
processors from falling asleep, for both programs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.clusters import Cluster, Server, awake, make_cluster, serve, use_home
from benchmarks.http_load import Connection, request_bytes, run_requests
from benchmarks.yardsticks import nginx_get

PROGRAMS = ("git-annex", "shoal")
CONNECTIONS = (1, 16, 256)
CLIENT = "11111111-1111-4111-8111-111111111111"


@dataclass(slots=True)
class Figures:
    """What was measured: name -> program -> value; and whether more is better.

    The ratios are those of the last of the `columns` to the first.
    """

    columns: Sequence[str] = PROGRAMS
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, program: str, value: float, unit: str) -> None:
        self.values.setdefault(name, {})[program] = value
        self.units[name] = unit

    def show(self) -> None:
        titles = "".join(f" {column:>12}" for column in self.columns)
        print(f"{'measurement':40}{titles} unit     ratio")
        for name, by_column in self.values.items():
            values = [by_column.get(column, float("nan")) for column in self.columns]
            unit = self.units[name]
            worse, better = values[0], values[-1]
            if not unit.endswith("/s"):
                worse, better = better, worse
            ratio = better / worse if worse else float("nan")
            shown = "".join(f" {value:12.2f}" for value in values)
            print(f"{name:40}{shown} {unit:8} {ratio:.1f} x")


def key_of(content: bytes) -> str:
    return f"SHA256E-s{len(content)}--{hashlib.sha256(content).hexdigest()}.bin"


def make_big_file(path: Path, size: int) -> str:
    """Write `size` bytes that do not compress; give the key."""
    digest = hashlib.sha256()
    block = random.Random(1).randbytes(1 << 20)
    with path.open("wb") as out:
        for number in range(size >> 20):
            piece = number.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            out.write(piece)
    return f"SHA256E-s{size}--{digest.hexdigest()}.bin"


@dataclass(frozen=True, slots=True)
class Case:
    """One server in front of one cluster, and what to ask it."""

    server: Server
    cluster: Cluster
    figures: Figures
    program: str

    def url(self, endpoint: str, key: str = "") -> str:
        word = f"&key={key}" if key else ""
        return f"/git-annex/{self.cluster.uuid}/v4/{endpoint}?clientuuid={CLIENT}{word}"

    def add(self, name: str, value: float, unit: str) -> None:
        self.figures.add(name, self.program, value, unit)

    def one(self, action: Callable[[Connection], bytes]) -> bytes:
        connection = Connection(self.server.port)
        try:
            return action(connection)
        finally:
            connection.close()


def large_object(case: Case, file: Path, key: str) -> None:
    size = file.stat().st_size
    used, best = case.server.cpu_seconds(), 0.0
    for _ in range(3):  # the first one touches memory and disk that were never used before
        case.one(lambda c: c.request("POST", case.url("remove", key)))
        started = time.perf_counter()
        answer = case.one(lambda c: c.send_file(case.url("put", key), str(file), size))
        best = max(best, size / 1e6 / (time.perf_counter() - started))
        if b'"stored":true' not in answer:
            raise AssertionError(f"not stored: {answer!r}")
    case.add("PUT one large object", best, "MB/s")
    used, before = case.server.cpu_seconds(), used
    case.add("  processor time, PUT", (used - before) / 3e-9 / size, "s/GB")
    best = 0.0
    for _ in range(3):
        started = time.perf_counter()
        case.one(lambda c: c.request("GET", case.url(f"key/{key}")))
        best = max(best, size / 1e6 / (time.perf_counter() - started))
    case.add("GET one large object", best, "MB/s")
    used, before = case.server.cpu_seconds(), used
    case.add("  processor time, GET", (used - before) / 3e-9 / size, "s/GB")
    served = nginx_get(file.parent, case.cluster.object_file(key))
    if served is not None:
        case.add("  the same file from nginx", served, "MB/s")
    waits = sorted(_first_byte(case, case.url(f"key/{key}")) for _ in range(10))
    case.add("first byte of a large GET", waits[len(waits) // 2] * 1e3, "ms")


def _first_byte(case: Case, url: str) -> float:
    connection = Connection(case.server.port)
    try:
        return connection.first_byte(url)
    finally:
        connection.close()


def small_objects(case: Case, count: int, at_once: Sequence[int] = CONNECTIONS) -> None:
    """Put, get and check objects of 10 kB, each over as many connections as `at_once` says."""
    for connections in at_once:
        dice = random.Random(connections)
        contents = {key_of(content): content for content in map(dice.randbytes, [10_000] * count)}
        for name, request in (("PUT", _put), ("GET", _get), ("checkpresent", _check)):
            requests = [request(case, key, content) for key, content in contents.items()]
            used = case.server.cpu_seconds()
            rate = run_requests(case.server.port, requests, connections).per_second
            used = case.server.cpu_seconds() - used
            what = name if name == "checkpresent" else f"{name} 10 kB objects"
            case.add(f"{what}, {connections} connections", rate, "1/s")
            case.add(f"  processor time, {name} by {connections}", used / count * 1e3, "ms each")


def _put(case: Case, key: str, content: bytes) -> bytes:
    header = f"X-git-annex-data-length: {len(content)}\r\n"
    return request_bytes("POST", case.url("put", key), header, content)


def _get(case: Case, key: str, content: bytes) -> bytes:
    return request_bytes("GET", case.url(f"key/{key}"))


def _check(case: Case, key: str, content: bytes) -> bytes:
    return request_bytes("POST", case.url("checkpresent", key))


def measure(program: str, work: Path, options: argparse.Namespace, figures: Figures) -> None:
    big = work / "big"
    key = make_big_file(big, options.size << 20)
    cluster = make_cluster(work / program, 2)
    with serve(program, cluster.gateway) as server:
        case = Case(server, cluster, figures, program)
        small_objects(case, options.small if program == "shoal" else min(options.small, 300))
        large_object(case, big, key)
        case.add("peak resident memory", server.peak_memory(), "MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the large object")
    parser.add_argument("--small", type=int, default=3000, help="how many small objects")
    parser.add_argument("--awake", action="store_true", help="keep idle processors awake")
    parser.add_argument("--program", action="append", choices=PROGRAMS, help="only this one")
    options = parser.parse_args()
    figures = Figures()
    keeping = awake() if options.awake else nullcontext()
    with keeping, tempfile.TemporaryDirectory(dir=os.environ.get("SHOAL_BENCH_DIR")) as where:
        work = Path(where)
        use_home(work / "home")
        for program in options.program or PROGRAMS:
            measure(program, work, options, figures)
    figures.show()


if __name__ == "__main__":
    main()
