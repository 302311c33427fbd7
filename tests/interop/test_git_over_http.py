"""git itself at the address of the gateway: real git and git-annex clients, with one URL."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import os
import re
import signal
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, make_gateway, served
from tests.support.server_process import ServerProcess, server_process
from tests.support.session import descendants
from tests.support.wait import wait_until
from tests.support.world import World

_USERS = {
    "GIT_ANNEX_P2PHTTP_PASSWORD_alice": "sesame",
    "GIT_ANNEX_P2PHTTP_PASSWORD_ro": "ropw",
    "GIT_ANNEX_P2PHTTP_PERMISSIONS_ro": "readonly",
    "GIT_ANNEX_P2PHTTP_PASSWORD_ao": "aopw",
    "GIT_ANNEX_P2PHTTP_PERMISSIONS_ao": "appendonly",
}
_OPEN = ("-J4", "--wideopen", "--git")


def _git_url(server: Gateway | ServerProcess) -> str:
    return f"http://127.0.0.1:{server.port}"


def _clone(world: World, server: Gateway | ServerProcess, name: str = "client") -> Path:
    clone = world.root / name
    world.run("git", "clone", "-q", _git_url(server), clone)
    return clone


def _login(world: World, user: str, password: str) -> None:
    """Let git find a password, as it finds those that its user has stored."""
    helper = f"!f() {{ echo username={user}; echo password={password}; }}; f"
    world.run("git", "config", "--global", "credential.helper", helper)


def _commit(world: World, repo: Path, name: str, content: bytes = b"") -> None:
    (repo / name).write_bytes(content)
    world.git(repo, "add", name)
    world.git(repo, "commit", "-q", "-m", name)


def _ask(
    port: int, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes, dict[str, str]]:
    with _connected(port) as connection:
        connection.request(method, path, body or None, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())


@contextlib.contextmanager
def _connected(port: int, seconds: float = 120) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        yield connection
    finally:
        connection.close()


# Real git-annex, one URL


def test_one_url_is_enough(world: World) -> None:
    with served(make_gateway(world, 1), *_OPEN) as gateway:
        first = _clone(world, gateway, "first")
        world.annex(first, "init", "first")
        assert world.git(first, "config", "remote.origin.annexurl") == gateway.url
        key = world.add(first, "file", b"content")
        world.annex(first, "copy", "--to", "origin-mycluster", "file")
        assert gateway.holders(key) == ["node1"]
        world.annex(first, "sync", "--no-content")
        second = _clone(world, gateway, "second")
        world.git(second, "merge", "-q", "origin/synced/main")
        world.annex(second, "init", "second")
        assert "origin-mycluster" in world.annex(second, "whereis", "file")
        world.annex(second, "get", "file")
        assert (second / "file").read_bytes() == b"content"
        world.add(second, "more", b"more")
        world.annex(second, "push", "--content")
        world.annex(first, "pull", "--content")
        assert (first / "more").read_bytes() == b"more"


def test_a_user_who_logs_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _USERS.items():
        monkeypatch.setenv(name, value)
    with served(make_gateway(world, 1), "-J4", "--authenv-http", "--git") as gateway:
        refused = world.run("git", "clone", _git_url(gateway), "x", check=False)
        assert refused.returncode != 0
        assert "could not read Username" in refused.stderr
        _login(world, "alice", "sesame")
        client = _clone(world, gateway)
        world.annex(client, "init", "client")
        key = world.add(client, "file", b"content")
        world.annex(client, "copy", "--to", "origin-mycluster", "file")
        assert gateway.holders(key) == ["node1"]
        world.annex(client, "sync", "--no-content")
        assert world.git(gateway.path, "rev-parse", "synced/main") == world.git(
            client, "rev-parse", "main"
        )


def test_over_tls(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _USERS.items():
        monkeypatch.setenv(name, value)
    repo = world.make("repo")
    key = world.add(repo, "file", b"content")
    certificate, private = world.root / "cert.pem", world.root / "key.pem"
    world.run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        "-keyout", private, "-out", certificate,
    )  # fmt: skip
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("SYSTEM_CERTIFICATE_PATH", str(certificate))
    _login(world, "alice", "sesame")
    tls = (f"--certfile={certificate}", f"--privatekeyfile={private}")
    with server_process(world, repo, "-J2", "--authenv", "--git", *tls) as server:
        url = f"https://localhost:{server.port}"
        world.run("git", "clone", "-q", url, "client")
        client = world.root / "client"
        world.annex(client, "init", "client")
        told = world.git(client, "config", "remote.origin.annexurl")
        assert told == f"annex+https://localhost:{server.port}/git-annex/"
        world.annex(client, "get", "file")
        assert world.annex(client, "contentlocation", key)
        _commit(world, client, "more")
        world.git(client, "push", "-q", "origin", "main:synced/main")


@pytest.mark.parametrize(("user", "password"), [("ro", "ropw"), ("ao", "aopw")])
def test_users_who_may_not_push(
    world: World, monkeypatch: pytest.MonkeyPatch, user: str, password: str
) -> None:
    for name, value in _USERS.items():
        monkeypatch.setenv(name, value)
    repo = world.make("repo")
    _commit(world, repo, "file")
    with server_process(world, repo, "-J2", "--authenv-http", "--git") as server:
        _login(world, user, password)
        client = _clone(world, server)
        _commit(world, client, "more")
        pushed = world.run("git", "push", "-q", "origin", "main:new", cwd=client, check=False)
        assert pushed.returncode != 0
        assert "403" in pushed.stderr
        login = {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}
        kind = {"Content-Type": "application/x-git-receive-pack-request", **login}
        assert _ask(server.port, "POST", "/git-receive-pack", b"0000", kind)[0] == 403
    assert world.git(repo, "branch", "--list", "new") == ""


def test_readers_without_a_password(world: World) -> None:
    repo = world.make("repo")
    _commit(world, repo, "file")
    with server_process(world, repo, "-J2", "--unauth-readonly", "--git") as server:
        client = _clone(world, server)
        pushed = world.run("git", "push", "origin", "main:new", cwd=client, check=False)
        assert pushed.returncode != 0
    with server_process(world, repo, "-J2", "--git") as server:
        for path in ("/config", "/info/refs?service=git-upload-pack", "/nowhere/config"):
            assert _ask(server.port, "GET", path)[0] == 401


def test_what_a_client_sets_counts_at_the_next_request(world: World) -> None:
    """A push runs git-annex's hook, which merges; the server goes on with what it merged."""
    with served(make_gateway(world, 2), *_OPEN) as gateway:
        client = _clone(world, gateway)
        world.annex(client, "init", "client")
        first = world.add(client, "first", b"1")
        world.annex(client, "copy", "--to", "origin-mycluster", "first")
        world.annex(client, "wanted", "origin-node1", "nothing")
        world.annex(client, "sync", "--no-content")
        second = world.add(client, "second", b"2")
        world.annex(client, "copy", "--to", "origin-mycluster", "second")
        assert gateway.holders(first) == ["node1", "node2"]
        assert gateway.holders(second) == ["node2"]


