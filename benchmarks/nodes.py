"""Measure a gateway whose nodes are on other machines: over ssh, and over annex+http.

    python -m benchmarks.nodes [--over ssh|sshd|http] [--nodes N] [--size MIB] [--small N]
                               [--connections N]... [--only NAME]...

Everything runs on this machine. `ssh` is a script that runs the node's shell at once, so that
neither encryption nor sshd is measured; with `sshd` both are. The real gateway cannot have nodes
over HTTP: the first column is then its gateway with ssh nodes, which is what its users have, and
the second its p2phttp of the node itself, without any gateway.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clusters import Cluster, Server, make_cluster, run, serve, use_home
from benchmarks.gateway import Case, Figures, large_object, make_big_file, small_objects
from benchmarks.sshd import end_shared_connections, shared_connections, sshd

_REAL, _OURS = "git-annex", "shoal"
_SHELLS = {_REAL: "git-annex-shell", _OURS: "shoal-shell"}
_CONNECTIONS = (1, 16)  # the real program runs a process per connection and node

_SSH = """\
#!/bin/sh
# Called as: HOST COMMAND. The host's name says which shell it has.
exec "$1" -c "$2"
"""


@dataclass(frozen=True, slots=True)
class Setup:
    """Which program is the gateway ("" for none), which is at the nodes, and how they are
    reached."""

    name: str
    gateway: str
    node: str
    over: str


_SETUPS = {
    "ssh": (
        Setup("git-annex", _REAL, _REAL, "ssh"),
        Setup("mixed", _OURS, _REAL, "ssh"),
        Setup("shoal", _OURS, _OURS, "ssh"),
    ),
    "sshd": (
        Setup("git-annex", _REAL, _REAL, "ssh"),
        Setup("mixed", _OURS, _REAL, "ssh"),
        Setup("shoal", _OURS, _OURS, "ssh"),
    ),
    "http": (
        Setup("git-annex", _REAL, _REAL, "ssh"),
        Setup("direct", "", _REAL, "http"),
        Setup("mixed", _OURS, _REAL, "http"),
        Setup("shoal", _OURS, _OURS, "http"),
    ),
}


def _use_fake_ssh(work: Path) -> None:
    script = work / "ssh"
    script.write_text(_SSH)
    script.chmod(0o755)
    os.environ.update(GIT_SSH=str(script), GIT_ANNEX_USE_GIT_SSH="1")


@dataclass(slots=True)
class _OverSsh(Server):
    """A gateway; what its shared connections do is done for it."""

    repository: Path = Path()

    def _pids(self) -> list[int]:
        return [*Server._pids(self), *shared_connections(self.repository)]


def _nodes(cluster: Cluster) -> Iterator[tuple[str, Path]]:
    for number in range(1, len(cluster.nodes) + 1):
        name = f"node{number}"
        yield name, cluster.gateway.parent / name


@contextlib.contextmanager
def _serve(setup: Setup, cluster: Cluster, beside: Sequence[Server]) -> Iterator[Server]:
    """Run the server that is asked, and all that it needs but for what runs `beside` it."""
    with ExitStack() as stack:
        behind = [*beside]
        for (name, path), uuid in zip(_nodes(cluster), cluster.nodes, strict=True):
            setting = f"remote.{name}"
            if setup.over == "http":
                server = stack.enter_context(serve(setup.node, path))
                behind.append(server)
                url = f"annex+http://127.0.0.1:{server.port}/git-annex/"
                run("git", "config", f"{setting}.annexUrl", url, cwd=cluster.gateway)
            else:
                shell = _SHELLS[setup.node]
                run("git", "config", f"{setting}.url", f"ssh://{shell}{path}", cwd=cluster.gateway)
            run("git", "config", f"{setting}.annex-uuid", uuid, cwd=cluster.gateway)
        if not setup.gateway:
            yield behind[0]
            return
        gateway = stack.enter_context(serve(setup.gateway, cluster.gateway))
        stack.callback(end_shared_connections, cluster.gateway)
        yield _OverSsh(gateway.port, gateway.process, tuple(behind), cluster.gateway)


def _measure(
    setup: Setup,
    work: Path,
    big: tuple[Path, str],
    beside: Sequence[Server],
    options: argparse.Namespace,
    figures: Figures,
) -> None:
    cluster = make_cluster(work / setup.name, options.nodes)
    asked = cluster if setup.gateway else Cluster(cluster.gateway, cluster.nodes[0], cluster.nodes)
    with _serve(setup, cluster, beside) as server:
        case = Case(server, asked, figures, setup.name)
        few = min(options.small, 300)
        count = options.small if setup.gateway == _OURS else few
        small_objects(case, count, options.connections or _CONNECTIONS)
        large_object(case, *big)
        case.add("peak memory, gateway", server.own_peak_memory(), "MB")
        case.add("peak memory, with all processes", server.peak_memory(), "MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--over", choices=_SETUPS, default="ssh", help="how nodes are reached")
    parser.add_argument("--nodes", type=int, default=1, help="how many nodes")
    parser.add_argument("--size", type=int, default=512, help="MiB of the large object")
    parser.add_argument("--small", type=int, default=1000, help="how many small objects")
    parser.add_argument(
        "--connections", type=int, action="append", help="how many at once; may be repeated"
    )
    parser.add_argument("--only", action="append", help="only the column of this name")
    options = parser.parse_args()
    setups = [s for s in _SETUPS[options.over] if s.name in (options.only or [s.name])]
    figures = Figures([setup.name for setup in setups])
    with (
        tempfile.TemporaryDirectory(dir=os.environ.get("SHOAL_BENCH_DIR")) as where,
        ExitStack() as stack,
    ):
        work = Path(where)
        use_home(work / "home")
        beside = []
        if options.over == "sshd":
            beside.append(stack.enter_context(sshd(work / "sshd", [*_SHELLS.values()])))
        else:
            _use_fake_ssh(work)
        big = work / "big", make_big_file(work / "big", options.size << 20)
        for setup in setups:
            _measure(setup, work, big, beside, options, figures)
    figures.show()


if __name__ == "__main__":
    main()
