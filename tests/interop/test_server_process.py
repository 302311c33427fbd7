"""`shoal p2phttp` as a process: options, start, many repositories, signals, and its end."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import free_port, left_behind, make_gateway, objects_of
from tests.support.raw_http import CLIENT, RawClient, key_of, receives
from tests.support.server_process import ServerProcess, server_process
from tests.support.wait import wait_until
from tests.support.world import World

LENGTH = "X-git-annex-data-length"


@pytest.fixture
def repo(world: World) -> Path:
    return world.make("repo")


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "Use -Jn or set annex.jobs to configure the number of worker threads."),
        ("-J1", "Use -Jn or set annex.jobs to configure the number of worker threads."),
        ("-J0", "Use -Jn or set annex.jobs to configure the number of worker threads."),
        ("-Jx", "option -J: cannot parse value `x'"),
        ("-J2 --port=x", "option --port: cannot parse value `x'"),
        ("-J2 --port=70000", "option --port: cannot parse value `70000'"),
        ("-J2 --lockedfiles=x", "option --lockedfiles: cannot parse value `x'"),
        ("-J2 --nosuch", "Invalid option `--nosuch'"),
        ("-J2 word", "Invalid argument `word'"),
        (
            "-J2 --certfile=x",
            "You must use both --certfile and --privatekeyfile options to enable HTTPS.",
        ),
        ("-J2 --certfile=/no --privatekeyfile=/no", "cannot read /no: No such file or directory"),
        ("-J2 --bind=192.0.2.1", "cannot listen on 192.0.2.1 port 9417: Cannot assign requested"),
        ("-J2 --socket=/no/where", "cannot listen on /no/where: No such file or directory"),
        ("-J2 --port=0 --directory=/no/where", "cannot serve /no/where: No such file or directory"),
    ],
)
def test_options_that_cannot_be_used(world: World, repo: Path, options: str, message: str) -> None:
    done = world.run("shoal", "p2phttp", *options.split(), cwd=repo, check=False)
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_outside_of_a_repository(world: World) -> None:
    outside = world.root / "outside"
    outside.mkdir()
    done = world.run("shoal", "p2phttp", "-J2", cwd=outside, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "shoal: Use the --directory option to specify which git-annex repositories to serve.\n"
    )


def test_jobs_from_git_config(world: World, repo: Path) -> None:
    world.git(repo, "config", "annex.jobs", "cpus" if (os.cpu_count() or 1) > 1 else "2")
    with server_process(world, repo, "--unauth-readonly") as server:
        assert server.raw(repo).present(key_of(b"x")) is False
    assert server.words() == ""  # as the real program


def test_processors_are_limited(world: World, repo: Path) -> None:
    with server_process(world, repo, "-J2", "--cpus=1") as server:
        assert len(os.sched_getaffinity(server.process.pid)) == 1


def test_locks_are_limited(world: World, repo: Path) -> None:
    keys = [world.add(repo, name, name.encode()) for name in ("a", "b")]
    with server_process(world, repo, "-J2", "--wideopen", "--lockedfiles=1") as server:
        raw = server.raw(repo)
        answers = [raw.ask("POST", raw.url("lockcontent", key=key)).json() for key in keys]
        assert [answer["locked"] for answer in answers] == [True, False]


# Sockets


def test_a_unix_socket(world: World, repo: Path) -> None:
    path = world.root / "socket"
    with server_process(world, repo, "-J2", "--wideopen") as other:
        assert other.process.poll() is None
        words = ["shoal", "p2phttp", "-J2", "--wideopen", f"--socket={path}"]
        process = subprocess.Popen(words, cwd=repo)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                wait_until(lambda: path.exists() and connection.connect_ex(str(path)) == 0)
                uuid = world.git(repo, "config", "annex.uuid")
                target = f"/git-annex/{uuid}/v4/gettimestamp?clientuuid=c"
                connection.sendall(f"POST {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert receives(connection, b"HTTP/1.1 200 OK")
        finally:
            process.terminate()
            assert process.wait(120) == 0


_PASS_ON = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp("shoal", ["shoal", "p2phttp", "-J2", "--wideopen"])
"""


