"""Requests that are answered as soon as they are read: just like all others, only sooner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

import pytest

from shoal.errors import NotEnoughSpace, RemoteUnavailable, TransferInProgress
from shoal.remotes.base import NOBODY, AlreadyPresent, Caller, StoreResult
from shoal.remotes.content import WholeContent
from shoal.server.options import Limits
from shoal.server.permissions import EVERYTHING, READ_ONLY, Permissions, User
from shoal.values.key import Key
from tests.support.loop import in_loop, pass_time, until
from tests.support.memory_remote import MemoryRemote, key_of
from tests.support.served import CLIENT, Answer, TestServer, read_answer, request_bytes, serving

DATA = b"content of a key"
KEY = key_of(DATA)
ABSENT = key_of(b"absent")
LOGIN = {"Authorization": "Basic bWU6c2VjcmV0"}  # me:secret

REQUESTS = [
    *(("GET", f"v{version}/key/{KEY}?clientuuid=c", {}) for version in range(5)),
    ("GET", f"key/{KEY}", {}),
    ("GET", f"key/{KEY}?offset=3", {}),
    ("GET", f"v4/key/{KEY}?clientuuid=c&offset=3", {}),
    ("GET", f"v4/key/{KEY}?clientuuid=c&offset=300", {}),
    ("GET", f"v4/key/{KEY}?clientuuid=c&associatedfile=a", {"Accept": "text/plain"}),
    ("GET", f"v4/key/{KEY}", {}),
    ("GET", f"key/{KEY}", {"Range": "bytes=2-5"}),
    ("GET", f"v4/key/{KEY}?clientuuid=c", {"Range": "bytes=2-5"}),
    ("GET", f"v4/key/{ABSENT}?clientuuid=c", {}),
    ("GET", "v4/key/no-key?clientuuid=c", {}),
    ("GET", f"v9/key/{KEY}?clientuuid=c", {}),
    ("HEAD", f"key/{KEY}", {}),
    ("HEAD", f"v4/key/{KEY}?clientuuid=c", {}),
    ("PUT", f"key/{KEY}", {}),
    ("POST", f"v4/checkpresent?clientuuid=c&key={KEY}", {}),
    ("POST", f"v0/checkpresent?clientuuid=c&key={ABSENT}", {}),
    ("POST", f"v4/checkpresent?clientuuid=c&key={KEY}", {"Accept": "application/json"}),
    ("POST", f"v4/checkpresent?clientuuid=c&key={KEY}", {"Accept": "text/html"}),
    ("POST", f"v4/checkpresent?key={KEY}", {}),
    ("GET", f"v4/checkpresent?clientuuid=c&key={KEY}", {}),
    ("POST", "v4/gettimestamp?clientuuid=c", {}),
    ("GET", "", {}),
]


def remote_with_data(*, at_once: bool = True) -> MemoryRemote:
    remote = MemoryRemote(at_once=at_once)
    remote.put(DATA)
    return remote


async def _answer(server: TestServer, method: str, path: str, headers: dict[str, str]) -> Answer:
    answer = await server.ask(method, f"/git-annex/{server.uuid}/{path}", b"", headers)
    assert answer.headers.pop("date", "").endswith("GMT")
    return answer


@pytest.mark.parametrize(("method", "path", "headers"), REQUESTS)
@in_loop
async def test_answers_are_the_same(method: str, path: str, headers: dict[str, str]) -> None:
    async with serving(remote_with_data()) as server:
        at_once = await _answer(server, method, path, headers)
    async with serving(remote_with_data(at_once=False)) as server:
        assert await _answer(server, method, path, headers) == at_once


@pytest.mark.parametrize(("method", "path", "headers"), REQUESTS)
@in_loop
async def test_answers_that_are_told_soon_are_the_same(
    method: str, path: str, headers: dict[str, str]
) -> None:
    async with serving(remote_told_soon()) as server:
        soon = await _answer(server, method, path, headers)
    async with serving(remote_with_data(at_once=False)) as server:
        assert await _answer(server, method, path, headers) == soon


@in_loop
async def test_what_is_told_soon_is_not_asked_again() -> None:
    remote = remote_told_soon()
    async with serving(remote) as server:
        assert (await server.get(KEY)).body == DATA
        assert (await server.post("checkpresent", key=KEY)).body == b'{"present":true}'
    assert remote.calls == [("read_soon", KEY), ("present_soon", KEY)]
    assert [caller.uuid for caller in remote.callers] == [CLIENT, CLIENT]


@in_loop
async def test_what_could_not_be_told_is_asked_in_the_usual_way() -> None:
    remote = remote_told_soon()
    remote.changing.add(KEY)
    async with serving(remote) as server:
        answer = await server.get(KEY)
        assert (answer.complete, answer.body) == (False, DATA[:-1])
    assert remote.calls == [("read_soon", KEY), ("retrieve", KEY)]


@in_loop
async def test_requests_wait_behind_one_that_is_told_later() -> None:
    remote = remote_told_soon()
    remote.untold = []
    async with serving(remote) as server:
        reader, writer = await server.connect()
        check = request_bytes("POST", server.path("checkpresent", key=KEY))
        for _ in range(3):
            writer.write(check)
            await _asked(remote, 1)
        writer.write(request_bytes("POST", server.path("gettimestamp")))
        await asyncio.sleep(0.01)
        assert remote.calls == [("present_soon", KEY)]
        _tell(remote)
        for body in (*[b'{"present":true}'] * 3, b'{"timestamp":1000}'):
            assert (await read_answer(reader)).body == body


@in_loop
async def test_what_is_no_request_is_refused_after_the_answer_that_is_told_later() -> None:
    remote = remote_told_soon()
    remote.untold = []
    async with serving(remote) as server:
        reader, writer = await server.connect()
        writer.write(request_bytes("POST", server.path("checkpresent", key=KEY)))
        await _asked(remote, 1)
        writer.write(b"bad\r\n\r\n")
        await asyncio.sleep(0.01)
        _tell(remote)
        assert (await read_answer(reader)).body == b'{"present":true}'
        assert (await read_answer(reader)).status == 400


@in_loop
async def test_a_client_that_left_is_told_nothing() -> None:
    remote = remote_told_soon()
    remote.untold = []
    async with serving(remote) as server:
        _, writer = await server.connect()
        writer.write(request_bytes("GET", server.path(f"key/{KEY}")))
        await _asked(remote, 1)
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.01)
        _tell(remote)
        remote.untold = None
        assert (await server.get(KEY)).body == DATA


@in_loop
async def test_a_connection_is_not_idle_while_its_answer_is_to_be_told() -> None:
    remote = remote_told_soon()
    remote.untold = []
    async with serving(remote, limits=Limits(idle=20)) as server:
        reader, writer = await server.connect()
        request = request_bytes("POST", server.path("checkpresent", key=KEY))
        writer.write(request)
        await _asked(remote, 1)
        _tell(remote)
        assert (await read_answer(reader)).status == 200
        await pass_time(15)
        writer.write(request)
        await _asked(remote, 1)
        await pass_time(15)
        _tell(remote)
        assert (await read_answer(reader)).status == 200


def remote_told_soon() -> MemoryRemote:
    remote = remote_with_data(at_once=False)
    remote.soon = True
    return remote


async def _asked(remote: MemoryRemote, count: int) -> None:
    """Wait until the remote owes so many answers."""
    assert remote.untold is not None
    for _ in range(30_000):
        if len(remote.untold) >= count:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it was not asked")


def _tell(remote: MemoryRemote) -> None:
    assert remote.untold is not None
    for telling in remote.untold:
        telling()
    remote.untold.clear()


@in_loop
async def test_nothing_else_is_asked() -> None:
    remote = remote_with_data()
    async with serving(remote) as server:
        assert (await server.get(KEY)).body == DATA
        assert (await server.post("checkpresent", key=KEY)).body == b'{"present":true}'
    assert remote.calls == [("read_at_once", KEY), ("present_at_once", KEY)]
    assert [caller.uuid for caller in remote.callers] == [CLIENT, CLIENT]


@in_loop
async def test_content_that_is_not_vouched_for_goes_the_long_way() -> None:
    remote = remote_with_data()
    remote.changing.add(KEY)
    async with serving(remote) as server:
        answer = await server.get(KEY)
        assert (answer.complete, answer.body) == (False, DATA[:-1])
    assert ("retrieve", KEY) in remote.calls


@in_loop
async def test_a_request_with_a_body_is_read_to_its_end() -> None:
    async with serving(remote_with_data()) as server:
        reader, writer = await server.connect()
        request = request_bytes("POST", server.path("checkpresent", key=KEY), b"ignored")
        for _ in range(3):
            writer.write(request)
            assert (await read_answer(reader)).body == b'{"present":true}'


@in_loop
async def test_each_answer_has_its_own_second_and_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads that are alike are made once."""
    now = 1_000_000_000.0
    monkeypatch.setattr("shoal.server.answers.time.time", lambda: now)
    remote = remote_with_data()
    longer = remote.put(DATA + b"!")
    async with serving(remote) as server:
        for second in ("40", "40", "41"):
            now = 1_000_000_000.0 + (second == "41")
            for key, content in ((KEY, DATA), (longer, DATA + b"!")):
                answer = await server.get(key)
                assert answer.headers["date"] == f"Sun, 09 Sep 2001 01:46:{second} GMT"
                assert (answer.complete, answer.body) == (True, content)
                assert answer.headers["x-git-annex-data-length"] == str(len(content))


