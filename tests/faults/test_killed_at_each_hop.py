"""client -> gateway 1 -> gateway 2 -> node: each of the three is killed in mid-transfer.

The client moves content, so that a false success would lose it. Whatever it hears is true, what
is logged is there, and the next attempt succeeds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from tests.support import tap
from tests.support.chain import HOPS, Chain, http_chain, make_chain
from tests.support.fake_ssh import Ssh
from tests.support.gateway import Gateway
from tests.support.raw_http import key_of
from tests.support.relay import Relay
from tests.support.sshd import Sshd
from tests.support.tap import Plan
from tests.support.world import World

SMALL, LARGE = 20_000, 1_500_000  # bytes; small content is passed on in one piece
EVERY_HOP = pytest.mark.parametrize("hop", HOPS)
EVERY_SIZE = pytest.mark.parametrize("size", [SMALL, LARGE])

Moment = tuple[str, int]
"""Which way so many bytes have gone; "answer": before anybody sees the answer to them."""


class Killer(Protocol):
    """Kills something at a moment of the next transfer."""

    def arm(self, side: str, after: int) -> None: ...

    def has_killed(self) -> bool:
        """Tell whether it did, and put up again what was killed."""


@dataclass
class Trial:
    """One content, which is moved to the cluster and back while something is killed."""

    chain: Chain
    killer: Killer
    content: bytes

    @property
    def key(self) -> str:
        return key_of(self.content)

    def run(self, to: Moment, back: Moment) -> None:
        source = self.chain.world.root / "content"
        source.write_bytes(self.content)
        self.chain.world.annex(self.chain.client, "setkey", "--quiet", self.key, source)
        self._disturbed("to", to)
        self._succeed("to")
        self._disturbed("from", back)
        self._succeed("from")

    def _is_at(self, place: str) -> bool:
        return self.chain.has(place, self.key, self.content)

    def _transfer(self, command: str, way: str) -> subprocess.CompletedProcess[str]:
        """Move or copy it `to` the cluster, or `from` there."""
        words = ["git-annex", command, f"--{way}=origin-mycluster", f"--key={self.key}"]
        return self.chain.world.run(*words, cwd=self.chain.client, check=False)

    def _disturbed(self, way: str, moment: Moment) -> None:
        self.killer.arm(*moment)
        done = self._transfer("move", way)
        assert self.killer.has_killed(), (moment, done)
        source, destination = ("client", "node") if way == "to" else ("node", "client")
        if done.returncode == 0:
            assert self._is_at(destination)
        else:
            assert "failed" in done.stdout
            assert done.stderr
            assert self._is_at(source) or (way == "from" and self._is_at(destination))
        self.chain.assert_truthful(self.key, self.content)

    def _succeed(self, way: str) -> None:
        """Nothing is killed. What is there already is not moved: a copy in a cluster cannot be
        locked."""
        there = way == "to" and self._is_at("node")
        if there or self._is_at("node") == (way == "from"):
            done = self._transfer("copy" if there else "move", way)
            assert done.returncode == 0, done.stdout + done.stderr
        if there:  # the gateway that was killed has not heard who has it
            self.chain.exchange_logs()
        if there and self._is_at("client"):
            self.chain.world.annex(self.chain.client, "drop", "--force", f"--key={self.key}")
        assert (self._is_at("client"), self._is_at("node")) == (way == "from", way == "to")
        for name in HOPS:
            assert self.chain.logs_node(name, self.key) == (way == "to"), name


def kill_again_and_again(chain: Chain, killer: Killer, size: int) -> None:
    """Kill when the last byte has come, and the answer is due; large content in the middle, too."""
    if size > SMALL:
        Trial(chain, killer, os.urandom(size)).run(("to", size // 2), ("from", size // 2))
    Trial(chain, killer, os.urandom(size)).run(("answer", size), ("from", size))


@pytest.fixture(scope="module")
def ssh_chain(shared_world: World, module_patch: pytest.MonkeyPatch) -> Chain:
    """The shells are started by something that stands in for ssh."""
    Ssh(shared_world, module_patch).install(_tapped(shared_world))
    return make_chain(shared_world, "server")


@dataclass
class ShellKiller:
    """Kills the shell of one hop."""

    chain: Chain
    hop: str

    def arm(self, side: str, after: int) -> None:
        Plan(str(self.chain.path(self.hop)), side, after).arm(plan_of(self.chain.world))

    def has_killed(self) -> bool:
        return not plan_of(self.chain.world).exists()


@EVERY_SIZE
@EVERY_HOP
def test_a_shell_over_ssh(ssh_chain: Chain, hop: str, size: int) -> None:
    kill_again_and_again(ssh_chain, ShellKiller(ssh_chain, hop), size)


@EVERY_HOP
def test_a_shell_over_a_real_sshd(world: World, monkeypatch: pytest.MonkeyPatch, hop: str) -> None:
    for name in ("GIT_SSH_COMMAND", "GIT_ANNEX_USE_GIT_SSH"):
        monkeypatch.delenv(name, raising=False)  # what the tests above use
    with Sshd(world, monkeypatch, {"shoal": _tapped(world)}):
        chain = make_chain(world, "shoal")
        kill_again_and_again(chain, ShellKiller(chain, hop), SMALL)


def plan_of(world: World) -> Path:
    return world.root / "plan"


def _tapped(world: World) -> str:
    return f"{sys.executable} {tap.__file__} {plan_of(world)}"


@pytest.fixture(scope="module")
def served_chain(shared_world: World) -> Iterator[Chain]:
    with http_chain(World(shared_world.root / "http")) as chain:
        yield chain


@dataclass
class ServerKiller:
    """Kills the server of one hop."""

    server: Gateway
    relay: Relay

    def arm(self, side: str, after: int) -> None:
        self.relay.when_passed(after, partial(self.server.stop, signal.SIGKILL), side)

    def has_killed(self) -> bool:
        killed = self.server.process is None
        if killed:
            self.server.start()
        return killed


@EVERY_SIZE
@EVERY_HOP
def test_a_server_over_http(served_chain: Chain, hop: str, size: int) -> None:
    killer = ServerKiller(served_chain.servers[hop], served_chain.relays[hop])
    kill_again_and_again(served_chain, killer, size)