def test_shoal_merges_where_git_annex_is_not_installed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hook calls `git annex`, which is an alias of shoal there."""
    gateway = make_gateway(world, 1)
    programs = world.root / "bin"
    programs.mkdir()
    for name in ("shoal", "git"):
        found = world.run("sh", "-c", f"command -v {name}").stdout.strip()
        (programs / name).symlink_to(found)
    world.git(gateway.path, "config", "alias.annex", "!shoal")
    world.git(gateway.path, "config", "filter.annex.process", "git annex filter-process")
    world.git(gateway.path, "config", "receive.denyCurrentBranch", "updateInstead")
    usual = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    gateway.start(*_OPEN)
    monkeypatch.setenv("PATH", usual)
    try:
        client = _clone(world, gateway)
        world.annex(client, "init", "client")
        world.annex(client, "wanted", "here", "nothing")
        _commit(world, client, "file")
        world.git(client, "push", "-q", "origin", "main:synced/main", "git-annex:synced/git-annex")
        merged = world.git(gateway.path, "show", "git-annex:preferred-content.log")
        assert world.git(client, "config", "annex.uuid") in merged
        assert (gateway.path / "file").exists()
    finally:
        gateway.stop()


# Addresses


def test_the_address_that_clients_are_told(world: World) -> None:
    repo = world.make("repo")
    with server_process(world, repo, *_OPEN) as server:
        for host, expected in (
            (f"gw.example.org:{server.port}", f"annex+http://gw.example.org:{server.port}/"),
            ("gw.example.org", "annex+http://gw.example.org:80/"),
        ):
            _, text, _ = _ask(server.port, "GET", "/config", headers={"Host": host})
            assert f'url = "{expected}git-annex/"' in text.decode()
        world.git(repo, "config", "annex.url", "annex+https://proxy/git-annex/")
        _, text, _ = _ask(server.port, "GET", "/config")
        assert 'url = "annex+https://proxy/git-annex/"' in text.decode()


def test_many_repositories(world: World) -> None:
    tops = world.root / "tops"
    for name in ("one", "deep/two"):
        repo = World(tops / name).make("repo", bare=name == "one")
        if name == "deep/two":
            _commit(world, repo, "file")
    with server_process(world, world.root, *_OPEN, f"--directory={tops}") as server:
        world.run("git", "clone", "-q", f"{_git_url(server)}/deep/two/repo", "clone")
        assert (world.root / "clone" / "file").exists()
        world.run("git", "push", f"{_git_url(server)}/one/repo", "main", cwd=world.root / "clone")
        assert world.git(tops / "one" / "repo", "branch", "--list", "main") != ""
        late = World(tops).make("late")
        for path, uuid in (
            ("/one/repo/config", tops / "one" / "repo"),
            ("/late/config", late),
        ):
            status, text, _ = _ask(server.port, "GET", path)
            assert (status, world.git(uuid, "config", "annex.uuid") in text.decode()) == (200, True)
        for path in ("/", "/one", "/two/repo", "/deep/../one/repo", "/one/repo/refs", "/.git"):
            assert _ask(server.port, "GET", f"{path}/config")[0] == 404


def test_only_git_s_own_requests(world: World) -> None:
    repo = world.make("repo")
    _commit(world, repo, "file")
    with server_process(world, repo, *_OPEN) as server:
        assert _ask(server.port, "GET", "/info/refs")[0] == 403
        for path in ("/HEAD", "/objects/info/packs", "/.git/config/", "/refs/heads/main"):
            assert _ask(server.port, "GET", path)[0] in {403, 404}
        world.git(repo, "config", "http.receivepack", "false")
        status, _, _ = _ask(server.port, "GET", "/info/refs?service=git-receive-pack")
        assert status == 403
        world.git(repo, "config", "http.uploadpack", "false")
        status, _, _ = _ask(server.port, "GET", "/info/refs?service=git-upload-pack")
        assert status == 403
    with server_process(world, repo, "-J2", "--wideopen") as server:
        for path in ("/config", "/info/refs?service=git-upload-pack"):
            assert _ask(server.port, "GET", path)[0] == 404
    world.git(repo, "config", "--unset", "http.uploadpack")
    world.git(repo, "config", "shoal.serve-git", "true")
    with server_process(world, repo, "-J2", "--wideopen") as server:
        assert _clone(world, server).is_dir()


# The protocol


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_versions_of_git_s_protocol(world: World, version: str) -> None:
    repo = world.make("repo")
    _commit(world, repo, "file")
    with server_process(world, repo, *_OPEN) as server:
        protocol = f"protocol.version={version}"
        world.run("git", "-c", protocol, "clone", "-q", _git_url(server), "clone")
        _commit(world, repo, "more")
        clone = world.root / "clone"
        world.git(clone, "-c", protocol, "pull", "-q")
        assert (clone / "more").exists()
        _commit(world, clone, "back")
        words = ("-c", protocol, "-c", "http.postBuffer=65536", "push", "-q", "origin", "main:back")
        world.git(clone, *words)
        assert world.git(repo, "rev-parse", "back") == world.git(clone, "rev-parse", "main")
        asked = {"Git-Protocol": f"version={version}"}
        path = "/info/refs?service=git-upload-pack"
        status, text, headers = _ask(server.port, "GET", path, headers=asked)
        assert status == 200
        assert headers["Content-Type"] == "application/x-git-upload-pack-advertisement"
        assert (f"version {version}".encode() in text) == (version != "0")
        assert _ask(server.port, "HEAD", path)[:2] == (200, b"")


def test_compressed_and_chunked_bodies(world: World) -> None:
    repo = world.make("repo")
    _commit(world, repo, "file")
    tip = world.git(repo, "rev-parse", "main")
    body = f"0032want {tip}\n00000009done\n".encode()
    kind = {"Content-Type": "application/x-git-upload-pack-request"}
    with server_process(world, repo, *_OPEN) as server:
        zipped = {**kind, "Content-Encoding": "gzip"}
        plain = _ask(server.port, "POST", "/git-upload-pack", body, kind)
        packed = _ask(server.port, "POST", "/git-upload-pack", gzip.compress(body), zipped)
        assert plain[0] == packed[0] == 200
        assert b"PACK" in plain[1]
        assert plain[1] == packed[1]
        with _connected(server.port) as connection:
            pieces = [body[:10], body[10:]]
            more = {**kind, "Transfer-Encoding": "chunked", "Expect": "100-continue"}
            connection.request("POST", "/git-upload-pack", pieces, more, encode_chunked=True)
            assert connection.getresponse().read() == plain[1]
        assert _ask(server.port, "POST", "/git-upload-pack", body)[0] == 415


# Bounds


def _peak(process: int) -> int:
    """Give the most memory that a process has used, in KiB."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


