"""Requests over HTTP and HTTPS: what is sent, and what becomes of connections."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shoal.transport.addresses import AllowedAddresses
from shoal.transport.http_answer import HttpFailure
from shoal.transport.http_client import HttpClient, HttpOptions
from shoal.transport.http_connection import QuickAnswer
from tests.support.loop import in_loop, until
from tests.support.scripted_http import Cut, ScriptedServer, answer, scripted

ANYWHERE = HttpOptions(AllowedAddresses.parse("all"), (("X-Mine", "1"),))


async def get(client: HttpClient, url: str) -> tuple[int, bytes]:
    async with client.request("GET", url) as found:
        return found.status, await found.read()


@in_loop
async def test_connections_are_kept_after_a_whole_answer_only() -> None:
    server = ScriptedServer(lambda _: answer(b"whole"))
    async with scripted(server):
        client = HttpClient(ANYWHERE)
        url = f"http://127.0.0.1:{server.port}/x%2Fy?a=%5B"
        assert await get(client, url) == (200, b"whole")
        assert await get(client, url) == (200, b"whole")
        assert server.connections == 1
        async with client.request("GET", url) as found:
            assert found.header("content-type") == "application/json"
        # aiohttp had read that short answer already: the connection may be used again.
        server.otherwise = lambda _: answer(b"x" * 5_000_000)
        async with client.request("GET", url) as found:
            assert found.status == 200
        await asyncio.wait_for(server.closed.wait(), 10)
        before = server.connections
        server.otherwise = lambda _: answer(b"again")
        assert await get(client, url) == (200, b"again")
        assert server.connections == before + 1
        await client.aclose()
    assert {asked.target for asked in server.asked} == {"/x%2Fy?a=%5B"}
    assert {asked.headers["x-mine"] for asked in server.asked} == {"1"}


@in_loop
async def test_a_body_of_known_length_is_not_chunked() -> None:
    server = ScriptedServer(lambda _: answer())

    async def body() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"

    async with scripted(server):
        client = HttpClient(ANYWHERE)
        url = f"http://127.0.0.1:{server.port}/"
        async with client.request("POST", url, body=body(), length=4) as found:
            assert found.status == 200
        await client.aclose()
    (asked,) = server.asked
    assert (asked.headers["content-length"], asked.body) == ("4", b"abcd")
    assert "transfer-encoding" not in asked.headers


@in_loop
async def test_a_body_that_breaks_off_ends_the_connection() -> None:
    server = ScriptedServer(lambda _: answer())

    async def body() -> AsyncIterator[bytes]:
        yield b"ab"
        raise OSError("the disk")

    async with scripted(server):
        client = HttpClient(ANYWHERE)
        url = f"http://127.0.0.1:{server.port}/"
        with pytest.raises(HttpFailure):
            async with client.request("POST", url, body=body(), length=4):
                raise AssertionError("there is no answer")
        await asyncio.wait_for(server.closed.wait(), 10)
        await client.aclose()
    assert server.asked == []


@in_loop
async def test_redirects_are_followed_but_not_with_a_body() -> None:
    server = ScriptedServer()

    async def body() -> AsyncIterator[bytes]:
        yield b"ab"

    async with scripted(server):
        url = f"http://127.0.0.1:{server.port}/"
        moved = answer(status="307 Temporary Redirect", Location=f"{url}there")
        client = HttpClient(ANYWHERE)
        server.otherwise = lambda asked: answer(b"found") if asked.target == "/there" else moved
        assert await get(client, url) == (200, b"found")
        async with client.request("POST", url, body=body(), length=2) as found:
            assert found.summary == "307 Temporary Redirect"
        await client.aclose()


@in_loop
async def test_redirects_lead_to_no_private_address() -> None:
    server = ScriptedServer()
    async with scripted(server):
        options = HttpOptions(AllowedAddresses.parse(f"[127.0.0.1]:{server.port}"))
        client = HttpClient(options)
        moved = answer(status="302 Found", Location="http://127.0.0.1:1/")
        server.otherwise = lambda asked: moved
        with pytest.raises(HttpFailure, match="does not allow accessing address"):
            await get(client, f"http://127.0.0.1:{server.port}/")
        await client.aclose()


@in_loop
async def test_names_are_resolved_before_they_are_allowed() -> None:
    client = HttpClient()
    with pytest.raises(HttpFailure, match="does not allow accessing address"):
        await get(client, "http://localhost:1/")
    await client.aclose()


@in_loop
async def test_a_proxy_is_used_when_the_environment_names_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = ScriptedServer(lambda _: answer(b"from the proxy"))
    async with scripted(server):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("no_proxy", "direct.example")
        client = HttpClient(ANYWHERE)
        assert await get(client, "http://far.example/x") == (200, b"from the proxy")
        assert server.asked[0].target == "http://far.example/x"
        with pytest.raises(HttpFailure):
            await get(client, "http://direct.example:1/x")
        await client.aclose()


async def reused(data: bytes, size: int) -> AsyncIterator[memoryview]:
    """Give `data` in memory that is used again for each piece."""
    buffer = bytearray(size)
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        buffer[: len(piece)] = piece
        yield memoryview(buffer)[: len(piece)]
    buffer[:] = bytes(size)


@pytest.mark.parametrize("way", ["plain", "proxy", "tls"])
@in_loop
async def test_bodies_in_memory_that_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Pieces may wait where nothing is sent right away: then they have to be copied first."""
    data = os.urandom(5_000_000)
    context = _server_context(tmp_path, "IP:127.0.0.1") if way == "tls" else None
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    async with scripted(ScriptedServer(lambda _: answer(data)), context) as server:
        host = f"127.0.0.1:{server.port}"
        if way == "proxy":
            monkeypatch.setenv("http_proxy", f"http://{host}")
            host = "far.example"
        url = f"{'https' if way == 'tls' else 'http'}://{host}/x"
        client = HttpClient(ANYWHERE)
        for size in (300_000, 5_000_000):
            sent = client.request("POST", url, body=reused(data, size), length=len(data))
            async with sent as found:
                got = b"".join([bytes(chunk) async for chunk in found.chunks()])
            assert got == data
        await client.aclose()
    assert [asked.body == data for asked in server.asked] == [True, True]


