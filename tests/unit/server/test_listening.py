"""Where clients connect: ports, unix sockets, passed-on sockets, TLS."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shoal.errors import UsageError
from shoal.p2phttp.codec import Credentials
from shoal.server.app import App
from shoal.server.http import Server
from shoal.server.listening import CannotListen, Listener, listening_sockets, tls_context
from shoal.server.options import Limits, Listening
from shoal.server.permissions import EVERYTHING, Permissions, User
from shoal.server.repositories import OneRepository
from tests.support.loop import in_loop
from tests.support.memory_remote import MEMORY_UUID, MemoryRemote, key_of
from tests.support.served import FixedSite, read_answer, request_bytes

ASK = request_bytes("POST", f"/git-annex/{MEMORY_UUID}/v4/gettimestamp?clientuuid=c")
KEY = key_of(b"x")


def sockets(listening: Listening) -> list[socket.socket]:
    return listening_sockets(listening, {}, 60)


@asynccontextmanager
async def answering(
    opened: list[socket.socket], tls: ssl.SSLContext | None = None
) -> AsyncIterator[MemoryRemote]:
    """Serve a MemoryRemote on sockets."""
    remote = MemoryRemote(at_once=True)
    users = {"alice": User(b"sesame", EVERYTHING)}
    permissions = Permissions(users=users) if tls else Permissions(EVERYTHING)
    directory = OneRepository(FixedSite({MEMORY_UUID: remote}, 8))
    server = Server(App(directory, permissions, Limits()), Limits())
    async with Listener(opened, server, tls):
        yield remote
    await server.shutdown(1)


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes = ASK
) -> int:
    writer.write(request)
    answer = await read_answer(reader)
    writer.close()
    await writer.wait_closed()
    return answer.status


@in_loop
async def test_all_addresses() -> None:
    opened = sockets(Listening(port=0))
    families = {each.family for each in opened}
    assert socket.AF_INET in families
    async with answering(opened):
        for each in opened:
            host = "127.0.0.1" if each.family == socket.AF_INET else "::1"
            assert await ask(*await asyncio.open_connection(host, each.getsockname()[1])) == 200


def test_an_address_in_use_is_one_sentence() -> None:
    (first,) = sockets(Listening("127.0.0.1", 0))
    with first, pytest.raises(CannotListen, match=r"cannot listen on 127.0.0.1 port \d+: Addr"):
        sockets(Listening("127.0.0.1", first.getsockname()[1]))


def test_an_address_of_another_machine() -> None:
    with pytest.raises(CannotListen, match=r"192.0.2.1 port 0: Cannot assign"):
        sockets(Listening("192.0.2.1", 0))


def test_a_name_that_is_no_address() -> None:
    with pytest.raises(CannotListen, match=r"cannot listen on no\.such\.name\.invalid port 9417"):
        sockets(Listening("no.such.name.invalid"))


@in_loop
async def test_a_unix_socket_is_for_its_user_only_and_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for _ in range(2):
        opened = sockets(Listening(socket=str(path)))
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        async with answering(opened):
            assert await ask(*await asyncio.open_unix_connection(path)) == 200
        assert path.exists()


def test_a_unix_socket_in_use_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with sockets(Listening(socket=str(path)))[0], pytest.raises(CannotListen, match="in use"):
        sockets(Listening(socket=str(path)))


def test_a_file_in_the_way_of_a_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.write_text("precious")
    with pytest.raises(CannotListen):
        sockets(Listening(socket=str(path)))
    assert path.read_text() == "precious"


_PASSED_ON = """
import os, socket, sys
from shoal.server.listening import listening_sockets
from shoal.server.options import Listening
os.dup2(int(sys.argv[1]), 3)
environment = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "x"}
(found,) = listening_sockets(Listening("127.0.0.1", 1), environment, 60)
print(found.getsockname()[1], environment, found.getblocking())
"""


def test_sockets_of_systemd_win() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)
        words = [sys.executable, "-c", _PASSED_ON, str(listener.fileno())]
        done = subprocess.run(words, capture_output=True, text=True, close_fds=False, check=True)
        assert done.stdout == f"{listener.getsockname()[1]} {{}} False\n"


def test_sockets_for_another_process_are_not_taken() -> None:
    environment = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid() + 1)}
    (opened,) = listening_sockets(Listening("127.0.0.1", 0), environment, 60)
    with opened:
        assert opened.fileno() != 3
    assert environment == {}


# TLS


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@in_loop
async def test_tls_lets_users_in(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "shoal")
    chain, _ = make_certificate(tmp_path, "chain")
    listening = Listening("127.0.0.1", 0, None, str(certificate), str(key), (str(chain),))
    tls = tls_context(listening)
    assert tls is not None
    opened = sockets(listening)
    port = opened[0].getsockname()[1]
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with answering(opened, tls) as remote:
        alice = Credentials("alice", "sesame").header()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        for endpoint in ("gettimestamp?clientuuid=c", f"checkpresent?clientuuid=c&key={KEY}"):
            path = f"/git-annex/{MEMORY_UUID}/v4/{endpoint}"
            writer.write(request_bytes("POST", path, headers={"Authorization": alice}))
            assert (await read_answer(reader)).status == 200
        writer.close()
        assert remote.calls == [("timestamp", None), ("present_at_once", KEY)]
        connection = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        assert await ask(*connection) == 401


@in_loop
async def test_plain_http_to_a_tls_port_is_told_so(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "shoal")
    listening = Listening("127.0.0.1", 0, None, str(certificate), str(key))
    opened = sockets(listening)
    port = opened[0].getsockname()[1]
    async with answering(opened, tls_context(listening)):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK)
        answer = await read_answer(reader)
        assert answer.status == 426
        assert answer.body == b"This server only accepts secure HTTPS connections."
        assert await reader.read() == b""
        writer.close()
        for nonsense in (b"", b"\x16nonsense"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(nonsense)
            writer.write_eof()
            await reader.read()
            writer.close()


def test_certificate_and_key_belong_together(tmp_path: Path) -> None:
    assert tls_context(Listening()) is None
    both = "You must use both --certfile and --privatekeyfile options to enable HTTPS."
    for one in (Listening(certificate="x"), Listening(private_key="x")):
        with pytest.raises(UsageError) as caught:
            tls_context(one)
        assert str(caught.value) == both


def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path, "one")
    _, key = make_certificate(tmp_path, "two")
    with pytest.raises(CannotListen, match="cannot use the TLS files"):
        tls_context(Listening(certificate=str(certificate), private_key=str(key)))
    with pytest.raises(CannotListen, match=r"cannot read .*nowhere: No such file"):
        tls_context(Listening(certificate=str(tmp_path / "nowhere"), private_key=str(key)))
    with pytest.raises(CannotListen, match="No such file"):
        tls_context(Listening(certificate=str(certificate), private_key="nowhere"))
