"""Repositories on a peer-to-peer network, with either program on each side."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from functools import partial
from pathlib import Path

import pytest

from shoal.git.p2pcreds import TOKEN_VARIABLE
from tests.support.gateway import make_gateway
from tests.support.p2p_network import Network, daemons_of, takes_connections
from tests.support.raw_http import key_of
from tests.support.wait import wait_until
from tests.support.world import World

PROGRAMS = ("shoal", "git-annex")
DATA = os.urandom(1_500_000)


@pytest.fixture
def network(world: World, monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network(world, monkeypatch)
    network.install()
    return network


def pair(world: World, network: Network, server: str, client: str) -> tuple[Path, Path]:
    """Make a repository, and one that has it as the remote `peer` and a file `f`."""
    there, here = world.make("there"), world.make("here")
    address = network.enable(there, server)
    with network.daemon(there, server):
        network.link(here, address, "peer", client)
    world.add(here, "f", DATA)
    return there, here


def holds(world: World, repo: Path, key: str) -> bool:
    return bool(world.run("git-annex", "contentlocation", key, cwd=repo, check=False).stdout)


@pytest.mark.parametrize(
    ("client", "server"), [("shoal", "shoal"), ("shoal", "git-annex"), ("git-annex", "shoal")]
)
def test_every_action(world: World, network: Network, client: str, server: str) -> None:
    there, here = pair(world, network, server, client)
    key = world.annex(here, "lookupkey", "f").strip()

    def act(*words: str) -> None:
        world.run(client, *words, cwd=here)

    with network.daemon(there, server):
        act("copy", "--to=peer", "f")
        assert holds(world, there, key)
        act("drop", "f")
        act("get", "f")
        assert (here / "f").read_bytes() == DATA
        act("drop", "--from=peer", "f", "--numcopies=1")
        assert not holds(world, there, key)
        act("move", "--to=peer", "f")
        assert not holds(world, here, key)
        act("move", "--from=peer", "f")
        assert holds(world, here, key)
        assert not holds(world, there, key)


def test_an_upload_that_is_cut_off_is_given_up(world: World, network: Network) -> None:
    """Without a sign that the client has gone. What came is kept, and nothing is locked."""
    there = world.make("there")
    world.git(there, "config", "shoal.client-stall-time", "0.2")
    token = network.enable(there, "shoal").rpartition(":")[2]
    key = key_of(DATA)

    def asked(*words: bytes) -> bytes:
        """Say something and nothing more; give all that comes until the peer leaves."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(network.directory / "there"))
            peer.sendall(b"AUTH u %s\nVERSION 4\nPUT  %s\n" % (token.encode(), key.encode()))
            peer.sendall(b"".join(words))
            return b"".join(iter(partial(peer.recv, 1 << 16), b""))

    with network.daemon(there):
        assert asked(b"DATA %d\n" % len(DATA), DATA[:1_000_000]).endswith(b"PUT-FROM 0\n")
        assert b"PUT-FROM 1000000\n" in asked(b"DATA 0\n")


def test_git_itself(world: World, network: Network) -> None:
    """Pushes and fetches of a real client, and what it records there."""
    there, here = pair(world, network, "shoal", "git-annex")
    with network.daemon(there):
        world.annex(here, "sync", "--content", "peer")
        assert "f" in world.git(there, "ls-tree", "--name-only", "synced/main")
        world.git(there, "branch", "news", "synced/main")
        world.git(here, "fetch", "-q", "peer")
        assert world.git(here, "rev-parse", "peer/news") == world.git(here, "rev-parse", "HEAD")
        refused = world.run("git", "push", "peer", "HEAD:refs/../x", cwd=here, check=False)
        assert refused.returncode
    assert "there" in world.annex(here, "whereis", "f")


@pytest.mark.parametrize("server", PROGRAMS)
def test_a_wrong_token(
    world: World, network: Network, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    there, here = pair(world, network, server, "shoal")
    with network.daemon(there, server):
        monkeypatch.setenv(TOKEN_VARIABLE, "0" * 128)
        done = world.run("shoal", "copy", "--to=peer", "f", cwd=here, check=False)
        assert done.returncode == 1
        assert "it does not accept the authentication token" in done.stdout + done.stderr
        done = world.run("git-annex", "copy", "--to=peer", "f", cwd=here, check=False)
        assert done.returncode == 1


def test_a_token_that_is_taken_back(world: World, network: Network) -> None:
    there, here = pair(world, network, "shoal", "shoal")
    tokens = there / ".git" / "annex" / "creds" / "p2pauth"
    with network.daemon(there):
        tokens.write_text("")
        assert world.run("git-annex", "copy", "--to=peer", "f", cwd=here, check=False).returncode
        address = world.run("git-annex", "p2p", "--gen-addresses", cwd=there).stdout.strip()
        network.link(here, address, "peer2")
        world.annex(here, "copy", "--to=peer2", "f")


def test_the_files_are_those_of_the_real_program(world: World, network: Network) -> None:
    for program in PROGRAMS:
        repo = world.make(f"by-{program}")
        network.enable(repo, program)
        creds = repo / ".git" / "annex" / "creds"
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in creds.iterdir()}
        assert found == {"p2paddrs": 0o600, "p2pauth": 0o600}
        assert (creds / "p2paddrs").read_text() == f"p2p-annex::test:{repo.name}\n"
        token, place = (creds / "p2pauth").read_text().split(" ")
        assert (len(token), place) == (128, f"p2p-annex::test:{repo.name}\n")
        with network.daemon(repo, program):
            [found_socket] = (repo / ".git" / "annex" / "p2p").iterdir()
            assert stat.S_IMODE(found_socket.stat().st_mode) == 0o777
            assert (network.directory / repo.name).resolve() == found_socket


