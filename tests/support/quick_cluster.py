"""A cluster of bare repositories, made without the real program: in a moment."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from random import Random

from shoal.git.repository import Repository
from shoal.logs.proxy import Proxied
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE, git, make_annex
from tests.support.gateway import Gateway, objects_of
from tests.support.raw_http import RawClient, key_of
from tests.support.world import World

CLUSTER = UUID("acaaaaaa-0000-8000-8000-00000000000c")
GROUP = "nodes"


def uuid_of(name: str) -> UUID:
    """Give the UUID of the node with this name."""
    return UUID(hashlib.md5(name.encode()).hexdigest()[:8] + "-0000-4000-8000-00000000000a")


def make_cluster(world: World, count: int = 3) -> Gateway:
    """Make a gateway of the cluster `mycluster`, and its nodes node1, node2, …, which are in
    one group and want nothing in particular."""
    gateway = make_annex(world.root / "gateway", uuid=HERE)
    git(world.root / "gateway", "commit", "-q", "--allow-empty", "-m", "start")
    gateway.config.set("annex.cluster.mycluster", CLUSTER)
    gateway.logs.set_description(HERE, "gateway")
    paths = []
    for number in range(1, count + 1):
        name = f"node{number}"
        make_annex(world.root / name, bare=True, uuid=uuid_of(name)).close()
        paths.append(world.root / name)
        gateway.config.set(f"remote.{name}.url", str(world.root / name))
        gateway.config.set(f"remote.{name}.annex-uuid", uuid_of(name))
        gateway.config.set(f"remote.{name}.annex-cluster-node", "mycluster")
        gateway.logs.set_description(uuid_of(name), name)
        gateway.logs.set_groups(uuid_of(name), [GROUP])
    names = [path.name for path in paths]
    gateway.logs.set_cluster(CLUSTER, [uuid_of(name) for name in names])
    gateway.logs.set_proxies(
        HERE,
        [Proxied(CLUSTER, "mycluster"), *(Proxied(uuid_of(name), name) for name in names)],
    )
    gateway.branch.commit()
    gateway.close()
    return Gateway(world, world.root / "gateway", CLUSTER, paths)


def want(gateway: Gateway, **expressions: str) -> None:
    """Set what nodes want."""
    with Repository.open(gateway.path) as repository:
        for name, expression in expressions.items():
            repository.logs.set_wanted(uuid_of(name), expression)
        repository.branch.commit()


def want_all(gateway: Gateway, expression: str) -> None:
    """Set what all nodes want."""
    want(gateway, **{node.name: expression for node in gateway.nodes})


def fill(gateway: Gateway, contents: Mapping[str, bytes], *nodes: str) -> None:
    """Let nodes have contents, by key, and the gateway's log know it."""
    with Repository.open(gateway.path) as here:
        for name in nodes:
            with Repository.open(gateway.world.root / name) as node:
                for key, content in contents.items():
                    path = node.annex_path("incoming")
                    with open(path, "wb") as file:
                        file.write(content)
                    node.objects.place(Key.parse(key.encode()), path)
                    for logs in (node.logs, here.logs):
                        logs.set_location(Key.parse(key.encode()), uuid_of(name), True)
                node.branch.commit()
        here.branch.commit()


def some_contents(dice: Random, count: int, largest: int = 100_000) -> dict[str, bytes]:
    """Make contents by key."""
    made = [dice.randbytes(dice.randrange(1, largest)) for _ in range(count)]
    return {key_of(content): content for content in made}


def logged(gateway: Gateway, key: str) -> set[str]:
    """Give the names of the nodes that the gateway's log names."""
    names = {uuid_of(node.name): node.name for node in gateway.nodes}
    with Repository.open(gateway.path) as repository:
        found = repository.logs.locations(Key.parse(key.encode()), raw=True)
    return {names[uuid] for uuid in found}


def assert_whole(gateway: Gateway, contents: Mapping[str, bytes], *, copies: int = 1) -> None:
    """Every object in view is its key's content, there are enough copies of each, and the log
    names exactly the nodes that have it."""
    names = {uuid_of(node.name): node.name for node in gateway.nodes}
    with Repository.open(gateway.path) as repository:
        for key, content in contents.items():
            holders = set()
            for node in gateway.nodes:
                for path in objects_of(node, key):
                    assert path.read_bytes() == content, f"{key} is bad in {node.name}"
                    holders.add(node.name)
            found = repository.logs.locations(Key.parse(key.encode()), raw=True)
            assert len(holders) >= copies, f"{key} has copies in {holders or 'no node'} only"
            assert holders == {names[uuid] for uuid in found}, key


@dataclass
class Traffic:
    """Clients that store and fetch contents all the time. `contents` has what they were told
    was stored, and what was there before."""

    client: RawClient
    contents: dict[str, bytes]
    stored: int = 0
    fetched: int = 0
    wrong: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def store(self) -> None:
        """Store contents until it is over."""
        dice = Random(1)
        while not self.over.wait(0.05):
            content = dice.randbytes(dice.randrange(1, 20_000))
            key = key_of(content)
            try:
                answer = self.client.put(key, content)
            except OSError:  # the server is away
                continue
            if answer.status == 200 and answer.json().get("stored") is True:
                self.contents[key] = content
                self.stored += 1

    def fetch(self) -> None:
        """Fetch contents until it is over. What comes must be right."""
        dice = Random(2)
        while not self.over.wait(0.05):
            key, content = dice.choice(list(self.contents.items()))
            try:
                answer = self.client.get(key)
            except (OSError, HTTPException):
                continue
            if answer.status == 200:
                self.fetched += 1
                if answer.body != content:
                    self.wrong.append(key)


@contextmanager
def traffic(gateway: Gateway, contents: Mapping[str, bytes]) -> Iterator[Traffic]:
    """Let clients store and fetch while the context is open."""
    going_on = Traffic(RawClient(gateway.port, gateway.cluster), dict(contents))
    threads = [threading.Thread(target=work) for work in (going_on.store, going_on.fetch)]
    for thread in threads:
        thread.start()
    try:
        yield going_on
    finally:
        going_on.over.set()
        for thread in threads:
            thread.join()