@in_loop
async def test_who_asks_is_read_from_each_request() -> None:
    """Also when what was read before is kept."""
    remote = remote_with_data()
    async with serving(remote) as server:
        for client, status in (("a", 200), ("b%20", 400), ("[Yg==]", 200), ("a", 200), ("", 400)):
            path = server.path("checkpresent", key=KEY, clientuuid=client)
            assert (await server.ask("POST", path, b"")).status == status
        path = server.path("checkpresent", key=KEY, clientuuid="a", bypass="c")
        assert (await server.ask("POST", path, b"")).status == 200
    assert [(c.uuid, [*c.bypass]) for c in remote.callers] == [
        ("a", []),
        ("b", []),
        ("a", []),
        ("a", ["c"]),
    ]


@pytest.mark.parametrize("at_once", [True, False])
@in_loop
async def test_requests_that_come_together_are_answered_in_order(at_once: bool) -> None:
    """Also behind one that takes its time."""
    remote = remote_with_data(at_once=at_once)
    async with serving(remote) as server:
        reader, writer = await server.connect()
        gate = remote.hold("timestamp")
        slow = request_bytes("POST", server.path("gettimestamp"))
        check = request_bytes("POST", server.path("checkpresent", key=KEY))
        get = request_bytes("GET", server.path(f"key/{KEY}"))
        writer.write(check + slow + get)
        await gate.reached()
        writer.write(check)
        gate.open()
        writer.write(get + check + get)
        bodies = [(await read_answer(reader)).body for _ in range(7)]
        present = b'{"present":true}'
        assert bodies == [present, b'{"timestamp":1000}', DATA, present, DATA, present, DATA]


