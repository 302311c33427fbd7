"""A shoal gateway and a real one, in front of each other, with a real client, over ssh."""

from __future__ import annotations

import os

import pytest

from shoal.git.repository import Repository
from tests.support.fake_ssh import Ssh
from tests.support.gateway_pair import Pair, make_pair, share_a_node
from tests.support.wait import wait_until
from tests.support.world import World


@pytest.fixture(params=["server", "real"])
def pair(request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """The first is shoal and the second the real program; and the other way round."""
    ssh = Ssh(world, monkeypatch)
    ssh.install()
    return make_pair(world, str(request.param))


def test_a_client_of_two_gateways(world: World, pair: Pair) -> None:
    client = pair.client
    data = os.urandom(200_000)
    key = world.add(client, "f", data)
    world.annex(client, "copy", "--to=origin-mycluster", "f")
    assert pair.holders(key) == ["node1", "node2"]
    assert pair.logged(pair.first.path, key) == {"node1", "node2"}
    world.annex(client, "drop", "f", "--numcopies=1")
    world.annex(client, "get", "--from=origin-second-node2", "f")
    assert (client / "f").read_bytes() == data
    world.annex(client, "drop", "--from=origin-mycluster", "f")
    assert pair.holders(key) == []
    assert pair.logged(pair.first.path, key) == set()


def test_what_the_second_gateway_has_already(world: World, pair: Pair) -> None:
    """The real gateway in front breaks off when it hears who has the key."""
    key = world.add(pair.client, "f", b"content")
    world.run("git", "-C", pair.client, "annex", "copy", "-q", "--to=origin-second-node2", "f")
    _forget(pair)
    world.annex(pair.client, "copy", "--to=origin-mycluster", "f", "--fast")
    assert pair.holders(key) == ["node1", "node2"]


def _forget(pair: Pair) -> None:
    """Let nobody but the node know that the node has its keys."""
    uuid = pair.second.uuid_of(pair.second.nodes[0])
    key = pair.world.annex(pair.client, "lookupkey", "f").strip()
    for repo in (pair.client, pair.first.path, pair.second.path):
        pair.world.annex(repo, "setpresentkey", key, uuid, "0")


@pytest.mark.parametrize("version", [0, 1])
def test_an_old_client_ends(world: World, pair: Pair, version: int) -> None:
    """It cannot say by which gateways it came; two real gateways ask each other for ever."""
    data = b"content of an old client"
    key = world.add(pair.client, "f", data)
    words = [pair.shell, "p2pstdio", str(pair.first.path), "me", "--uuid", pair.first.cluster]
    begin = b"VERSION 1\n" if version else b""
    end = b"VALID\n" if version else b""
    put = b"PUT  %s\nDATA %d\n%s%s" % (key.encode(), len(data), data, end)
    requests = put + b"CHECKPRESENT %s\nREMOVE %s\n" % (key.encode(), key.encode())
    said = world.run(*words, data=begin + requests).stdout.splitlines()
    assert said[1 + version :] == ["PUT-FROM 0", "SUCCESS", "SUCCESS", "SUCCESS"]
    assert pair.holders(key) == []


@pytest.mark.parametrize("size", [1_000, 2_000_000])
def test_a_node_on_two_paths_stores_an_upload_once(world: World, pair: Pair, size: int) -> None:
    share_a_node(pair)
    stores = world.root / "stores"
    for node in (*pair.first.nodes, *pair.second.nodes):  # run for what comes, and its directory
        count = f"test -d %path || echo {node.name} >> {stores}"
        world.git(node, "config", "annex.freezecontent-command", count)
    key = world.add(pair.client, "f", os.urandom(size))
    world.annex(pair.client, "copy", "--to=origin-mycluster", "f")
    assert pair.holders(key) == ["node1", "node2"]
    assert sorted(stores.read_text().split()) == ["node1", "node2"]
    assert pair.logged(pair.first.path, key) == {"node1", "node2"}


@pytest.mark.parametrize("pair", ["server"], indirect=True)
def test_what_a_session_stored_the_other_gateway_hears(world: World, pair: Pair) -> None:
    """The client does not wait for that: another process tells it."""
    key = world.add(pair.client, "f", b"content")
    world.annex(pair.client, "copy", "--to=origin-node1", "f")

    def known() -> bool:
        world.annex(pair.second.path, "merge")
        return pair.logged(pair.second.path, key) == {"node1"}

    wait_until(known)
    world.git(pair.first.path, "config", "shoal.share-log", "false")
    world.annex(pair.client, "drop", "--from=origin-node1", "f")
    assert pair.logged(pair.first.path, key) == set()
    lock = pair.first.path / ".git" / "annex" / "shoal" / "share.lck"
    with Repository.open(pair.first.path) as repository:
        repository.locker.exclusive(str(lock)).release()  # nobody is at it now
    assert known()
