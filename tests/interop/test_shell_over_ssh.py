"""A real git-annex client over ssh, with shoal-shell at the other end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fake_ssh import Ssh
from tests.support.gateway import Gateway, left_behind, make_gateway, objects_of
from tests.support.world import World


@pytest.fixture
def ssh(world: World, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    made = Ssh(world, monkeypatch)
    made.install()
    return made


@pytest.fixture
def server(world: World) -> Path:
    repo = world.make("server")
    world.git(repo, "commit", "-q", "--allow-empty", "-m", "start")
    world.git(repo, "config", "receive.denyCurrentBranch", "ignore")
    return repo


def logged(world: World, repo: Path, key: str) -> str:
    """Give the last word of the committed location log about a repository's own copy."""
    uuid = world.git(repo, "config", "annex.uuid")
    names = world.git(repo, "ls-tree", "-r", "--name-only", "git-annex").splitlines()
    (path,) = [name for name in names if name.endswith(f"/{key}.log")]
    lines = world.git(repo, "cat-file", "-p", f"git-annex:{path}").splitlines()
    return next(line.split(" ")[1] for line in lines if line.endswith(uuid))


def test_clone_copy_get_drop_move(world: World, ssh: Ssh, server: Path) -> None:
    client = ssh.clone(server)
    contents = {f"file {n} %": os.urandom(1 << (n * 4)) for n in range(6)}
    keys = {name: world.add(client, name, data) for name, data in contents.items()}
    world.annex(client, "copy", "--to=origin", "-J3", ".")
    for name, key in keys.items():
        (found,) = objects_of(server, key)
        assert found.read_bytes() == contents[name]
        assert logged(world, server, key) == "1"
        world.annex(client, "checkpresentkey", key, "origin")
    world.annex(client, "drop", ".")
    assert all(not objects_of(client, key) for key in keys.values())
    world.annex(client, "get", ".")
    assert all((client / name).read_bytes() == data for name, data in contents.items())
    world.annex(client, "fsck", "--from=origin", ".")
    world.annex(client, "move", "--to=origin", ".")
    world.annex(client, "move", "--from=origin", ".")
    assert all(not objects_of(server, key) for key in keys.values())
    assert {logged(world, server, key) for key in keys.values()} == {"0"}
    assert left_behind(server) == []
    world.git(client, "push", "-q", "origin", "HEAD")
    assert any(command.startswith("git-annex-shell 'configlist'") for command in ssh.commands())
    assert any(command.startswith("git-receive-pack") for command in ssh.commands())


def test_one_session_serves_many_files(world: World, ssh: Ssh, server: Path) -> None:
    client = ssh.clone(server)
    for number in range(20):
        world.add(client, f"f{number}", b"%d" % number)
    before = len(ssh.commands())
    world.annex(client, "copy", "--to=origin", ".")
    assert ["p2pstdio" in command for command in ssh.commands()[before:]] == [True]


def test_an_upload_goes_on_where_it_broke_off(world: World, ssh: Ssh, server: Path) -> None:
    client = ssh.clone(server)
    data = os.urandom(1 << 20)
    key = world.add(client, "f", data)
    partial = server / ".git" / "annex" / "tmp" / key
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(data[:700_000])
    world.annex(client, "copy", "--to=origin", "f")
    (found,) = objects_of(server, key)
    assert found.read_bytes() == data


def test_a_wrong_start_is_found_and_sent_again(world: World, ssh: Ssh, server: Path) -> None:
    client = ssh.clone(server)
    key = world.add(client, "f", os.urandom(100_000))
    partial = server / ".git" / "annex" / "tmp" / key
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(b"x" * 50_000)
    world.annex(client, "copy", "--to=origin", "f")
    (found,) = objects_of(server, key)
    assert found.read_bytes() == (client / "f").read_bytes()


def test_testremote(world: World, ssh: Ssh, server: Path) -> None:
    client = ssh.clone(server)
    said = world.annex(client, "testremote", "--fast", "origin")
    assert "FAIL" not in said
    assert left_behind(server) == []