def test_a_large_push_and_clone_in_little_memory(world: World) -> None:
    repo = world.make("repo", bare=True)
    source = world.root / "source"
    world.run("git", "init", "-q", source)
    world.git(source, "config", "core.compression", "0")
    _commit(world, source, "large", os.urandom(50 << 20))
    with server_process(world, repo, *_OPEN) as server:
        _ask(server.port, "GET", "/info/refs?service=git-upload-pack")
        before = _peak(server.process.pid)
        world.git(source, "push", "-q", _git_url(server), "main")
        world.run("git", "clone", "-q", "--bare", "-b", "main", _git_url(server), "clone")
        assert _peak(server.process.pid) - before < 16 << 10
    assert world.git(world.root / "clone", "rev-parse", "main") == world.git(
        source, "rev-parse", "main"
    )


_HOOK = """\
#!/bin/sh
echo $$ > {pid}
exec sleep 1000
"""


def _slow_packing(world: World) -> Path:
    """Let git take for ever to make a pack; give the file that will have its process id."""
    hook, pid = world.root / "hook", world.root / "pid"
    hook.write_text(_HOOK.format(pid=pid))
    hook.chmod(0o755)
    world.run("git", "config", "--global", "uploadpack.packObjectsHook", hook)
    return pid


def _is_running(pid: Path) -> bool:
    with contextlib.suppress(FileNotFoundError, ValueError):
        return _is_there(int(pid.read_text()))
    return False


