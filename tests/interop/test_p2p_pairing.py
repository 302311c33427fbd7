"""Pairing by Magic Wormhole, with either program at each end, and a wormhole of this machine."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.p2p_network import Network
from tests.support.world import World

PROGRAMS = ("shoal", "git-annex")
_WORMHOLE = """\
#!{python}
import os, sys, time
mailbox, *words = {mailbox!r}, *sys.argv[1:]
assert words[:2] == ["--appid", "git-annex.branchable.com/p2p-setup"], words
if words[2] == "send":
    code = f"{{os.getpid()}}-guitar-banana"
    os.link(words[3], os.path.join(mailbox, code))
    print("Wormhole code is:", code, file=sys.stderr)
    while os.path.exists(os.path.join(mailbox, code)):
        time.sleep(0.02)
else:
    assert words[2:5] == ["receive", "--accept-file", "--output-file"], words
    try:
        os.rename(os.path.join(mailbox, sys.stdin.readline().strip()), words[5])
    except FileNotFoundError:
        sys.exit("wormhole: no such code")
"""


@pytest.fixture
def network(world: World, monkeypatch: pytest.MonkeyPatch) -> Network:
    made = Network(world, monkeypatch)
    made.install()
    mailbox = world.root / "mailbox"
    mailbox.mkdir()
    program = world.root / "bin" / "wormhole"
    program.write_text(_WORMHOLE.format(python=sys.executable, mailbox=str(mailbox)))
    program.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(mailbox))
    return made


class Pairing:
    """A program that asks its user for a code."""

    def __init__(self, program: str, repo: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [program, "p2p", "--pair", *words], cwd=repo,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.said = ""

    def hear(self, pattern: str) -> str:
        """Wait until it says what fits `pattern`; give the group of that."""
        assert self.process.stdout is not None
        while (found := re.search(pattern, self.said)) is None:
            assert select.select([self.process.stdout], [], [], 60)[0], self.said
            data = os.read(self.process.stdout.fileno(), 4096)
            assert data, self.said
            self.said += data.decode()
        self.said = self.said[found.end() :]
        return found[1]

    def code(self) -> str:
        return self.hear(r"pairing code is: (\S+)\n")

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def end(self) -> int:
        said, _ = self.process.communicate(timeout=90)
        self.said += said.decode()
        return self.process.returncode


@pytest.mark.parametrize(
    ("one", "other"), [("shoal", "shoal"), ("shoal", "git-annex"), ("git-annex", "shoal")]
)
def test_two_repositories(world: World, network: Network, one: str, other: str) -> None:
    """Codes are understood with blanks; one's own is not taken for the other's."""
    here, there = world.make("here"), world.make("there")
    for repo in (here, there):
        world.run(one, "p2p", "--enable", "test", cwd=repo)
    with network.daemon(here), network.daemon(there):
        first, second = Pairing(one, here), Pairing(other, there, "--name", "-my/friend!")
        code, theirs = first.code(), second.code()
        first.tell(code)
        first.hear("(Oops)")
        first.tell("no code")
        first.hear("(That does not look like)")
        first.tell(theirs.replace("-", " "))
        second.tell(code)
        assert (first.end(), second.end()) == (0, 0)
        for program, repo, name in ((one, here, "peer1"), (other, there, "my_friend")):
            key = world.add(repo, "f", os.fsencode(repo))
            world.run(program, "copy", "--to", name, "f", cwd=repo)
            assert name in world.annex(repo, "whereis", "--key", key)
    assert list((world.root / "mailbox").iterdir()) == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_wrong_code(world: World, network: Network, program: str) -> None:
    repo = world.make("repo")
    network.enable(repo)
    pairing = Pairing(program, repo)
    code = pairing.code()
    pairing.tell("1-wrong-code")
    pairing.hear("(Exchanging pairing data)")
    (world.root / "mailbox" / code).unlink()  # the sender has found somebody
    assert pairing.end() == 1
    assert "Failed receiving data from pair." in pairing.said
    assert world.git(repo, "remote") == ""


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_needed(
    world: World, network: Network, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    repo = world.make("repo")
    done = world.run(program, "p2p", "--pair", cwd=repo, check=False)
    assert done.returncode == 1
    assert "No P2P networks are currently available." in done.stderr
    network.enable(repo)
    (world.root / "bin" / "wormhole").unlink()
    monkeypatch.setenv("PATH", os.environ["PATH"])
    done = world.run(program, "p2p", "--pair", cwd=repo, check=False)
    assert done.returncode == 1
    assert "Magic Wormhole is not installed, and is needed for pairing." in done.stderr


def test_who_says_nothing(world: World, network: Network) -> None:
    repo = world.make("repo")
    network.enable(repo)
    done = world.run("shoal", "p2p", "--pair", cwd=repo, check=False)
    assert done.returncode == 1
    assert "Nothing entered, giving up." in done.stderr
    assert not [left for left in (world.root / "mailbox").iterdir() if left.is_dir()]
