"""Hidden services of tor: set up by one program, found by the other. There is no tor here, only
its files, seen in a mount namespace."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.world import World

PROGRAMS = ("shoal", "git-annex")
_AS_ROOT = """\
set -e
test ! -e /etc/torrc
if test -d /etc/tor; then mount -t tmpfs none /etc/tor; fi
mount --bind {root}/etc /usr/local/etc
mount --bind {root}/lib /var/lib
exec "$@"
"""
_SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> {root}/reloads
test -e {root}/broken && exit 1
dir=$(sed -n 's/^HiddenServiceDir //p' /usr/local/etc/tor/torrc | tail -n 1)
mkdir -p "$dir" && echo abc.onion > "$dir/hostname"
"""
TORRC = "HiddenServiceDir /var/lib/tor/web/\nHiddenServicePort 80 127.0.0.1:80\n"


class Machine:
    """A machine with tor, and a user who has a repository."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.uid = 1234 if os.geteuid() == 0 else 0  # 0 is ourselves in a user's namespace
        for name in ("etc/tor", "lib", "bin"):
            (world.root / name).mkdir(parents=True)
        self.torrc.write_text(TORRC)
        for name in ("systemctl", "service"):
            program = world.root / "bin" / name
            program.write_text(_SYSTEMCTL.format(root=world.root))
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{world.root / 'bin'}:{os.environ['PATH']}")

    @property
    def torrc(self) -> Path:
        return self.world.root / "etc" / "tor" / "torrc"

    @property
    def reloads(self) -> int:
        return len((self.world.root / "reloads").read_text().splitlines())

    def run(self, repo: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program as root."""
        private = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
        script = _AS_ROOT.format(root=self.world.root)
        return self.world.run(*private, "sh", "-c", script, "sh", *words, cwd=repo, check=False)

    def owned(self, repo: Path) -> Path:
        """Let the user own a repository."""
        if self.uid:
            self.world.run("chown", "-R", f"{self.uid}:{self.uid}", repo)
        return repo


@pytest.fixture
def machine(world: World, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(world, monkeypatch)


@pytest.mark.parametrize(("first", "second"), [PROGRAMS, PROGRAMS[::-1]])
def test_a_service_is_set_up_once(machine: Machine, first: str, second: str) -> None:
    world, uid = machine.world, machine.uid
    repo = world.make("repo")
    uuid = world.git(repo, "config", "annex.uuid")
    machine.owned(repo)
    assert machine.run(repo, first, "enable-tor", str(uid)).returncode == 0
    name = f"tor-annex_{uid}_{uuid}"
    text = machine.torrc.read_text()
    found = re.fullmatch(
        re.escape(f"{TORRC}\nHiddenServiceDir /var/lib/tor/{name}\nHiddenServicePort ")
        + rf"(\d+) unix:/var/lib/tor-annex/{uid}_{uuid}/s\n",
        text,
    )
    assert found is not None
    addresses = repo / ".git" / "annex" / "creds" / "p2paddrs"
    assert addresses.read_text() == f"tor-annex::abc.onion:{found[1]}\n"
    place = world.root / "lib" / "tor-annex" / f"{uid}_{uuid}"
    for path in (place, *(repo / ".git" / "annex").rglob("*")):
        assert path.stat().st_uid == (uid or os.getuid()), path
    assert machine.reloads == 1
    assert machine.run(repo, second, "enable-tor", str(uid)).returncode == 0
    assert machine.torrc.read_text() == text
    assert addresses.read_text() == f"tor-annex::abc.onion:{found[1]}\n"
    assert machine.reloads == 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_cannot_be_set_up(machine: Machine, program: str) -> None:
    world = machine.world
    repo, plain = world.make("repo"), world.root / "plain"
    world.run("git", "init", "-q", plain)
    uid = str(machine.uid)
    for where, words, said in (
        (repo, ["enable-tor"], "Need user-id parameter."),
        (repo, ["enable-tor", "me"], "Need user-id parameter."),
        (repo, ["p2p", "--enable", "tor"], "Cannot run this command as root."),
        (plain, ["enable-tor", uid], "This can only be run in a git-annex repository."),
    ):
        done = machine.run(where, program, *words)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert machine.torrc.read_text() == TORRC
    (world.root / "broken").touch()
    done = machine.run(repo, program, "enable-tor", uid)
    assert done.returncode == 1
    assert "failed to reload tor, perhaps the tor service is not running" in done.stderr
    assert not (repo / ".git" / "annex" / "creds").exists()