def test_locked_content_stays(world: World, ssh: Ssh, server: Path) -> None:
    """The server says why; the real one only ends the connection."""
    client = ssh.clone(server)
    key = world.add(client, "f", b"content")
    world.annex(client, "copy", "--to=origin", "f")
    uuid = world.git(server, "config", "annex.uuid")
    with subprocess.Popen(
        ["shoal-shell", "p2pstdio", server, "me", f"--uuid={uuid}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as holder:  # fmt: skip
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(f"LOCKCONTENT {key}\n".encode())
        holder.stdin.flush()
        assert holder.stdout.readline() == f"AUTH-SUCCESS {uuid}\n".encode()
        assert holder.stdout.readline() == b"SUCCESS\n"
        failed = world.run(
            "git-annex", "drop", "--from=origin", "f", "--numcopies=1", cwd=client, check=False
        )
        assert failed.returncode == 1
        assert objects_of(server, key)
        holder.stdin.close()
        assert holder.wait(120) == 0
    world.annex(client, "drop", "--from=origin", "f")
    assert not objects_of(server, key)


@pytest.mark.parametrize(("limit", "may_store"), [("READONLY", False), ("APPENDONLY", True)])
def test_limits(world: World, ssh: Ssh, server: Path, limit: str, may_store: bool) -> None:
    kept = world.add(server, "kept", b"kept")
    client = ssh.clone(server)
    world.add(client, "new", b"new")
    ssh.monkeypatch.setenv(f"GIT_ANNEX_SHELL_{limit}", "1")
    world.annex(client, "get", "kept")
    world.annex(client, "fsck", "--from=origin", "kept")
    stored = world.run("git-annex", "copy", "--to=origin", "new", cwd=client, check=False)
    assert (stored.returncode == 0) is may_store
    dropped = world.run("git-annex", "drop", "--from=origin", "kept", cwd=client, check=False)
    assert dropped.returncode == 1
    assert objects_of(server, kept)
    world.annex(client, "drop", "kept")


def test_a_refused_upload_does_not_end_the_session(world: World, ssh: Ssh, server: Path) -> None:
    """Of several files one is refused; the others go through, and the session is used on."""
    client = ssh.clone(server)
    world.git(server, "config", "annex.securehashesonly", "true")
    good = [world.add(client, f"good{n}", b"good %d" % n) for n in (1, 2)]
    world.git(client, "config", "annex.backend", "WORM")
    bad = world.add(client, "bad", b"bad")
    world.run("git-annex", "copy", "--to=origin", "bad", "good1", "good2", cwd=client, check=False)
    assert all(objects_of(server, key) for key in good)
    assert not objects_of(server, bad)


def _gateway(world: World, ssh: Ssh) -> tuple[Gateway, Path]:
    gateway = make_gateway(world)
    client = ssh.clone(gateway.path)
    world.annex(client, "sync", "-q", "--no-content")
    return gateway, client


def test_a_cluster_behind_ssh(world: World, ssh: Ssh) -> None:
    gateway, client = _gateway(world, ssh)
    data = os.urandom(300_000)
    key = world.add(client, "f", data)
    world.annex(client, "copy", "--to=origin-mycluster", "f")
    assert gateway.holders(key) == [node.name for node in gateway.nodes]
    world.annex(client, "drop", "f", "--numcopies=1")
    world.annex(client, "get", "--from=origin-mycluster", "f")
    assert (client / "f").read_bytes() == data
    world.annex(client, "drop", "--from=origin-mycluster", "f")
    assert gateway.holders(key) == []
    world.annex(client, "testremote", "--fast", "origin-mycluster")


def test_a_node_behind_ssh(world: World, ssh: Ssh) -> None:
    gateway, client = _gateway(world, ssh)
    node = gateway.nodes[0]
    key = world.add(client, "f", b"for one node")
    world.annex(client, "copy", f"--to=origin-{node.name}", "f")
    assert gateway.holders(key) == [node.name]
    assert logged(world, node, key) == "1"
    world.annex(client, "drop", "f")
    world.annex(client, "get", "f")
    world.annex(client, "testremote", "--fast", f"origin-{node.name}")


def test_what_is_not_served(world: World, ssh: Ssh) -> None:
    gateway, client = _gateway(world, ssh)
    own = gateway.uuid_of(gateway.path)
    stranger = "aaaaaaaa-0000-4000-8000-000000000001"
    described = gateway.uuid_of(client)
    cases: list[tuple[str, Callable[[str], bool]]] = [
        (
            stranger,
            lambda said: f"expected repository UUID {stranger} but found UUID {own}" in said,
        ),
        (described, lambda said: "not configured to proxy for repository client" in said),
    ]
    for uuid, is_right in cases:
        words = ["shoal-shell", "p2pstdio", str(gateway.path), "me", "--uuid", uuid]
        done = world.run(*words, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert is_right(done.stderr)