@in_loop
async def test_requests_cut_anywhere() -> None:
    async with serving(remote_with_data()) as server:
        reader, writer = await server.connect()
        request = request_bytes("GET", server.path(f"key/{KEY}"))
        for cut in range(1, len(request), 7):
            writer.write(request[:cut])
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(request[cut:])
            assert (await read_answer(reader)).body == DATA


@in_loop
async def test_a_client_that_reads_late_gets_everything() -> None:
    """While it takes nothing, its answers are not gathered in memory."""
    remote = MemoryRemote(at_once=True)
    content = bytes(60_000)
    key = remote.put(content)
    count = 500
    async with serving(remote) as server:
        reader, writer = await server.connect()
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        for number in range(count):
            writer.write(request_bytes("GET", server.path(f"key/{key}")))
            for _ in range(20):  # so that they come one by one
                if len(remote.calls) > number:
                    break
                await asyncio.sleep(0)
        assert len(remote.calls) < count
        transport.resume_reading()
        for _ in range(count):
            assert (await read_answer(reader)).body == content


@in_loop
async def test_an_idle_connection_is_closed() -> None:
    async with serving(remote_with_data(), limits=Limits(idle=10)) as server:
        reader, writer = await server.connect()
        for _ in range(4):
            writer.write(request_bytes("GET", server.path(f"key/{KEY}")))
            assert (await read_answer(reader)).status == 200
            await pass_time(6)
        await pass_time(10)
        assert await reader.read() == b""


@in_loop
async def test_a_client_that_wants_to_close_is_closed() -> None:
    async with serving(remote_with_data()) as server:
        for request in (
            request_bytes("GET", server.path(f"key/{KEY}"), b"", {"Connection": "close"}),
            f"GET {server.path(f'key/{KEY}')} HTTP/1.0\r\nHost: x\r\n\r\n".encode(),
        ):
            reader, writer = await server.connect()
            writer.write(request)
            assert (await read_answer(reader)).body == DATA
            assert await reader.read() == b""


@in_loop
async def test_a_server_that_ends_closes_the_connection() -> None:
    async with serving(remote_with_data()) as server:
        reader, writer = await server.connect()
        request = request_bytes("GET", server.path(f"key/{KEY}"))
        writer.write(request)
        assert (await read_answer(reader)).status == 200
        server.app.end()
        writer.write(request)
        assert (await read_answer(reader)).body == DATA
        assert await reader.read() == b""


@pytest.mark.parametrize(
    ("permissions", "headers", "status"),
    [
        (Permissions(READ_ONLY), {}, 200),
        (Permissions(), {}, 401),
        (Permissions(users={"me": User(b"secret", EVERYTHING)}), LOGIN, 401),  # not encrypted
        (Permissions(users={"me": User(b"secret", EVERYTHING)}, plain_http=True), LOGIN, 200),
        (Permissions(users={"me": User(b"other", EVERYTHING)}, plain_http=True), LOGIN, 401),
        (Permissions(READ_ONLY), {"Authorization": "nonsense"}, 400),
    ],
)
@in_loop
async def test_permission_is_asked_for(
    permissions: Permissions, headers: dict[str, str], status: int
) -> None:
    remote = remote_with_data()
    async with serving(remote, permissions=permissions) as server:
        path = server.path(f"key/{KEY}")
        answer = await server.ask("GET", path, b"", headers)
        assert answer.status == status
    assert bool(remote.calls) is (status == 200)