@pytest.mark.parametrize("client", PROGRAMS)
def test_a_daemon_that_is_killed_in_mid_transfer(
    world: World, network: Network, client: str
) -> None:
    there, here = pair(world, network, "shoal", client)
    key = world.add(here, "large", os.urandom(60_000_000))
    partial = there / ".git" / "annex" / "tmp" / key
    with network.daemon(there) as daemon:
        copying = subprocess.Popen([client, "copy", "--to=peer", "large"], cwd=here)
        wait_until(lambda: partial.exists() and partial.stat().st_size > 100_000)
        daemon.send_signal(signal.SIGKILL)
        assert copying.wait(120) == 1
        daemon.wait()
    assert not holds(world, there, key)
    assert "there" not in world.annex(here, "whereis", "large")
    with network.daemon(there):
        world.run(client, "copy", "--to=peer", "large", cwd=here)
    assert holds(world, there, key)
    world.annex(there, "fsck", "--key", key)


def test_two_daemons(world: World, network: Network) -> None:
    there, here = pair(world, network, "shoal", "shoal")
    with network.daemon(there):
        second = subprocess.Popen(
            ["shoal", "remotedaemon", "--foreground"], cwd=there,
            stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert second.stderr is not None
        assert b"another remotedaemon serves it" in second.stderr.readline()
        second.communicate(b"STOP\n", timeout=120)
        assert second.returncode == 0
        world.run("shoal", "copy", "--to=peer", "f", cwd=here)


def test_in_the_background(world: World, network: Network) -> None:
    there, here = pair(world, network, "shoal", "shoal")
    link = network.directory / "there"
    link.unlink()
    world.run("shoal", "remotedaemon", cwd=there)
    wait_until(lambda: takes_connections(link))
    pids = daemons_of(there)
    try:
        world.run("shoal", "copy", "--to=peer", "f", cwd=here)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
    assert len(pids) == 1
    wait_until(lambda: not link.exists())


@pytest.mark.parametrize(("words", "status"), [(b"", 0), (b"STOP\n", 0), (b"FOO\n", 1)])
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_end_of_a_daemon(world: World, program: str, words: bytes, status: int) -> None:
    repo = world.make("repo")
    done = world.run(program, "remotedaemon", "--foreground", cwd=repo, check=False, data=words)
    assert done.returncode == status
    assert ("protocol error: FOO" in done.stderr) == bool(status)


def test_nodes_of_a_cluster(world: World, network: Network) -> None:
    """A shoal gateway has nodes behind sockets: one served by either program."""
    gateway = make_gateway(world)
    first, second = gateway.nodes[:2]
    for node, name, program in ((first, "node1", "shoal"), (second, "node2", "git-annex")):
        address, _, token = network.enable(node).rpartition(":")
        world.git(gateway.path, "config", f"remote.{name}.url", address)
        creds = gateway.path / ".git" / "annex" / "creds"
        creds.mkdir(exist_ok=True)
        (creds / f"test%3A{node.name}").write_text(token)
        assert program in PROGRAMS
    from tests.support.fake_ssh import Ssh

    ssh = Ssh(world, network.monkeypatch)
    ssh.install()
    client = ssh.clone(gateway.path)
    world.annex(client, "sync", "-q", "--no-content")
    key = world.add(client, "f", DATA)
    with network.daemon(first, "shoal"), network.daemon(second, "git-annex"):
        world.annex(client, "copy", "--to=origin-mycluster", "f")
        assert gateway.holders(key) == ["node1", "node2", "node3"]
        world.annex(client, "drop", "f", "--numcopies=1")
        world.annex(client, "get", "--from=origin-node2", "f")
        assert (client / "f").read_bytes() == DATA
        world.annex(client, "drop", "--from=origin-mycluster", "f")
        assert gateway.holders(key) == []


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    [
        (["--enable", "none"], "", "Cannot run git-annex-p2p-none -- It is not installed in PATH"),
        (["--gen-addresses"], "", "No P2P networks are currently available"),
        (["--link"], "", "Nothing entered, giving up"),
        (["--link"], "http://x\n\n", "Unable to parse that address"),
        (["--link"], "p2p-annex::none:x:abc\n", "Unable to connect with peer"),
        (["--link"], "p2p-annex::test:there:abc\n", "Unable to authenticate with peer"),
    ],
)
def test_what_cannot_be_set_up(
    world: World, network: Network, words: list[str], typed: str, said: str
) -> None:
    """Both programs refuse the same in the same words, and set up nothing."""
    there, here = world.make("there"), world.make("here")
    network.enable(there)
    with network.daemon(there):
        for program in PROGRAMS:
            data = typed.encode() or b"\n"
            done = world.run(program, "p2p", *words, cwd=here, check=False, data=data)
            assert done.returncode == 1
            assert said in done.stderr
    assert world.git(here, "remote") == ""
    assert not (here / ".git" / "annex" / "creds").exists()