@in_loop
async def test_questions_are_told_over_plain_connections_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[QuickAnswer | None] = []
    context = _server_context(tmp_path, "IP:127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    async with scripted(ScriptedServer(lambda _: answer(b"safe")), context) as server:
        client = HttpClient(ANYWHERE)
        url = f"https://127.0.0.1:{server.port}/"
        assert await get(client, url) == (200, b"safe")
        assert not client.ask("GET", url, {}, told.append)
        await client.aclose()
    async with scripted(ScriptedServer(lambda _: answer(b"plain"))) as server:
        client = HttpClient(ANYWHERE)
        url = f"http://127.0.0.1:{server.port}/"
        assert not client.ask("GET", url, {}, told.append)
        assert await get(client, url) == (200, b"plain")
        assert not client.ask("GET", url, {"X": "a\nb"}, told.append)
        assert client.ask("GET", url, {}, told.append)
        await until(lambda: bool(told))
        assert told[0] is not None
        assert told[0].body == b"plain"
        await client.aclose()
    assert server.connections == 1
    assert server.asked[0].headers == server.asked[1].headers


@in_loop
async def test_a_login_in_the_url_is_used() -> None:
    async with scripted(ScriptedServer(lambda _: answer(b"in"))) as server:
        client = HttpClient(ANYWHERE)
        assert await get(client, f"http://me:pw@127.0.0.1:{server.port}/x") == (200, b"in")
        await client.aclose()
    assert server.asked[0].headers["authorization"] == "Basic bWU6cHc="


@in_loop
async def test_long_and_broken_answers_are_failures() -> None:
    server = ScriptedServer(script=[answer(b"x" * 70_000), Cut(answer(b"xyz")[:-1])])
    async with scripted(server):
        client = HttpClient(ANYWHERE)
        url = f"http://127.0.0.1:{server.port}/"
        with pytest.raises(HttpFailure, match="too long"):
            await get(client, url)
        with pytest.raises(HttpFailure):
            await get(client, url)
        await client.aclose()


@in_loop
async def test_closing_is_harmless_when_nothing_was_asked() -> None:
    client = HttpClient()
    await client.aclose()
    await client.aclose()


def _server_context(directory: Path, name: str) -> ssl.SSLContext:
    """Make a certificate for `name`, in cert.pem."""
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem")]
    words += ["-subj", f"/CN={name}", "-addext", f"subjectAltName={name}"]
    subprocess.run(words, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    return context


@in_loop
async def test_servers_show_a_certificate_that_the_system_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = _server_context(tmp_path, "IP:127.0.0.1")
    async with scripted(ScriptedServer(lambda _: answer(b"safe")), context) as server:
        url = f"https://127.0.0.1:{server.port}/"
        stranger = HttpClient(ANYWHERE)
        with pytest.raises(HttpFailure, match="certificate verify failed"):
            await get(stranger, url)
        await stranger.aclose()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        client = HttpClient(ANYWHERE)
        assert await get(client, url) == (200, b"safe")
        await client.aclose()


@in_loop
async def test_a_certificate_for_another_host_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = _server_context(tmp_path, "DNS:other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    async with scripted(ScriptedServer(lambda _: answer(b"?")), context) as server:
        client = HttpClient(ANYWHERE)
        with pytest.raises(HttpFailure, match="certificate verify failed"):
            await get(client, f"https://127.0.0.1:{server.port}/")
        await client.aclose()
