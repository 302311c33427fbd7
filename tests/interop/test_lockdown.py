"""annex.cluster-lockdown: what real clients may push to a gateway, whichever way they come."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.fake_ssh import Ssh
from tests.support.federation import Federation, make_federation, running
from tests.support.gateway import Gateway, make_gateway
from tests.support.links import RelayLinks
from tests.support.signing import Signer
from tests.support.wait import wait_until
from tests.support.world import World

_REASON = "needs a commit signed by a key in gpg.ssh.allowedSignersFile"
_Clone = Callable[[Gateway], Path]


@pytest.fixture
def gateway(world: World) -> Iterator[Gateway]:
    made = make_gateway(world, 1)
    world.git(made.path, "config", "annex.cluster-lockdown", "true")
    world.run("shoal", "updatecluster", cwd=made.path)
    yield made
    made.stop()


@pytest.fixture(params=["path", "ssh", "http"])
def clone(request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch) -> _Clone:
    """How a client gets a clone of a gateway."""

    def by_path(gateway: Gateway) -> Path:
        return _clone(world, gateway.path)

    def by_ssh(gateway: Gateway) -> Path:
        ssh = Ssh(world, monkeypatch)
        ssh.install()
        return ssh.clone(gateway.path)

    def by_http(gateway: Gateway) -> Path:
        gateway.start("-J4", "--wideopen", "--git")
        return _clone(world, f"http://127.0.0.1:{gateway.port}")

    ways: dict[str, _Clone] = {"path": by_path, "ssh": by_ssh, "http": by_http}
    return ways[request.param]


def _clone(world: World, url: str | Path) -> Path:
    client = world.root / "client"
    world.run("git", "clone", "-q", url, client)
    world.annex(client, "init", "-q", "client")
    return client


def _push(
    world: World, client: Path, ref: str = "synced/git-annex"
) -> subprocess.CompletedProcess[str]:
    return world.run("git", "push", "origin", f"git-annex:{ref}", cwd=client, check=False)


def _maxsize(world: World, gateway: Gateway) -> str:
    world.annex(gateway.path, "merge")
    return world.annex(gateway.path, "maxsize", "node1").strip()


def test_clients_change_locations_and_not_nodes(
    world: World, gateway: Gateway, clone: _Clone
) -> None:
    client = clone(gateway)
    key = world.add(client, "file", b"content")
    world.annex(client, "group", "here", "client")
    world.annex(client, "sync", "--no-content")
    world.annex(gateway.path, "merge")
    here = world.git(client, "config", "annex.uuid")
    assert (
        here
        in world.run("git-annex", "whereis", "--key", key, cwd=gateway.path, check=False).stdout
    )
    world.annex(client, "maxsize", gateway.uuid_of(gateway.nodes[0]), "1kb")
    refused = world.run("git-annex", "sync", "--no-content", cwd=client, check=False)
    assert "the maximum size of node1 (maxsize.log)" in " ".join(refused.stderr.split())
    for ref in ("synced/git-annex", "git-annex", "refs/tags/git-annex"):
        pushed = _push(world, client, ref)
        assert pushed.returncode != 0
        assert _REASON in " ".join(pushed.stderr.replace("remote:", "").split())
    assert _maxsize(world, gateway) == ""
    signer = Signer(world, "admin")
    signer.allow_in(gateway.path)
    signer.sign(client)
    assert _push(world, client).returncode == 0
    assert _maxsize(world, gateway) == "1.0 kB"


def test_only_allowed_signers_count(world: World, gateway: Gateway) -> None:
    client = _clone(world, gateway.path)
    world.annex(client, "numcopies", "1")
    admin, mallory = Signer(world, "admin"), Signer(world, "mallory")
    mallory.sign(client)
    assert _push(world, client).returncode != 0  # nobody is allowed
    admin.allow_in(gateway.path)
    refused = _push(world, client)
    signed = world.git(client, "rev-parse", "--short=10", "git-annex")
    assert refused.returncode != 0
    assert f"and the signature of {signed} is by none that counts" in refused.stderr
    admin.sign(client)
    world.annex(client, "numcopies", "2")
    assert _push(world, client).returncode != 0  # that is not what was signed
    admin.sign(client)
    world.add(client, "file", b"location logs after it")
    world.annex(client, "merge")
    assert _push(world, client).returncode == 0


def test_the_branch_can_be_neither_replaced_nor_deleted(world: World, gateway: Gateway) -> None:
    client = _clone(world, gateway.path)
    world.annex(client, "merge")
    before = world.git(gateway.path, "rev-parse", "git-annex")
    first = world.git(client, "rev-list", "--max-parents=0", "git-annex").split()[0]
    for words in (("--force", "origin", f"{first}:git-annex"), ("origin", ":git-annex")):
        pushed = world.run("git", "push", *words, cwd=client, check=False)
        assert pushed.returncode != 0
        assert "remote: shoal: refused: " in pushed.stderr
    assert world.git(gateway.path, "rev-parse", "git-annex") == before


def test_fetched_branches_are_left_out_of_merges(world: World, gateway: Gateway) -> None:
    node = gateway.nodes[0]
    uuid = gateway.uuid_of(node)
    world.annex(node, "wanted", "here", "nothing")
    world.git(gateway.path, "fetch", "-q", "node1")
    done = world.run("shoal", "merge", cwd=gateway.path)
    assert done.stderr.startswith("node1/git-annex is not merged: node1/git-annex changes what is")
    assert f"{uuid} nothing" not in world.git(gateway.path, "show", "git-annex", "--")
    asked = world.run("shoal", "wanted", "node1", cwd=gateway.path)
    assert asked.stdout.strip() == ""
    admin = Signer(world, "admin")
    admin.allow_in(gateway.path)
    admin.sign(node)
    world.git(gateway.path, "fetch", "-q", "node1")
    assert world.run("shoal", "merge", cwd=gateway.path).stderr == ""
    asked = world.run("shoal", "wanted", "node1", cwd=gateway.path)
    assert asked.stdout.strip() == "nothing"


def test_a_hook_of_the_user_s_own_still_runs(world: World) -> None:
    repo = world.make("repo")
    hook = repo / ".git" / "hooks" / "pre-receive"
    hook.write_text('#!/bin/sh\ngrep -q forbidden && exit 1\necho "own hook" >&2\n')
    hook.chmod(0o755)
    world.git(repo, "config", "annex.cluster-lockdown", "true")
    said = world.run("shoal", "init", cwd=repo).stderr
    assert "The pre-receive hook that was there runs after shoal's" in said
    assert world.run("shoal", "init", cwd=repo).stderr == ""
    world.git(repo, "commit", "-q", "--allow-empty", "-m", "start")
    pushed = world.run("git", "push", repo, "main:other", cwd=repo)
    assert "remote: own hook" in pushed.stderr
    assert world.run("git", "push", repo, "main:forbidden", cwd=repo, check=False).returncode != 0
    world.git(repo, "config", "annex.cluster-lockdown", "false")
    world.git(repo, "push", "-q", repo, "git-annex:synced/git-annex")


def test_pushes_are_refused_where_shoal_is_gone(world: World, gateway: Gateway) -> None:
    hook = gateway.path / ".git" / "hooks" / "pre-receive"
    program = world.run("sh", "-c", "command -v shoal").stdout.strip()
    hook.write_text(hook.read_text().replace(program, "/no/such/shoal"))
    client = _clone(world, gateway.path)
    assert _push(world, client).returncode != 0


def test_no_push_over_http_without_the_hook(world: World) -> None:
    gateway = make_gateway(world, 1)
    hook = gateway.path / ".git" / "hooks" / "pre-receive"
    for name in ("pre-receive", "pre-receive.own"):  # no room for another one
        hook.with_name(name).write_text("#!/bin/sh\n")
    world.git(gateway.path, "config", "annex.cluster-lockdown", "true")
    gateway.start("-J4", "--wideopen", "--git")
    try:
        client = _clone(world, f"http://127.0.0.1:{gateway.port}")
        assert "403" in _push(world, client).stderr
        assert "pushes are refused, since their hook cannot be installed" in gateway.log.read_text()
    finally:
        gateway.stop()


def test_the_server_installs_the_hook(world: World) -> None:
    gateway = make_gateway(world, 1)
    gateway.start("-J4", "--wideopen", "--git")
    try:
        client = _clone(world, f"http://127.0.0.1:{gateway.port}")
        world.git(gateway.path, "config", "annex.cluster-lockdown", "true")
        world.annex(client, "numcopies", "3")
        pushed = _push(world, client)
        assert _REASON in " ".join(pushed.stderr.replace("remote:", "").split())
    finally:
        gateway.stop()


@pytest.fixture
def pair(world: World) -> Iterator[Federation]:
    """Two gateways, both locked, that share what they know."""
    graph = {"ams": ["nyc"], "nyc": ["ams"]}
    links = RelayLinks(graph)
    try:
        federation = make_federation(world, graph, links)
        for gateway in federation.gateways.values():
            world.git(gateway.path, "config", "annex.cluster-lockdown", "true")
            world.run("shoal", "updatecluster", cwd=gateway.path)
        with running(federation):
            yield federation
    finally:
        links.close()


def test_gateways_share_locations_and_not_configuration(world: World, pair: Federation) -> None:
    """Who is refused says so once. What it has to tell goes through when somebody signed it."""
    ams, nyc = (pair.gateways[name] for name in ("ams", "nyc"))
    nodes = ["node-ams", "node-nyc"]
    client = pair.client("client", of="ams")
    first = world.add(client, "first", b"first")
    world.annex(client, "copy", "--to=origin-mycluster", "first")
    wait_until(lambda: pair.logged("nyc", first) == nodes)
    world.annex(ams.path, "maxsize", "node-ams", "1 gb")
    refusal = "(maxsize.log); with annex.cluster-lockdown this needs a commit signed by a key"
    wait_until(lambda: refusal in ams.log.read_text())
    second = world.add(client, "second", b"second")
    world.annex(client, "copy", "--to=origin-mycluster", "second")
    assert pair.logged("nyc", second) == ["node-nyc"]
    assert world.annex(nyc.path, "maxsize", "node-ams").strip() == ""
    signer = Signer(world, "admin")
    signer.allow_in(nyc.path)
    signer.sign(ams.path)
    wait_until(lambda: pair.logged("nyc", second) == nodes)
    assert world.annex(nyc.path, "maxsize", "node-ams").strip() == "1.0 GB"
    assert ams.log.read_text().count(refusal) == 1
