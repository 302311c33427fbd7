"""Requests, from their path to an answer, and what a client hears when something fails."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

import pytest

from shoal.errors import (
    ContentLocked,
    KeyNotPresent,
    NotEnoughSpace,
    RemoteRefused,
    RemoteUnavailable,
    ShoalError,
)
from shoal.server.messages import public_reason, public_status, public_text
from shoal.server.permissions import READ_ONLY, Permissions
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote, key_of
from tests.support.served import CLIENT, read_answer, request_bytes, serving

NODES = (UUID("n1"), UUID("n2"))


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4])
@in_loop
async def test_checkpresent(version: int) -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        there = await server.post("checkpresent", version=version, key=key)
        absent = await server.post("checkpresent", version=version, key=key_of(b"absent"))
    assert (there.status, there.body) == (200, b'{"present":true}')
    assert there.headers["content-type"] == "application/json;charset=utf-8"
    assert absent.body == b'{"present":false}'


@in_loop
async def test_the_remote_hears_who_asks() -> None:
    remote = MemoryRemote()
    async with serving(remote) as server:
        path = server.path("checkpresent", 3, key=key_of(b"x"), bypass="g1")
        await server.ask("POST", f"{path}&bypass=g2")
    (caller,) = remote.callers
    assert (caller.uuid, caller.bypass, caller.version) == (
        CLIENT,
        frozenset({UUID("g1"), UUID("g2")}),
        3,
    )


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4])
@in_loop
async def test_remove(version: int) -> None:
    remote = MemoryRemote(stored_in=NODES)
    key = remote.put(b"hello")
    async with serving(remote) as server:
        answer = await server.post("remove", version=version, key=key)
    plus = b'"plusuuids":["n1","n2"],' if version >= 2 else b""
    assert answer.body == b'{%b"removed":true}' % plus
    assert remote.objects == {}


@pytest.mark.parametrize(("timestamp", "removed"), [(1000, b"false"), (1001, b"true")])
@in_loop
async def test_remove_before(timestamp: int, removed: bytes) -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        answer = await server.post("remove-before", key=key, timestamp=timestamp)
        assert answer.body == b'{"plusuuids":[],"removed":%b}' % removed
        absent = await server.post("remove-before", key=key_of(b"absent"), timestamp=1)
        assert absent.body == b'{"plusuuids":[],"removed":true}'


@in_loop
async def test_gettimestamp() -> None:
    async with serving(MemoryRemote(clock=1234)) as server:
        assert (await server.post("gettimestamp")).body == b'{"timestamp":1234}'


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/git-annex/{uuid}/", 404),
        ("POST", "/git-annex/{uuid}/v4/nosuch?clientuuid=c", 404),
        ("POST", "/git-annex/unknown/v4/gettimestamp?clientuuid=c", 404),
        ("POST", "/git-annex/{uuid}/v5/gettimestamp?clientuuid=c", 404),
        ("POST", "/git-annex/{uuid}/v0/putoffset?key={key}&clientuuid=c", 404),
        ("GET", "/git-annex/{uuid}/v4/gettimestamp?clientuuid=c", 405),
        ("POST", "/git-annex/{uuid}/key/{key}", 405),
        ("PUT", "/git-annex/{uuid}/v4/put?key={key}&clientuuid=c", 405),
        ("DELETE", "/git-annex/{uuid}/key/{key}", 405),
        ("OPTIONS", "*", 404),
        ("POST", "/git-annex/{uuid}/v4/gettimestamp", 400),
        ("POST", "/git-annex/{uuid}/v4/gettimestamp?clientuuid=", 400),
        ("POST", "/git-annex/{uuid}/v4/checkpresent?clientuuid=c", 400),
        ("POST", "/git-annex/{uuid}/v4/checkpresent?key=bad&clientuuid=c", 400),
        ("POST", "/git-annex/{uuid}/v4/remove-before?key={key}&clientuuid=c", 400),
        ("POST", "/git-annex/{uuid}/v4/keeplocked", 400),
        ("GET", "/git-annex/{uuid}/key/%5B!!!%5D", 400),
        ("GET", "/git-annex/{uuid}/key/..%2F..%2Fetc%2Fpasswd", 400),
        ("GET", "/git-annex/{uuid}/key/SHA256--..%2F..%2F..%2Fconfig", 404),
        ("GET", "/git-annex/../../etc/passwd", 404),
        ("GET", "/git-annex/%2e%2e/key/{key}", 404),
        ("GET", "//git-annex/{uuid}/key/{key}", 404),
        ("GET", "/git-annex/{uuid}/key/{key}/", 200),
    ],
)
@in_loop
async def test_status_of_requests(method: str, path: str, status: int) -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    async with serving(remote) as server:
        answer = await server.ask(method, path.format(uuid=server.uuid, key=key))
    assert answer.status == status
    assert answer.body.count(b"\n") == 0
    assert b"Traceback" not in answer.body


@in_loop
async def test_permission_is_asked_for_last_and_nothing_is_touched() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    readable = Permissions(READ_ONLY)
    async with serving(remote, permissions=readable) as server:
        assert (await server.post("remove", key="bad")).status == 400
        assert (await server.ask("POST", "/git-annex/no/v4/remove?key=x")).status == 400
        path = server.path("remove", key=key).replace(server.uuid, "unknown")
        assert (await server.ask("POST", path)).status == 404
        assert (await server.post("remove", key=key)).status == 403
        assert (await server.put(key, b"hello")).status == 403
        assert (await server.get(key)).status == 200
    assert [verb for verb, _ in remote.calls] == ["retrieve"]


@in_loop
async def test_logging_in_is_asked_for() -> None:
    async with serving(MemoryRemote(), permissions=Permissions(users={})) as server:
        answer = await server.post("gettimestamp")
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="git-annex", charset="UTF-8"'


@in_loop
async def test_a_refused_upload_is_not_waited_for() -> None:
    """The client sees the answer although it is still sending."""
    key = key_of(b"x" * 5_000_000)
    async with serving(MemoryRemote(), permissions=Permissions()) as server:
        reader, writer = await server.connect()
        headers = {"X-git-annex-data-length": 5_000_000, "Content-Length": 5_000_000}
        path = server.path("put", key=key)
        writer.write(request_bytes("POST", path, b"x" * 4_000_000, headers))
        assert (await read_answer(reader)).status == 401
        writer.write(b"x" * 1_000_000)
        await writer.drain()
        assert await reader.read() == b""


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (KeyNotPresent("n1", "SHA256--x"), 404, 'remote "n1" does not have the content of SHA256'),
        (
            RemoteUnavailable("n1", "/srv/n1: no such directory"),
            502,
            'remote "n1" is not available',
        ),
        (ContentLocked(), 423, "content is locked"),
        (NotEnoughSpace("not enough free space in /srv/annex"), 507, "not enough free space in "),
        (RemoteRefused("cannot read '/srv/my/file', sorry"), 500, "cannot read '(path)', sorry"),
        (RemoteRefused("first\nsecond /srv/x"), 500, "first"),
        (ShoalError("it failed (/etc/x: bad)"), 500, "it failed ((path): bad)"),
        (OSError(errno.ENOSPC, "full", "/srv/x"), 507, "No space left on device"),
        (OSError(errno.EIO, "bad", "/srv/x"), 500, "Input/output error"),
    ],
)
@in_loop
async def test_errors_say_what_happened_and_name_no_path(
    error: Exception, status: int, text: str
) -> None:
    remote = MemoryRemote()
    remote.fail("check_present", error)
    async with serving(remote) as server:
        answer = await server.post("checkpresent", key=key_of(b"x"))
    assert answer.status == status
    assert text in answer.body.decode()
    assert b"/srv" not in answer.body
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_full_server_says_so_beside_the_status() -> None:
    """That is all that a user of git-annex sees of the answer."""
    assert public_reason(NotEnoughSpace("no room in /srv/\xe9\nat all")) == "no room in (path)"
    assert public_reason(NotEnoughSpace("no room \xe9 " + "x" * 500)) == "no room ? " + "x" * 190
    assert public_reason(ContentLocked()) is None


def test_urls_in_keys_are_no_paths() -> None:
    error = KeyNotPresent("n1", "URL--http://example.org/a/b")
    assert "URL--http://example.org/a/b" in public_text(error)
    assert public_status(error) == 404


@in_loop
async def test_the_operator_hears_the_cause(capfd: pytest.CaptureFixture[str]) -> None:
    remote = MemoryRemote()
    remote.fail("remove", RemoteUnavailable("n1", "/srv/n1 is not mounted"))
    async with serving(remote) as server:
        await server.post("remove", key=key_of(b"x"))
    line = capfd.readouterr().err
    assert "/srv/n1 is not mounted" in line
    assert line.count("\n") == 1


@in_loop
async def test_a_bug_shows_the_client_nothing(caplog: pytest.LogCaptureFixture) -> None:
    remote = MemoryRemote()
    remote.fail("check_present", KeyError("secret"))
    async with serving(remote) as server:
        answer = await server.post("checkpresent", key=key_of(b"x"))
        assert (answer.status, answer.body) == (500, b"Something went wrong")
        assert (await server.post("checkpresent", key=key_of(b"x"))).status == 200
    assert "secret" in caplog.text


@in_loop
async def test_slow_transfers_do_not_hold_up_short_requests() -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    gate = remote.hold("retrieve", times=2)
    async with serving(remote, jobs=2) as server:
        async with asyncio.TaskGroup() as group:
            downloads = [group.create_task(server.get(key)) for _ in range(4)]
            await gate.reached()
            assert (await server.post("checkpresent", key=key)).body == b'{"present":true}'
            assert [verb for verb, _ in remote.calls].count("retrieve") == 2
            gate.open()
        assert {download.result().body for download in downloads} == {b"hello"}


@pytest.mark.parametrize("endpoint", ["remove", "checkpresent", "putoffset"])
@in_loop
async def test_nothing_is_done_for_a_client_that_left_the_queue(endpoint: str) -> None:
    remote = MemoryRemote()
    key = remote.put(b"hello")
    gate = remote.hold("timestamp")
    async with serving(remote, jobs=1) as server:
        _, first = await server.connect()
        first.write(request_bytes("POST", server.path("gettimestamp")))
        await gate.reached()
        _, second = await server.connect()
        second.write(request_bytes("POST", server.path(endpoint, key=key)))
        await second.drain()
        await asyncio.sleep(0.05)
        second.close()
        await asyncio.sleep(0.05)
        gate.open()
        await server.app.idle()
    assert remote.calls == [("timestamp", None)]


@pytest.mark.parametrize("verb", ["remove", "store"])
@in_loop
async def test_a_change_that_has_begun_is_finished_without_its_client(verb: str) -> None:
    remote = MemoryRemote()
    content = b"hello"
    key = key_of(content)
    gate = remote.hold(verb, after=0 if verb == "remove" else len(content))
    async with serving(remote) as server:
        _, writer = await server.connect()
        if verb == "remove":
            remote.put(content)
            writer.write(request_bytes("POST", server.path("remove", key=key)))
        else:
            headers = {"X-git-annex-data-length": len(content)}
            writer.write(request_bytes("POST", server.path("put", key=key), content, headers))
        await gate.reached()
        writer.close()
        await asyncio.sleep(0.02)
        gate.open()
        await server.app.idle()
    assert remote.objects == ({} if verb == "remove" else {key: content})


def _bracketed(text: bytes) -> str:
    import base64
    from urllib.parse import quote

    return quote(f"[{base64.urlsafe_b64encode(text).decode()}]")


@pytest.mark.parametrize("write", [_bracketed, lambda text: "%".join(["", *_hex(text)])])
@in_loop
async def test_keys_in_any_spelling(write: Callable[[bytes], str]) -> None:
    remote = MemoryRemote()
    key = Key.parse(b"WORM-s5-m1--a b/\xff.txt")
    remote.objects[key] = b"hello"
    async with serving(remote) as server:
        path = server.path("key/", None).removesuffix("/") + "/" + write(bytes(key))
        assert (await server.ask("GET", path)).body == b"hello"
        path = server.path("checkpresent") + "&key=" + write(bytes(key))
        assert (await server.ask("POST", path)).body == b'{"present":true}'


def _hex(text: bytes) -> list[str]:
    return [f"{byte:02x}" for byte in text]
