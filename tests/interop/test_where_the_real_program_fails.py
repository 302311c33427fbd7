"""What git-annex 10.20261026 does as a gateway where shoal does something else.

These are the first halves of rows in docs/differences.md; the tests that are named there show the
second. When one of these fails, the real program was mended: then the row can go.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fake_ssh import DEEPEST, Ssh
from tests.support.gateway import make_gateway, served
from tests.support.gateway_pair import Pair, make_pair
from tests.support.raw_http import RawClient
from tests.support.real_p2phttp import RealServer
from tests.support.world import World

REAL, SHOAL = ["git-annex-shell", "p2pstdio"], ["shoal-shell", "p2pstdio"]
ABSENT = "SHA256E-s1--absent"


@pytest.fixture(scope="module")
def ssh(shared_world: World, module_patch: pytest.MonkeyPatch) -> Ssh:
    made = Ssh(shared_world, module_patch)
    made.install()
    return made


@pytest.fixture(scope="module")
def pair(ssh: Ssh) -> Pair:
    made = make_pair(ssh.world, "real", "real")
    # The cheapest that may have a key is asked; of equals, any.
    made.world.git(made.first.path, "config", "remote.node1.annex-cost", "300")
    return made


def converse(world: World, program: list[str], repo: Path, uuid: str, *lines: str) -> list[str]:
    """Say all lines in one session; give what is answered to them, if it goes on that long."""
    said = "".join(f"{line}\n" for line in ("VERSION 2", *lines)).encode()
    done = world.run(*program, repo, "me", "--uuid", uuid, data=said, check=False)
    return done.stdout.splitlines()[2:]


def test_w3_an_upload_fails_because_the_other_gateway_has_it_already(pair: Pair) -> None:
    world, client = pair.world, pair.client
    key = world.add(client, "w3", b"content for w3")
    world.annex(client, "copy", "--to=origin-second-node2", "w3")
    for repo in (client, pair.first.path, pair.second.path):
        node = pair.second.uuid_of(pair.second.nodes[0])
        world.annex(repo, "setpresentkey", key, node, "0")
    words = ["git-annex", "copy", "--to=origin-mycluster", "--fast", "w3"]
    assert world.run(*words, cwd=client, check=False).returncode == 1
    assert pair.holders(key) == ["node2"]


@pytest.mark.parametrize(("program", "found"), [(REAL, False), (SHOAL, True)])
def test_w4_what_a_node_has_is_not_found(pair: Pair, program: list[str], found: bool) -> None:
    """The other gateway is asked in vain: it counts as a location of whatever the cluster has."""
    world, client = pair.world, pair.client
    name = f"w4-{found}"
    key = world.add(client, name, name.encode())
    world.annex(client, "copy", "--to=origin-node1", name)
    asked = f"CHECKPRESENT {key}"
    said = converse(world, program, pair.first.path, pair.first.cluster, asked)
    assert said == ["SUCCESS" if found else "FAILURE"]


def test_w5_gateways_call_each_other_for_an_old_client(pair: Pair, ssh: Ssh) -> None:
    key = pair.world.add(pair.client, "w5", b"content for w5")
    before = len(ssh.commands())
    put = f"VERSION 1\nPUT  {key}\nDATA 14\ncontent for w5VALID\n".encode()
    words = [*REAL, str(pair.first.path), "me", "--uuid", pair.first.cluster]
    pair.world.run(*words, data=put, check=False)
    assert len(ssh.commands()) - before >= DEEPEST


@pytest.mark.parametrize(
    ("program", "answers"),
    [(REAL, []), (SHOAL, ["ERROR unknown command", "FAILURE"])],
)
def test_w11_a_word_that_is_not_known_ends_a_proxied_session(
    pair: Pair, program: list[str], answers: list[str]
) -> None:
    lines = ["FROB x", f"CHECKPRESENT {ABSENT}"]
    uuid = pair.first.uuid_of(pair.first.nodes[0])
    assert converse(pair.world, program, pair.first.path, uuid, *lines) == answers


def test_w19_the_other_gateway_does_not_hear_what_was_stored(pair: Pair) -> None:
    world = pair.world
    key = world.add(pair.client, "w19", b"content for w19")
    world.annex(pair.client, "copy", "--to=origin-mycluster", "w19")
    assert pair.logged(pair.first.path, key) == {"node1", "node2"}
    world.annex(pair.second.path, "merge")
    assert pair.logged(pair.second.path, key) == {"node2"}


def test_w20_whoever_may_push_changes_the_cluster(pair: Pair) -> None:
    world = pair.world
    world.annex(pair.client, "maxsize", pair.first.uuid_of(pair.first.nodes[0]), "1kb")
    world.git(pair.client, "push", "-q", "origin", "git-annex:synced/git-annex")
    world.annex(pair.first.path, "merge")
    assert world.annex(pair.first.path, "maxsize", "node1").strip() == "1.0 kB"
    world.annex(pair.first.path, "maxsize", "node1", "1gb")


def test_w16_a_node_over_http_cannot_be_used(world: World) -> None:
    made = make_gateway(world, nodes=1)
    node = RealServer(world, made.nodes[0])
    node.start("--wideopen")
    try:
        words = [f"CHECKPRESENT {ABSENT}"]
        uuid = made.uuid_of(made.nodes[0])
        assert converse(world, REAL, made.path, uuid, *words) == ["FAILURE"]
        world.git(made.path, "config", "remote.node1.annexUrl", node.url)
        world.git(made.path, "config", "remote.node1.url", "http://127.0.0.1:1/nothing")
        assert converse(world, REAL, made.path, uuid, *words) == []
        assert converse(world, SHOAL, made.path, uuid, *words) == ["FAILURE"]
    finally:
        node.stop()


@pytest.mark.parametrize(("program", "status"), [("git-annex", 404), ("shoal", 200)])
def test_w22_what_is_published_later_is_not_served(world: World, program: str, status: int) -> None:
    made = make_gateway(world, nodes=1)
    world.run("git", "clone", "-q", "--bare", made.path, world.root / "late")
    world.annex(world.root / "late", "init", "late")
    with served(made, "--wideopen", "-J4", program=program):
        here = RawClient(made.port, made.uuid_of(made.path))
        assert here.ask("POST", here.url("checkpresent", key=ABSENT)).status == 200
        world.git(made.path, "remote", "add", "late", world.root / "late")
        world.git(made.path, "fetch", "-q", "late")
        world.git(made.path, "config", "remote.late.annex-proxy", "true")
        world.annex(made.path, "updateproxy")
        late = RawClient(made.port, made.uuid_of(world.root / "late"))
        assert late.ask("POST", late.url("checkpresent", key=ABSENT)).status == status