def test_a_socket_of_systemd(world: World, repo: Path) -> None:
    """The socket is there before the server is: the first client only waits."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        uuid = world.git(repo, "config", "annex.uuid")
        os.set_inheritable(listener.fileno(), True)
        words = [sys.executable, "-c", _PASS_ON, str(listener.fileno())]
        with socket.create_connection(("127.0.0.1", port), timeout=120) as early:
            target = f"/git-annex/{uuid}/v4/gettimestamp?clientuuid=c"
            early.sendall(f"POST {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            process = subprocess.Popen(words, cwd=repo, close_fds=False)
            try:
                assert receives(early, b"HTTP/1.1 200 OK")
                assert RawClient(port, uuid).present(key_of(b"x")) is False
            finally:
                process.terminate()
                assert process.wait(120) == 0


def test_tls(world: World, repo: Path) -> None:
    certificate, key_file = world.root / "server.pem", world.root / "server.key"
    world.run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key_file,
        "-out", certificate,
    )  # fmt: skip
    content = os.urandom(5_000_000)
    key = key_of(content)
    tls = (f"--certfile={certificate}", f"--privatekeyfile={key_file}")
    trusting = ssl.create_default_context(cafile=str(certificate))
    with server_process(world, repo, "--wideopen", "-J4", *tls) as server:
        raw = server.raw(repo)
        connection = http.client.HTTPSConnection("localhost", server.port, context=trusting)
        connection.request("POST", raw.url("put", key=key), content, {LENGTH: str(len(content))})
        assert b'"stored":true' in connection.getresponse().read()
        connection.request("GET", raw.url(f"key/{key}"))
        assert connection.getresponse().read() == content
        connection.close()
        assert raw.get(key).status == 426


# Many repositories


def test_repositories_below_directories(world: World) -> None:
    top = world.root / "top"
    (top / "deep").mkdir(parents=True)
    outside = world.root / "outside"
    outside.mkdir()
    first = world.make("top/first")
    second = world.make("top/deep/second.git", bare=True)
    content = b"content"
    key = key_of(content)
    with server_process(world, outside, "-J2", "--wideopen", f"--directory={top}") as server:
        for repo in (first, second):
            assert server.raw(repo).put(key, content).json()["stored"] is True
            assert objects_of(repo, key)
        new = world.make("top/deep/new")
        assert server.raw(new).put(key, content).json()["stored"] is True
        missing = server.raw(first)
        first.rename(outside / "first")
        assert missing.get(key).status == 404
        (outside / "first").rename(first)
        assert missing.get(key).body == content
        unknown = RawClient(server.port, "00000000-0000-4000-8000-000000000000")
        assert unknown.get(key).status == 404


def test_a_new_repository_takes_the_place_of_an_old_one(world: World) -> None:
    top = world.root / "top"
    top.mkdir()
    old = world.make("top/repo")
    with server_process(world, top, "-J2", "--wideopen", f"--directory={top}") as server:
        before = server.raw(old)
        assert before.present(key_of(b"x")) is False
        old.rename(world.root / "old")
        new = world.make("top/repo")
        assert server.raw(new).present(key_of(b"x")) is False
        assert before.ask("POST", before.url("checkpresent", key=key_of(b"x"))).status in {404, 502}


# Signals, and what they leave


def slow_upload(server: ServerProcess, repo: Path, content: bytes) -> socket.socket:
    """Begin an upload; its last half is not sent yet."""
    request = server.raw(repo).put_request(key_of(content), content)
    return server.raw(repo).start(request[: -len(content) // 2])


def is_receiving(repo: Path, content: bytes) -> bool:
    return (repo / ".git/annex/transfer/download" / CLIENT / key_of(content)).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_requests_are_finished(world: World, repo: Path, number: int) -> None:
    content = os.urandom(2_000_000)
    with server_process(world, repo, "-J2", "--wideopen") as server:
        upload = slow_upload(server, repo, content)
        idle = server.raw(repo).start(b"")
        wait_until(lambda: is_receiving(repo, content))
        server.send(number)
        wait_until(lambda: _refused(server.port))
        upload.sendall(content[len(content) // 2 :])
        assert receives(upload, b'"stored":true')
        while upload.recv(4096):
            pass
        assert idle.recv(1) == b""
        assert server.end() == 0
        upload.close()
        idle.close()
    assert objects_of(repo, key_of(content))
    assert left_behind(repo) == []  # the journal is committed
    uuid = world.git(repo, "config", "annex.uuid")
    log = world.git(repo, "grep", "-h", uuid, "git-annex", "--", f"*/{key_of(content)}.log")
    assert f" 1 {uuid}" in log


def _refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_requests_that_do_not_end_are_broken_off(world: World, repo: Path) -> None:
    world.git(repo, "config", "shoal.drain-time", "0.5")
    content = os.urandom(2_000_000)
    with server_process(world, repo, "-J2", "--wideopen") as server:
        upload = slow_upload(server, repo, content)
        wait_until(lambda: is_receiving(repo, content))
        server.send(signal.SIGTERM)
        assert server.end() == 0
        assert "broken off" in server.words()
        upload.close()
    assert left_behind(repo) == []
    with server_process(world, repo, "-J2", "--wideopen") as server:
        raw = server.raw(repo)
        offset = raw.ask("POST", raw.url("putoffset", key=key_of(content))).json()["offset"]
        assert isinstance(offset, int)
        assert offset <= len(content) // 2
        assert raw.put(key_of(content), content[offset:], offset=offset).json()["stored"] is True


def test_a_second_signal_ends_the_server_at_once(world: World, repo: Path) -> None:
    content = os.urandom(2_000_000)
    with server_process(world, repo, "-J2", "--wideopen") as server:
        upload = slow_upload(server, repo, content)
        wait_until(lambda: is_receiving(repo, content))
        server.send(signal.SIGTERM)
        wait_until(lambda: _refused(server.port))
        server.send(signal.SIGTERM)
        assert server.end() == -signal.SIGTERM
        upload.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_locks_outlive_the_server(world: World, repo: Path, number: int) -> None:
    """A client may count on a lock for ten minutes, whatever becomes of the server."""
    key = world.add(repo, "a", b"content")
    world.git(repo, "config", "shoal.drain-time", "1000")  # the keeper is not waited for
    with server_process(world, repo, "-J2", "--wideopen") as server:
        raw = server.raw(repo)
        locked = raw.ask("POST", raw.url("lockcontent", key=key)).json()
        assert locked["locked"] is True
        body = b'10\r\n{"unlock":false}\r\n'
        path = raw.url("keeplocked", lockid=locked["lockid"])
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        keeper = raw.start(head.encode() + body)
        server.send(number)
        server.end()
        keeper.close()
    refused = world.run("git-annex", "drop", "--force", "a", cwd=repo, check=False)
    assert refused.returncode == 1
    assert "content is locked" in refused.stdout + refused.stderr
    with server_process(world, repo, "-J2", "--wideopen") as server:
        raw = server.raw(repo)
        assert raw.ask("POST", raw.url("remove", key=key)).json()["removed"] is False


def test_memory_does_not_grow_with_the_object(world: World, repo: Path) -> None:
    block = os.urandom(1 << 20)
    size = 300 << 20
    key = f"WORM-s{size}-m1--big"
    with server_process(world, repo, "-J4", "--wideopen") as server:
        raw = server.raw(repo)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        body = (block for _ in range(300))
        connection.request("POST", raw.url("put", key=key), body, {LENGTH: str(size)})
        assert b'"stored":true' in connection.getresponse().read()
        connection.request("GET", raw.url(f"key/{key}"))
        answer = connection.getresponse()
        got = 0
        while piece := answer.read(1 << 20):
            got += len(piece)
        assert got == size
        connection.close()
        status = Path(f"/proc/{server.process.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 120 * 1024  # kB


def test_ports_are_free_again_at_once(world: World, repo: Path) -> None:
    port = free_port()
    for _ in range(2):
        with server_process(world, repo, "-J2", "--wideopen", port=port) as server:
            assert server.raw(repo).present(key_of(b"x")) is False


def test_gateways_below_directories_serve_their_clusters(world: World) -> None:
    """Also what they begin to serve while the server runs."""
    gateway = make_gateway(world, nodes=2)
    world.make("plain")
    content = os.urandom(100_000)
    key = key_of(content)
    options = ("-J4", "--wideopen", f"--directory={world.root}")
    outside = world.root / "home"
    outside.mkdir()
    with server_process(world, outside, *options) as server:
        cluster = RawClient(server.port, gateway.cluster)
        nodes = sorted(gateway.uuid_of(node) for node in gateway.nodes)
        stored = cluster.put(key, content).json()
        assert stored["stored"] is True
        plus = stored["plusuuids"]
        assert isinstance(plus, list)
        assert sorted(plus) == nodes
        assert [bool(objects_of(node, key)) for node in gateway.nodes] == [True, True]
        assert server.raw(gateway.path).present(key) is False
        third = world.make("third")
        world.git(gateway.path, "remote", "add", "third", third)
        world.git(gateway.path, "config", "remote.third.annex-uuid", gateway.uuid_of(third))
        world.git(gateway.path, "config", "remote.third.annex-proxy", "true")
        world.annex(gateway.path, "updateproxy")
        assert server.raw(third).put(key, content).json()["stored"] is True
        assert objects_of(third, key)
    assert left_behind(gateway.path) == []
    assert gateway.uuid_of(third) in world.annex(gateway.path, "whereis", f"--key={key}")
