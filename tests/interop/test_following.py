"""What changes in a remote is fetched at once, with either program at each end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.fake_ssh import Ssh
from tests.support.p2p_network import Network
from tests.support.wait import wait_until
from tests.support.world import World

PROGRAMS = ("shoal", "git-annex")
HOSTS = ("server", "real")
EVERY = pytest.mark.parametrize(
    ("client", "host"), [(client, host) for client in PROGRAMS for host in HOSTS]
)


@dataclass
class Daemon:
    """A remotedaemon in the foreground."""

    process: subprocess.Popen[bytes]
    unread: bytes = b""

    def line(self) -> str:
        """Wait for what it says next."""
        assert self.process.stdout is not None
        while b"\n" not in self.unread:
            assert select.select([self.process.stdout], [], [], 120)[0], "it says nothing"
            data = os.read(self.process.stdout.fileno(), 4096)
            assert data, "it has ended"
            self.unread += data
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode()

    def hear(self, uri: str) -> str:
        """Wait for what it says about `uri`, and about nothing else."""
        word, found, *rest = self.line().split()
        assert found == uri
        return " ".join([word, *rest])

    def fetches(self, uri: str, make_news: Callable[[], object]) -> None:
        """Wait until it has fetched news. They are made again while it says nothing: the first
        may come before anybody looks out for changes."""
        assert self.process.stdout is not None
        make_news()
        while not self.unread and not select.select([self.process.stdout], [], [], 10)[0]:
            make_news()
        assert self.hear(uri) == "SYNCING"
        assert self.hear(uri) == "DONESYNCING 1"

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n".encode())
        self.process.stdin.flush()


@contextmanager
def daemon(program: str, repo: Path) -> Iterator[Daemon]:
    process = subprocess.Popen(
        [program, "remotedaemon", "--foreground"], cwd=repo,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Daemon(process)
        process.communicate(b"STOP\n", timeout=30)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()  # what it started may still have the other ends


@dataclass
class Followed:
    """A repository `there`, which `here` has as its remote `origin`."""

    world: World
    there: Path
    here: Path
    uri: str

    def change(self) -> str:
        """Make a commit; give its name."""
        self.world.git(self.there, "commit", "-q", "--allow-empty", "-m", "news")
        return self.newest()

    def newest(self) -> str:
        return self.world.git(self.there, "rev-parse", "HEAD")

    def has(self, commit: str) -> bool:
        words = ("git", "cat-file", "-e", commit)
        return self.world.run(*words, cwd=self.here, check=False).returncode == 0


def make(world: World, monkeypatch: pytest.MonkeyPatch, host: str) -> Followed:
    """Make a pair; the login shell of ssh is shoal-shell at the host `server`, the real one at
    `real`."""
    Ssh(world, monkeypatch).install()
    there = world.make("there")
    world.git(there, "commit", "-q", "--allow-empty", "-m", "start")
    uri = f"ssh://{host}{there}"
    here = world.root / "here"
    world.run("git", "clone", "-q", uri, here)
    world.annex(here, "init", "-q", "here")
    world.git(here, "config", "remote.origin.annex-uuid", world.git(there, "config", "annex.uuid"))
    return Followed(world, there, here, uri)


def listeners(repo: Path) -> list[int]:
    """Give the process ids of those who tell of changes in `repo`, and of what leads to them."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                words = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if b"notifychanges" in words and os.fsencode(repo) in words:
                found.append(int(process.name))
    return found


@EVERY
def test_every_command(
    world: World, monkeypatch: pytest.MonkeyPatch, client: str, host: str
) -> None:
    made = make(world, monkeypatch, host)
    with daemon(client, made.here) as running:
        assert running.hear(made.uri) == "CONNECTED"
        running.fetches(made.uri, made.change)
        assert made.has(made.newest())
        for word in ("PAUSE", "LOSTNET"):
            running.say(word)
            assert running.hear(made.uri) == "DISCONNECTED"
            running.say("CHANGED 0123456789012345678901234567890123456789")
            running.say("RESUME")
            assert running.hear(made.uri) == "CONNECTED"
        running.say("RESUME")
        running.say("RELOAD")
        world.git(made.here, "config", "remote.origin.annex-sync", "false")
        running.say("RELOAD")
        assert running.hear(made.uri) == "DISCONNECTED"


@EVERY
def test_a_connection_that_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, client: str, host: str
) -> None:
    made = make(world, monkeypatch, host)
    with daemon(client, made.here) as running:
        assert running.hear(made.uri) == "CONNECTED"
        for pid in listeners(made.there):
            os.kill(pid, signal.SIGKILL)
        assert running.hear(made.uri) == "DISCONNECTED"
        assert running.hear(made.uri) == "CONNECTED"
        running.fetches(made.uri, made.change)
        assert made.has(made.newest())


