"""git over a peer-to-peer network: shoal's remote helper and daemon, and the real ones."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from shoal.git.p2pcreds import TOKEN_VARIABLE
from tests.support.p2p_network import Network
from tests.support.wait import wait_until
from tests.support.world import World

DATA = os.urandom(3_000_000)


@pytest.fixture
def network(world: World, monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network(world, monkeypatch)
    network.install()
    return network


@pytest.fixture
def there(world: World) -> Path:
    repo = world.make("there")
    world.git(repo, "commit", "-q", "--allow-empty", "-m", "start")
    return repo


@pytest.mark.parametrize("helper", ["shoal", "git-annex"])
def test_clones_pushes_and_fetches(
    world: World, network: Network, there: Path, monkeypatch: pytest.MonkeyPatch, helper: str
) -> None:
    """Also from a clone that has no annex, with the token in the environment."""
    if helper == "git-annex":
        network.use_git_helper_of_git_annex()
    address, _, token = network.enable(there).rpartition(":")
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    with network.daemon(there):
        here = world.root / "here"
        world.run("git", "clone", "-q", address, here)
        (here / "large").write_bytes(DATA)
        world.git(here, "add", "large")
        world.git(here, "commit", "-q", "-m", "large")
        world.git(here, "push", "-q", "origin", "HEAD:refs/heads/pushed")
        world.git(there, "fsck", "--connectivity-only")
        world.run("git", "clone", "-q", "--branch=pushed", address, world.root / "other")
        assert (world.root / "other" / "large").read_bytes() == DATA
        pushed = world.git(here, "rev-parse", "HEAD")
        assert f"{pushed}\trefs/heads/pushed" in world.git(here, "ls-remote", "origin")


def test_the_real_daemon(
    world: World, network: Network, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Now and then it ends a connection too early, or never, also with its own helper."""
    address, _, token = network.enable(there).rpartition(":")
    monkeypatch.setenv(TOKEN_VARIABLE, token)

    def works(*words: str) -> bool:
        return not world.run("timeout", "20", "git", *words, cwd=here, check=False).returncode

    with network.daemon(there, "git-annex"):
        here = world.make("here")
        key = world.add(here, "f", b"content")
        wait_until(lambda: works("push", "-q", address, "HEAD:refs/heads/pushed"))
        assert key in world.git(there, "cat-file", "-p", "pushed:f")
        wait_until(lambda: works("fetch", "-q", address, "git-annex:refs/fetched"))
        branch = world.git(there, "rev-parse", "git-annex")
        assert world.git(here, "rev-parse", "refs/fetched") == branch


@pytest.mark.parametrize(
    ("url", "token", "said"),
    [
        ("p2p-annex::test:there", "wrong", "authentication failed, perhaps you need to set"),
        ("p2p-annex::test:nowhere", "x", "git-annex-p2p-test could not connect: it ended with"),
        ("p2p-annex::none:there", "x", "git-annex-p2p-none is not installed in PATH"),
        ("p2p-annex::test", "x", "p2p-annex::test is not like p2p-annex::NETWORK:ADDRESS"),
    ],
)
def test_what_cannot_be_reached(
    world: World,
    network: Network,
    there: Path,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    token: str,
    said: str,
) -> None:
    network.enable(there)
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    with network.daemon(there):
        failed = world.run("git", "ls-remote", url, cwd=there, check=False)
    assert failed.returncode == 128
    assert failed.stderr.count("\n") == 1
    assert said in failed.stderr


@pytest.mark.parametrize(
    ("words", "asked", "said"),
    [
        (["peer"], b"", "with the name of a remote and its address"),
        (["peer", "test:there"], b"list\n", "git asked for 'list'"),
        (["peer", "test:there"], b"connect git-shell\n", "git asked for 'connect git-shell'"),
    ],
)
def test_what_git_does_not_say(there: Path, words: list[str], asked: bytes, said: str) -> None:
    helper = ["git-remote-p2p-annex", *words]
    failed = subprocess.run(helper, cwd=there, input=asked, capture_output=True, check=False)
    assert failed.returncode == 1
    assert said in failed.stderr.decode()
    assert b"Traceback" not in failed.stderr


def test_a_git_that_is_killed_leaves_no_helper(world: World, network: Network, there: Path) -> None:
    """It has not said that it needs no more, so the service would wait for it."""
    address = network.enable(there)
    here = world.make("here")
    with network.daemon(there):
        network.link(here, address, "peer", "shoal")
        words = ["git-remote-p2p-annex", "peer", "test:there"]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, cwd=here, stdin=pipe, stdout=pipe) as helper:
            assert helper.stdin is not None
            assert helper.stdout is not None
            helper.stdin.write(b"connect git-upload-pack\n")
            helper.stdin.flush()
            assert helper.stdout.readline() == b"\n"
            assert helper.stdout.read(4)  # the service has begun
            helper.stdout.close()
            helper.stdin.close()
            assert helper.wait(timeout=120) != -signal.SIGKILL