def _is_there(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.mark.parametrize("who", ["client", "server"])
def test_who_goes_away_leaves_no_child(world: World, who: str) -> None:
    repo = world.make("repo")
    _commit(world, repo, "file")
    pid = _slow_packing(world)
    world.git(repo, "config", "shoal.drain-time", "0.2")
    with server_process(world, repo, *_OPEN) as server:
        words = ["git", "clone", "-q", _git_url(server), str(world.root / "clone")]
        client = subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL)
        wait_until(lambda: _is_running(pid))
        if who == "client":
            os.killpg(client.pid, signal.SIGKILL)
        else:
            server.send(signal.SIGTERM)
        wait_until(lambda: not _is_running(pid))
        client.wait(120)
        if who == "client":
            assert _ask(server.port, "GET", "/config")[0] == 200


def test_a_server_that_is_killed_leaves_no_child(world: World) -> None:
    """Also in the middle of a push that said how long it is."""
    repo = world.make("repo")
    kind = {"Content-Type": "application/x-git-receive-pack-request", "Content-Length": "1000"}

    def started() -> list[tuple[int, bytes]]:
        return descendants(server.process.pid)

    with server_process(world, repo, *_OPEN) as server, _connected(server.port) as push:
        push.putrequest("POST", "/git-receive-pack")
        for header in kind.items():
            push.putheader(*header)
        push.endheaders(b"00")
        wait_until(lambda: b"http-backend" in b" ".join(dict(started()).values()))
        children = [pid for pid, _ in started()]
        server.send(signal.SIGKILL)
        server.end()
        wait_until(lambda: not any(map(_is_there, children)))


def test_no_more_processes_than_jobs(world: World) -> None:
    repo = world.make("repo")
    _commit(world, repo, "file")
    tip = world.git(repo, "rev-parse", "main")
    pid = _slow_packing(world)
    body = f"0032want {tip}\n00000009done\n".encode()
    kind = {"Content-Type": "application/x-git-upload-pack-request"}
    refs = "/info/refs?service=git-upload-pack"
    with server_process(world, repo, "-J2", "--wideopen", "--git") as server:
        with _connected(server.port) as first, _connected(server.port) as second:
            for connection in (first, second):
                connection.request("POST", "/git-upload-pack", body, kind)
            wait_until(lambda: _is_running(pid))
            with _connected(server.port, 0.5) as waiting:
                waiting.request("GET", refs)
                with pytest.raises(TimeoutError):
                    waiting.getresponse()
        assert _ask(server.port, "GET", refs)[0] == 200