@pytest.mark.parametrize(
    ("client", "host"), [("shoal", "server"), ("shoal", "real"), ("git-annex", "server")]
)
def test_what_is_known_here_beside_what_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch, client: str, host: str
) -> None:
    """A push of ours and one of somebody else, at the same time. With the real program at both
    ends nothing is fetched, if it tells of both in one line."""
    made = make(world, monkeypatch, host)
    known = world.git(made.there, "rev-parse", "HEAD")
    made_so_far: list[str] = []

    def push_both() -> None:
        number = len(made_so_far)
        new = world.git(made.there, "commit-tree", "-m", f"new {number}", "HEAD^{tree}")
        made_so_far.append(new)
        updates = f"update refs/heads/a{number} {known}\nupdate refs/heads/b{number} {new}\n"
        world.run("git", "update-ref", "--stdin", cwd=made.there, data=updates.encode())

    with daemon(client, made.here) as running:
        assert running.hear(made.uri) == "CONNECTED"
        running.fetches(made.uri, push_both)
        assert made.has(made_so_far[-1])


@pytest.mark.parametrize("host", HOSTS)
def test_what_was_missed(world: World, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    made = make(world, monkeypatch, host)
    commit = made.change()
    with daemon("shoal", made.here) as running:
        assert running.hear(made.uri) == "CONNECTED"
        assert running.hear(made.uri) == "SYNCING"
        assert running.hear(made.uri) == "DONESYNCING 1"
        assert made.has(commit)


@pytest.mark.parametrize("client", PROGRAMS)
def test_what_must_not_be_fetched(
    world: World, monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    made = make(world, monkeypatch, "server")
    world.git(made.here, "config", "remote.origin.annex-pull", "false")
    with daemon(client, made.here) as running:
        assert running.hear(made.uri) == "CONNECTED"
        commit = made.change()
        running.say("PAUSE")
        assert running.hear(made.uri) == "DISCONNECTED"
        assert not made.has(commit)


URIS = {
    "server:rel/path": "ssh://server/~/rel/path",
    "user@server:/abs": "ssh://user@server/abs",
    "[::1]:/bracketed": "ssh://[::1]/bracketed",
    "ssh://user:secret@server:2222/x": "ssh://user:...@server:2222/x",
    "server:/a b/ü": "ssh://server/a%20b/%C3%BC",
    "ssh://server/a%20b": "ssh://server/a%20b",
    "server:~you/x": "ssh://server/~you/x",
    "ssh://SERVER/x/": "ssh://SERVER/x/",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_names_of_remotes(world: World, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Also of those that are ignored for content, but not of those that are not to be synced."""
    script = world.root / "anyhost"
    script.write_text("#!/bin/sh\necho READY\ncat >/dev/null\n")
    script.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(script))
    monkeypatch.setenv("GIT_ANNEX_USE_GIT_SSH", "1")
    repo = world.make("repo")
    others = ["ssh://server/not-synced", "http://127.0.0.1:1/x", str(world.root)]
    for number, url in enumerate([*URIS, *others]):
        world.git(repo, "config", f"remote.r{number}.url", url)
        world.git(repo, "config", f"remote.r{number}.fetch", "+refs/heads/*:refs/remotes/r/*")
    world.git(repo, "config", "remote.r0.annex-ignore", "true")
    world.git(repo, "config", f"remote.r{len(URIS)}.annex-sync", "false")
    with daemon(program, repo) as running:
        found = {running.line() for _ in URIS}
    assert found == {f"CONNECTED {uri}" for uri in URIS.values()}


@pytest.mark.parametrize("client", PROGRAMS)
def test_peers(world: World, monkeypatch: pytest.MonkeyPatch, client: str) -> None:
    """A fetch by git-remote-p2p-annex from the real daemon now and then never ends."""
    network = Network(world, monkeypatch)
    network.install()
    there, here = world.make("there"), world.make("here")
    world.git(there, "commit", "-q", "--allow-empty", "-m", "start")
    address = network.enable(there)
    uri = address.rpartition(":")[0]
    with network.daemon(there):
        network.link(here, address, "peer", client)
        with daemon(client, here) as running:
            made = Followed(world, there, here, uri)
            assert running.hear(uri) == "CONNECTED"
            if client == "shoal":  # nobody tells it what it missed: it looks
                assert running.hear(uri) == "SYNCING"
                assert running.hear(uri) == "DONESYNCING 1"
            first = made.change()  # perhaps before the peer looks out for changes
            wait_until(lambda: made.has(first) or not made.change())


def test_peers_change_what_other_gateways_hear_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon of a gateway shares the git-annex branch when a peer stored something."""
    network = Network(world, monkeypatch)
    network.install()
    there, here = world.make("there"), world.make("here")
    world.git(there, "commit", "-q", "--allow-empty", "-m", "start")
    world.annex(there, "initcluster", "mycluster")
    other = world.root / "other"
    world.run("git", "clone", "-q", there, other)
    world.annex(other, "init", "-q", "other")
    cluster = world.git(there, "config", "annex.cluster.mycluster")
    world.git(there, "remote", "add", "other", other)
    world.git(there, "config", "remote.other.annex-cluster-gateway", cluster)
    address = network.enable(there)
    key = world.add(here, "f", b"content")
    uuid = world.git(there, "config", "annex.uuid")

    def known() -> bool:
        log = world.run("git", "grep", "-h", f"1 {uuid}", "synced/git-annex", "--", f"*{key}.log",
                        cwd=other, check=False)  # fmt: skip
        return bool(log.stdout)

    with network.daemon(there):
        network.link(here, address, "peer")
        world.annex(here, "copy", "--to=peer", "f")
        wait_until(known)
