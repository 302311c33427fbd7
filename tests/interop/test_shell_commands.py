"""What shoal-shell's less common commands do, beside the real program."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.gateway import left_behind, objects_of
from tests.support.world import World

SHELLS = ("git-annex-shell", "shoal-shell")
FORWARD = '#!/bin/sh\nshift\nexec sh -c "$*"\n'


class Changes:
    """A running `notifychanges`."""

    def __init__(self, shell: str, repository: Path) -> None:
        self.process = subprocess.Popen(
            [shell, "notifychanges", repository],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def end(self) -> int:
        self.process.communicate()
        return self.process.returncode


@pytest.mark.parametrize("shell", SHELLS)
def test_notifychanges(world: World, shell: str) -> None:
    repository = world.make("repository")
    world.git(repository, "commit", "-q", "--allow-empty", "-m", "one")
    changes = Changes(shell, repository)
    assert changes.line() == "READY"
    branch = world.git(repository, "rev-parse", "git-annex")
    first = changes.line().split()
    assert first[0] == "CHANGED"
    assert branch in first[1:]
    world.git(repository, "commit", "-q", "--allow-empty", "-m", "two")
    head = world.git(repository, "rev-parse", "HEAD")
    assert changes.line() == f"CHANGED {head}"
    world.git(repository, "branch", "new", "HEAD~")
    assert changes.line() == f"CHANGED {world.git(repository, 'rev-parse', 'new')}"
    world.git(repository, "branch", "-D", "new")
    world.git(repository, "pack-refs", "--all")
    world.git(repository, "tag", "last")
    assert changes.line() == f"CHANGED {head}"
    assert changes.end() == 1


@pytest.fixture
def forward(world: World) -> Path:
    """What stands in for ssh: HOST COMMAND."""
    script = world.root / "forward"
    script.write_text(FORWARD)
    script.chmod(0o755)
    return script


def _rsync(forward: Path, command: str, *words: str | Path) -> int:
    """Run rsync with the shell command at its other end."""
    assert shutil.which("rsync")
    path = forward.parent / "command"
    path.write_text(f"#!/bin/sh\nexec {command}\n")
    path.chmod(0o755)
    forward.write_text(f"#!/bin/sh\nexec {path}\n")
    done = subprocess.run(["rsync", "-e", forward, "--inplace", *words], check=False)
    return done.returncode


@pytest.mark.parametrize("shell", SHELLS)
def test_content_by_rsync(world: World, forward: Path, shell: str) -> None:
    server, client = world.make("server"), world.make("client")
    content = os.urandom(50_000)
    key = world.add(client, "f", content)
    uuid = world.git(server, "config", "annex.uuid")
    fields = "--uuid {} -- remoteuuid={} -- --server".format(
        uuid, world.git(client, "config", "annex.uuid")
    )
    receive = f"{shell} recvkey '{server}' '{key}' {fields}"
    wrong = world.root / "wrong"
    wrong.write_bytes(b"x" * len(content))
    assert _rsync(forward, receive, wrong, "host:") != 0
    assert objects_of(server, key) == []
    assert _rsync(forward, receive, "-L", client / "f", "host:") == 0
    (found,) = objects_of(server, key)
    assert found.read_bytes() == content
    world.annex(server, "readpresentkey", key, uuid)
    got = world.root / "got"
    assert _rsync(forward, f"{shell} sendkey '{server}' '{key}' {fields}", "host:", got) == 0
    assert got.read_bytes() == content
    assert _rsync(forward, f"{shell} sendkey '{server}' 'SHA1--1' {fields}", "host:", got) != 0
    assert [path for path in left_behind(server) if "failed" not in str(path)] == []


@pytest.mark.parametrize("shell", SHELLS)
def test_a_repository_of_gcrypt(world: World, forward: Path, shell: str) -> None:
    """It has an id in the place of a UUID, and no logs."""
    client = world.make("client")
    key = world.add(client, "f", b"content")
    server = world.root / "server"
    world.run("git", "init", "-q", "--bare", server)
    world.run(shell, "gcryptsetup", server, ":id:1")
    said = world.run(shell, "configlist", server).stdout
    assert said == "annex.uuid=\ncore.gcrypt-id=:id:1\n"
    assert world.git(server, "config", "receive.denyNonFastForwards") == "false"
    command = f"{shell} recvkey '{server}' '{key}'"
    assert _rsync(forward, command, "-L", client / "f", "host:") == 0
    assert world.run(shell, "inannex", server, key).returncode == 0
    got = world.root / "got"
    assert _rsync(forward, f"{shell} sendkey '{server}' '{key}'", "host:", got) == 0
    assert got.read_bytes() == b"content"
    world.run(shell, "dropkey", server, key, "--force")
    assert world.run(shell, "inannex", server, key, check=False).returncode == 1


@pytest.mark.parametrize("shell", SHELLS)
def test_keys_on_standard_input(world: World, shell: str) -> None:
    """All are dropped up to the first that is none."""
    server = world.make("server")
    keys = [world.add(server, name, name.encode()) for name in ("a", "b", "c", "d", "e")]
    words = (shell, "dropkey", server, "--force", "--batch")

    def dropped(*rest: str, keys_in: str) -> tuple[int, list[str]]:
        done = world.run(*words, *rest, data=keys_in.encode(), check=False)
        assert done.returncode == 0 or "Batch input parse failure: bad key" in done.stderr
        gone = [key for key in keys if not objects_of(server, key)]
        for key in gone:
            here = world.git(server, "config", "annex.uuid")
            words_too = ("git-annex", "readpresentkey", key, here)
            assert world.run(*words_too, cwd=server, check=False).returncode == 1
        return done.returncode, gone

    assert dropped(keys_in="") == (0, [])
    assert dropped(keys_in=f"{keys[0]}\n{keys[0]}") == (0, keys[:1])
    assert dropped("-z", keys_in=f"{keys[1]}\0{keys[2]}\0") == (0, keys[:3])
    assert dropped(keys_in=f"{keys[3]}\nnonsense\n{keys[4]}\n") == (1, keys[:4])


def test_no_rsync(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    server = world.make("server")
    key = world.add(server, "f", b"content")
    shell, git = shutil.which("shoal-shell"), shutil.which("git")
    assert shell is not None
    assert git is not None
    commands = world.root / "bin"
    commands.mkdir()
    (commands / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(commands))
    done = world.run(shell, "sendkey", server, key, check=False)
    assert done.returncode == 1
    assert done.stderr == "shoal-shell: rsync is not installed on this server\n\n"


def test_debug_goes_to_standard_error(world: World) -> None:
    server = world.make("server")
    done = world.run("shoal-shell", "configlist", server, "--debug")
    plain = world.run("shoal-shell", "configlist", server)
    assert (done.stdout, plain.stderr) == (plain.stdout, "")
    assert "(git.process)" in done.stderr


@pytest.mark.parametrize(
    ("version", "end"), [("", ""), ("VERSION 1\n", "INVALID\n"), ("VERSION 1\n", "")]
)
def test_content_that_nobody_vouches_for(world: World, version: str, end: str) -> None:
    """What no checksum can tell, and the sender does not say: the real program believes it."""
    said = f"{version}PUT  WORM-s3-m1--x\nDATA 3\nabc{end}"
    for shell, is_stored in zip(SHELLS, (True, False), strict=True):
        repository = world.make(shell)
        there = world.git(repository, "config", "annex.uuid")
        world.run(shell, "p2pstdio", repository, there, data=said.encode(), check=False)
        assert bool(objects_of(repository, "WORM-s3-m1--x")) is is_stored
