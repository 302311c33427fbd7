"""Links between gateways that a test can cut.

`NamespaceLinks` gives each gateway a network of its own: a cut link swallows what is sent, and
nobody hears of it. It needs Linux, iproute2, and the right to make user namespaces, or to be
root. `RelayLinks` is for everywhere else: all gateways are on this machine's loopback, with a
relay for each direction, and a cut ends the connections.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Protocol

from tests.support.gateway import free_port
from tests.support.relay import Relay

PORT = 9417
_HOLD = "ip link set lo up && echo ready && exec cat"
_RATE = ("rate", "40mbit", "burst", "64kbit", "latency", "100ms")  # a cut can come in the middle


class Links(Protocol):
    """Gateways are named; `kind` tells what kind of links this is."""

    kind: str

    def words_at(self, name: str) -> tuple[str, ...]:
        """Give the words that run a command where a gateway is."""

    def port_of(self, name: str) -> int:
        """Give the port that a gateway listens on."""

    def address(self, here: str, there: str) -> str:
        """Give HOST:PORT by which one gateway reaches another."""

    def cut(self, one: str, other: str) -> None: ...

    def when_passed(self, here: str, there: str, count: int, event: Callable[[], None]) -> None:
        """Call `event` once, in a thread, when so many more bytes have gone in one direction."""

    def is_cut(self, one: str, other: str) -> bool: ...

    def passed(self, here: str, there: str) -> int:
        """Give how many bytes have gone from one to the other, in connections that either made."""

    def mend(self) -> None: ...

    def close(self) -> None: ...


class RelayLinks:
    """Links on loopback."""

    kind = "relays"

    def __init__(self, graph: Mapping[str, Iterable[str]]) -> None:
        self._ports = {name: free_port() for name in graph}
        self._relays = {
            (here, there): Relay(self._ports[there]) for here in graph for there in graph[here]
        }

    def words_at(self, name: str) -> tuple[str, ...]:
        return ()

    def port_of(self, name: str) -> int:
        return self._ports[name]

    def address(self, here: str, there: str) -> str:
        return f"127.0.0.1:{self._relays[here, there].here}"

    def cut(self, one: str, other: str) -> None:
        for pair in ((one, other), (other, one)):
            self._relays[pair].cut()

    def when_passed(self, here: str, there: str, count: int, event: Callable[[], None]) -> None:
        self._relays[here, there].when_passed(count, event)

    def is_cut(self, one: str, other: str) -> bool:
        return self._relays[one, other].is_cut

    def passed(self, here: str, there: str) -> int:
        return self._relays[here, there].sent["to"] + self._relays[there, here].sent["from"]

    def mend(self) -> None:
        for relay in self._relays.values():
            relay.mend()

    def close(self) -> None:
        for relay in self._relays.values():
            relay.close()


class NamespaceLinks:
    """Links between networks: a pair of interfaces each, named like the gateway at the end."""

    kind = "network namespaces"

    def __init__(self, names: Iterable[str]) -> None:
        """Raises OSError where that cannot be done."""
        self._holders: dict[str, subprocess.Popen[str]] = {}
        self._cut: set[frozenset[str]] = set()
        self._addresses: dict[tuple[str, str], str] = {}
        self._enter: tuple[str, ...] = ("--user", "--preserve-credentials")
        self._over = threading.Event()
        try:
            self._hold(list(names))
            for number, pair in enumerate(combinations(self._holders, 2)):
                self._connect(number, *pair)
        except BaseException:
            self.close()
            raise

    def _hold(self, names: list[str]) -> None:
        """Start a process in each network, which is there as long as the process."""
        first, *others = names
        try:
            self._start(first, "unshare", "--user", "--map-root-user", "--net")
        except OSError:
            self._enter = ()
            self._start(first, "unshare", "--net")
        holder = self._holders[first].pid
        into = ("nsenter", f"--target={holder}", *self._enter) if self._enter else ()
        for name in others:
            self._start(name, *into, "unshare", "--net")

    def _start(self, name: str, *words: str) -> None:
        holder = subprocess.Popen(
            [*words, "sh", "-c", _HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            _end(holder)
            raise OSError(f"{words[0]} cannot make a network")
        self._holders[name] = holder

    def _connect(self, number: int, one: str, other: str) -> None:
        pid = str(self._holders[other].pid)
        self._ip(one, "link", "add", other, "type", "veth", "peer", "name", one, "netns", pid)
        for here, there, last in ((one, other, 1), (other, one, 2)):
            self._addresses[there, here] = address = f"10.99.{number}.{last}"
            self._ip(here, "addr", "add", f"{address}/30", "dev", there)
            self._ip(here, "link", "set", there, "up")
            self._run(here, "tc", "qdisc", "add", "dev", there, "root", "tbf", *_RATE)

    def _ip(self, name: str, *words: str) -> None:
        self._run(name, "ip", *words)

    def _run(self, name: str, *words: str) -> None:
        done = subprocess.run(
            [*self.words_at(name), *words], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise OSError(f"{' '.join(words)}: {done.stderr}")

    def words_at(self, name: str) -> tuple[str, ...]:
        return ("nsenter", f"--target={self._holders[name].pid}", "--net", *self._enter)

    def port_of(self, name: str) -> int:
        return PORT

    def address(self, here: str, there: str) -> str:
        return f"{self._addresses[here, there]}:{PORT}"

    def cut(self, one: str, other: str) -> None:
        self._cut.add(frozenset({one, other}))
        self._ip(one, "link", "set", other, "down")

    def when_passed(self, here: str, there: str, count: int, event: Callable[[], None]) -> None:
        due = self.passed(here, there) + count

        def watch() -> None:
            while self.passed(here, there) < due:
                if self._over.wait(0.002):
                    return
            event()

        threading.Thread(target=watch, daemon=True).start()

    def is_cut(self, one: str, other: str) -> bool:
        return frozenset({one, other}) in self._cut

    def passed(self, here: str, there: str) -> int:
        counters = Path(f"/proc/{self._holders[here].pid}/net/dev").read_text()
        (line,) = [line for line in counters.splitlines() if line.strip().startswith(f"{there}:")]
        return int(line.split(":")[1].split()[8])

    def mend(self) -> None:
        cut, self._cut = self._cut, set()
        for one, other in map(sorted, cut):
            self._ip(one, "link", "set", other, "up")
            self._ip(other, "link", "set", one, "up")

    def close(self) -> None:
        self._over.set()
        for holder in self._holders.values():
            _end(holder)


def _end(holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.close()
    holder.stdout.close()
    holder.wait(60)


def best_links(graph: Mapping[str, Iterable[str]]) -> Links:
    """Give networks where that is possible, else relays."""
    try:
        return NamespaceLinks(graph)
    except OSError:
        return RelayLinks(graph)