# Small bodies


def put_request(server: TestServer, key: Key, body: bytes, version: int = 4) -> bytes:
    headers = {"X-git-annex-data-length": len(body), "Content-Length": len(body)}
    return request_bytes("POST", server.path("put", key=key, version=version), body, headers)


class Watched(MemoryRemote):
    """Counts how often a small content came past aiohttp's requests."""

    tasks: ClassVar[list[str]] = []

    async def store_whole(
        self,
        key: Key,
        content: WholeContent,
        *,
        file: str = "",
        caller: Caller = NOBODY,
        agreed: Callable[[], None] = lambda: None,
    ) -> StoreResult | AlreadyPresent:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task.get_name())
        return await super().store_whole(key, content, file=file, caller=caller, agreed=agreed)


@pytest.mark.parametrize("version", range(5))
@in_loop
async def test_a_put_that_comes_in_one_piece_is_answered_like_any_other(version: int) -> None:
    answers = []
    Watched.tasks.clear()
    for pieces in (1, 2):
        remote = Watched()
        async with serving(remote) as server:
            reader, writer = await server.connect()
            for _ in range(2):  # the second time it is there already
                request = put_request(server, KEY, DATA, version)
                middle = len(request) - (len(DATA) // 2 if pieces == 2 else 0)
                writer.write(request[:middle])
                await writer.drain()
                if middle < len(request):
                    await asyncio.sleep(0.05)
                    writer.write(request[middle:])
                answer = await read_answer(reader)
                answer.headers.pop("date")
                answers.append(answer)
            writer.close()
        assert remote.objects == {KEY: DATA}
        assert remote.idle
    assert answers[:2] == answers[2:]
    assert Watched.tasks[:2] == ["put"] * 2
    assert "put" not in Watched.tasks[2:]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotEnoughSpace("not enough\r\nfree space"), 507),
        (TransferInProgress(), 409),
        (RemoteUnavailable("node", "it is down"), 502),
        (OSError(28, "No space left on device", "/secret/path"), 507),
    ],
)
@in_loop
async def test_an_error_is_told_at_once_as_otherwise(error: Exception, status: int) -> None:
    answers = []
    for at_once in (True, False):
        remote = MemoryRemote()
        remote.fail("begin_store", error)
        async with serving(remote) as server:
            reader, writer = await server.connect()
            request = put_request(server, KEY, DATA)
            writer.write(request if at_once else request[:-1])
            if not at_once:
                await writer.drain()
                await asyncio.sleep(0.05)
                writer.write(request[-1:])
            answer = await read_answer(reader)
            answer.headers.pop("date")
            answers.append(answer)
            writer.write(put_request(server, KEY, DATA))  # the connection is as good as before
            assert (await read_answer(reader)).status == 200
            writer.close()
        assert remote.objects == {KEY: DATA}
    assert answers[0] == answers[1]
    assert answers[0].status == status
    assert b"secret" not in answers[0].body


@in_loop
async def test_puts_and_other_requests_in_one_piece_are_answered_in_their_order() -> None:
    remote = MemoryRemote(at_once=True)
    async with serving(remote) as server:
        reader, writer = await server.connect()
        check = request_bytes("POST", server.path("checkpresent", key=KEY), b"", {})
        writer.write(check + put_request(server, KEY, DATA) + check)
        answers = [await read_answer(reader) for _ in range(3)]
        writer.close()
    assert [answer.body for answer in answers] == [
        b'{"present":false}',
        b'{"plusuuids":[],"stored":true}',
        b'{"present":true}',
    ]


@in_loop
async def test_a_client_that_leaves_does_not_stop_its_put() -> None:
    remote = MemoryRemote()
    gate = remote.hold("begin_store")
    async with serving(remote) as server:
        _, writer = await server.connect()
        writer.write(put_request(server, KEY, DATA))
        await gate.reached()
        writer.transport.abort()
        await asyncio.sleep(0.05)
        gate.open()
        await until(lambda: remote.objects == {KEY: DATA})
    assert remote.idle


@in_loop
async def test_a_body_with_another_length_than_its_key_is_not_put_at_once() -> None:
    remote = MemoryRemote()
    async with serving(remote) as server:
        reader, writer = await server.connect()
        writer.write(put_request(server, KEY, DATA[:-1]))
        assert (await read_answer(reader)).body == b'{"plusuuids":[],"stored":false}'
        writer.close()
    assert remote.objects == {}
