"""What git-annex 10.20261026 does as a gateway where shoal does something else.

These are the first halves of rows in docs/differences.md; the tests that are named there show the
second. When one of these fails, the real program was mended: then the row can go.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from tests.support import other_clock
from tests.support.fake_ssh import DEEPEST, Ssh
from tests.support.gateway import Gateway, make_gateway, served
from tests.support.gateway_pair import Pair, make_pair, share_a_node
from tests.support.raw_http import RawClient, key_of
from tests.support.real_p2phttp import RealServer
from tests.support.session import Session, session
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


@pytest.mark.parametrize(
    ("program", "behind", "left", "holders"),
    [
        ("git-annex", 1_000_000, -10, ["node2"]),  # removed when the time for that was over
        ("shoal", 1_000_000, -10, ["node1", "node2"]),
        ("git-annex", -1_000_000, 600, ["node1"]),  # not removed when there was time
        ("shoal", -1_000_000, 600, []),
    ],
)
def test_w9_a_node_with_another_clock_is_told_the_gateways_time(
    world: World, ssh: Ssh, program: str, behind: int, left: int, holders: list[str]
) -> None:
    """The first node's machine has a clock that is `behind`; of the time in which the client may
    have content removed so many seconds are `left`."""
    made = make_gateway(world, nodes=2)
    key = key_of(b"content")
    for node in made.nodes:
        with session(REAL, node, made.uuid_of(node)) as direct:
            assert store(direct, b"content") == "SUCCESS"
        world.annex(made.path, "setpresentkey", key, made.uuid_of(node), "1")
    world.git(made.path, "config", "remote.node1.url", f"ssh://real{made.nodes[0]}")
    shell = shlex.join([sys.executable, other_clock.__file__, str(behind)])
    world.git(made.path, "config", "remote.node1.annex-shell", shell)
    with served(made, "--wideopen", "-J4", program=program):
        client = RawClient(made.port, made.cluster)
        now = client.ask("POST", client.url("gettimestamp")).json()["timestamp"]
        assert isinstance(now, int)
        client.ask("POST", client.url("remove-before", key=key, timestamp=now + left))
    assert made.holders(key) == holders


def store(client: Session, content: bytes) -> str | None:
    """Store a content in one go; give the last answer."""
    assert client.ask(f"PUT  {key_of(content)}") == "PUT-FROM 0"
    client.send(b"DATA %d\n%sVALID\n" % (len(content), content))
    return client.read()


def add_directory(made: Gateway, directory: Path) -> str:
    """Let a gateway proxy for a special remote, a directory; give its UUID."""
    directory.mkdir()
    words = ("type=directory", f"directory={directory}", "encryption=none")
    made.world.annex(made.path, "initremote", "special", *words)
    made.world.git(made.path, "config", "remote.special.annex-proxy", "true")
    made.world.annex(made.path, "updateproxy")
    return made.world.git(made.path, "config", "remote.special.annex-uuid")


def test_w10_an_old_clients_upload_to_a_special_remote_ends_the_session(world: World) -> None:
    made = make_gateway(world, nodes=1)
    special = add_directory(made, world.root / "special")
    node = made.uuid_of(made.nodes[0])
    for program, uuid, answers in (
        (REAL, special, ["PUT-FROM 0", "SUCCESS"]),
        (SHOAL, node, ["PUT-FROM 0", "SUCCESS", "SUCCESS"]),  # shoal has no special remotes
    ):
        key = key_of(b"content")
        said = f"VERSION 1\nPUT  {key}\nDATA 7\ncontentVALID\nCHECKPRESENT {key}\n"
        words = [*program, str(made.path), "me", "--uuid", uuid]
        done = world.run(*words, data=said.encode(), check=False)
        assert done.stdout.splitlines()[2:] == answers


@pytest.mark.parametrize(("program", "shells"), [(REAL, 3), (SHOAL, 0)])
def test_w17_a_process_for_each_node_on_this_machine(
    world: World, program: list[str], shells: int
) -> None:
    made = make_gateway(world, nodes=3)
    with session(program, made.path, made.cluster) as client:
        assert client.ask(f"PUT  {key_of(b'content')}") == "PUT-FROM 0"
        assert len(client.shells()) == shells


def test_w18_a_node_on_two_paths_gets_an_upload_on_both(world: World, ssh: Ssh) -> None:
    both = make_pair(world, "real", "real")
    share_a_node(both)
    (node,) = both.first.nodes
    with session(REAL, both.first.path, both.first.cluster) as client:
        assert client.ask(f"PUT  {key_of(b'content')}") == "PUT-FROM 0"
        told = [Path(f"/proc/{pid}/cmdline").read_text() for pid in client.shells()]
    assert len([words for words in told if f"\0{node}\0" in words]) == 2


def test_w24_an_error_names_a_path_of_the_server(world: World) -> None:
    """Each program has a remote whose directory is no longer one."""
    made = make_gateway(world, nodes=1)
    special = add_directory(made, world.root / "special")
    (node,) = made.nodes
    uuid = made.uuid_of(node)
    for directory in (world.root / "special", node):
        directory.rename(f"{directory}.away")
        directory.write_text("")
    asked = [f"CHECKPRESENT {ABSENT}", f"PUT  {ABSENT}", f"GET 0  {ABSENT}"]
    theirs = converse(world, REAL, made.path, special, *asked)
    assert any(str(world.root) in answer for answer in theirs)
    ours = converse(world, SHOAL, made.path, uuid, *asked)
    assert len(ours) == len(asked)
    assert not any("/" in answer for answer in ours)


@pytest.mark.parametrize(("program", "goes_on"), [(REAL, False), (SHOAL, True)])
def test_w25_a_node_that_hangs_holds_up_the_others(
    world: World, ssh: Ssh, program: list[str], goes_on: bool
) -> None:
    made = make_gateway(world, nodes=2)
    hanging, well = made.nodes
    world.git(made.path, "config", "remote.node1.url", f"ssh://real{hanging}")
    for name in ("stall", "finish"):
        world.git(made.path, "config", f"shoal.node-{name}-time", "5")
    content = os.urandom(1000)
    with session(program, made.path, made.cluster) as client:
        assert client.ask(f"PUT  {key_of(content)}") == "PUT-FROM 0"
        stopped = client.shells()
        try:
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            client.send(b"DATA 1000\n%sVALID\n" % content)
            answer = client.read(60 if goes_on else 7)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
    assert answer == (f"SUCCESS-PLUS {made.uuid_of(well)}" if goes_on else None)
