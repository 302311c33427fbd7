"""A cluster is rebalanced, drained, healed and scrubbed while a real git-annex client stores into
it and fetches from it, and while the operation, the server and a disk go away. In the end the
real program finds that all content is where the location logs say."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from tests.support.gateway import Gateway, make_gateway, objects_of, served
from tests.support.operating import begin, run
from tests.support.wait import wait_until
from tests.support.world import World

NODES = ("node1", "node2", "node3")
FILES = 16


@dataclass
class Client:
    """A clone that adds and stores files, and gets and drops others, all the time."""

    world: World
    repo: Path
    contents: dict[str, bytes]
    stored: dict[str, bytes] = field(default_factory=dict)  # by key
    fetched: int = 0
    wrong: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        dice = Random(3)
        number = 0
        while not self.over.is_set():
            number += 1
            content = dice.randbytes(dice.randrange(1, 20_000))
            key = self.world.add(self.repo, f"new{number}", content)
            if self._succeeds("copy", "--to=origin-mycluster", f"new{number}"):
                self.stored[key] = content
            name = dice.choice(list(self.contents))
            if self._succeeds("get", name):
                self.fetched += 1
                if (self.repo / name).read_bytes() != self.contents[name]:
                    self.wrong.append(name)
                self._succeeds("drop", "--force", name)

    def _succeeds(self, *words: str) -> bool:
        words = ("git-annex", *words, "--quiet")
        return self.world.run(*words, cwd=self.repo, check=False).returncode == 0


@contextmanager
def busy(gateway: Gateway, contents: dict[str, bytes]) -> Iterator[Client]:
    client = Client(gateway.world, gateway.client(), contents)
    thread = threading.Thread(target=client.work)
    thread.start()
    try:
        wait_until(lambda: client.fetched > 0 < len(client.stored))
        yield client
    finally:
        client.over.set()
        thread.join()


@pytest.fixture
def contents() -> dict[str, bytes]:
    dice = Random(7)
    return {f"f{number}": dice.randbytes(dice.randrange(1, 60_000)) for number in range(FILES)}


@pytest.fixture
def gateway(world: World, contents: dict[str, bytes]) -> Gateway:
    """All files are on node1 only."""
    made = make_gateway(world)
    for name, content in contents.items():
        (made.path / name).write_bytes(content)
    world.annex(made.path, "add", "-q", ".")
    world.git(made.path, "commit", "-q", "-m", "files")
    world.annex(made.path, "move", "-q", "--to=node1")
    world.annex(made.path, "numcopies", "2")
    for node in NODES:
        world.annex(made.path, "group", node, "nodes")
        world.annex(made.path, "wanted", node, "balanced=nodes:2")
    return made


def kill_in_the_middle(gateway: Gateway, *words: str) -> None:
    """Kill an operation, and the server, when it has done something."""
    operation = begin(gateway, *words, "--limit-rate=200kB")
    wait_until(operation.is_at_work)
    operation.process.kill()
    assert operation.end()[0] == -signal.SIGKILL
    gateway.stop(signal.SIGKILL)
    gateway.start()


def complete(gateway: Gateway, *words: str) -> None:
    """Run an operation until nothing is left to do. What a killed one promised to keep for ten
    minutes may be dropped in between, as if they were over."""
    for _ in range(5):
        code, shown = run(gateway, *words)
        if code == 0:
            return
        for node in gateway.nodes:
            end_promises(node)
    raise AssertionError(shown)


def end_promises(node: Path) -> None:
    """Remove what tells until when content must be kept."""
    for promise in node.rglob("annex/objects/*/*/*/*.rtm"):
        promise.parent.chmod(0o755)
        promise.unlink()


def harm(node: Path) -> None:
    """Let a node lose every third object, and spoil every third."""
    objects = node / ".git" / "annex" / "objects"
    for number, path in enumerate(sorted(one for one in objects.glob("*/*/*/*") if one.is_file())):
        path.parent.chmod(0o755)
        path.chmod(0o644)
        if number % 3 == 0:
            path.unlink()
        elif number % 3 == 1:
            path.write_bytes(bytes(path.stat().st_size))


def test_nothing_is_lost(world: World, gateway: Gateway, contents: dict[str, bytes]) -> None:
    node2 = gateway.nodes[1]
    with served(gateway), busy(gateway, contents) as client:
        kill_in_the_middle(gateway, "rebalance")
        gateway.take_away(node2)
        code, shown = run(gateway, "rebalance")
        assert code == 1, shown
        gateway.bring_back(node2)
        complete(gateway, "rebalance")
        kill_in_the_middle(gateway, "drain", "node1")
        complete(gateway, "drain", "node1")
        run(gateway, "drain", "node1", "--undo")
        harm(node2)
        kill_in_the_middle(gateway, "heal")
        complete(gateway, "heal")
        scrubbed = world.run("shoal", "cluster", "scrub", cwd=gateway.path)
        assert " bad, " in scrubbed.stdout
        complete(gateway, "rebalance")
    assert client.wrong == []
    complete(gateway, "rebalance")  # what was stored while that went on
    keys = world.annex(gateway.path, "find", "--anything", "--format=${key} ${file}\\n").split()
    expected = {key: contents[name] for key, name in zip(keys[::2], keys[1::2], strict=True)}
    assert len(expected) == FILES
    for key, content in {**expected, **client.stored}.items():
        found = [path for node in gateway.nodes for path in objects_of(node, key)]
        assert [path.read_bytes() for path in found] == [content] * 2, key
    branch = "refs/heads/git-annex:refs/remotes/gateway/git-annex"
    for node in gateway.nodes:
        world.git(node, "fetch", "-q", gateway.path, branch)
        world.annex(node, "merge")
        world.annex(node, "fsck", "--all", "-q", "--numcopies=2")
