"""A remote over HTTP whose server is old, broken or gone: what is believed, and what not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from shoal.errors import (
    ContentLocked,
    KeyNotPresent,
    NotEnoughSpace,
    RemoteRefused,
    RemoteUnavailable,
    ShoalError,
    TransferInProgress,
)
from shoal.remotes.base import AlreadyPresent, Caller, RemoteInfo, RemoveResult, StoreResult
from shoal.remotes.content import WholeContent
from shoal.remotes.p2phttp import P2PHttpRemote
from shoal.transport.addresses import AllowedAddresses
from shoal.transport.http_client import HttpClient, HttpOptions
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.gateway import free_port
from tests.support.loop import in_loop
from tests.support.memory_remote import content_from, gather, key_of
from tests.support.scripted_http import Asked, Cut, ScriptedServer, answer, scripted

SERVER = UUID("55555555-5555-4555-8555-555555555555")
CLIENT = UUID("cccccccc-0000-4000-8000-000000000001")
NODE = UUID("aaaaaaaa-0000-4000-8000-000000000001")
DATA = b"some content" * 1000
KEY = key_of(DATA)
UNSIZED = Key.parse(b"URL--http&c%%x")
NOT_FOUND = answer(status="404 Not Found")
BAD_VERSION = answer(b"bad version", "400 Bad Request", "text/plain")


@asynccontextmanager
async def remote_of(server: ScriptedServer) -> AsyncIterator[P2PHttpRemote]:
    """Run `server`, and give a remote that uses it."""
    options = HttpOptions(AllowedAddresses.parse("all"), (("X-Extra", "yes"),))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(scripted(server))
        http = HttpClient(options)
        stack.push_async_callback(http.aclose)
        url = f"annex+http://127.0.0.1:{server.port}/git-annex/"
        info = RemoteInfo(SERVER, "server")
        yield P2PHttpRemote(url, info, client=CLIENT, http=http)


def speaking(newest: int, refusal: bytes = NOT_FOUND) -> Callable[[Asked], bytes]:
    """Answer as a server that knows versions up to `newest`."""
    answers = {
        "checkpresent": b'{"present":true}',
        "putoffset": b'{"offset":0}',
        "remove": b'{"removed":true}',
        "gettimestamp": b'{"timestamp":5}',
    }

    def reply(asked: Asked) -> bytes:
        version, endpoint = asked.version_and_endpoint.split("/")
        if int(version[1:]) > newest or (endpoint == "putoffset" and version == "v0"):
            return refusal
        if endpoint == "put":
            return answer(b'{"stored":true}')
        return answer(answers[endpoint])

    return reply


async def _soon(remote: P2PHttpRemote, key: Key, offset: int | None = None) -> object:
    """Ask soon, again and again until that is possible; give what was told."""
    told: list[object] = []
    for _ in range(30_000):
        if offset is None:
            begun = remote.present_soon(key, told.append)
        else:
            begun = remote.read_soon(key, offset, len(DATA), told.append)
        if begun:
            break
        await asyncio.sleep(0.001)
    for _ in range(30_000):
        if told:
            return told[0]
        await asyncio.sleep(0.001)
    raise AssertionError("nothing was told")


@in_loop
async def test_short_questions_wait_until_the_version_is_known() -> None:
    server = ScriptedServer(speaking(3))
    async with remote_of(server) as remote:
        told: list[object] = []
        for _ in range(5):
            assert not remote.present_soon(KEY, told.append)
            await asyncio.sleep(0)
        await remote.check_present(KEY)
        assert await _soon(remote, KEY) is True
    asked = server.asked[-1]
    assert (asked.method, asked.version_and_endpoint) == ("POST", "v3/checkpresent")
    usual = server.asked[-2]
    assert asked.target == usual.target
    assert asked.headers | {"host": ""} == usual.headers | {"host": ""}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (answer(b'{"present":false}'), False),
        (answer(b'{"present":1}'), None),
        (answer(b"nonsense"), None),
        (answer(status="500 Internal Server Error"), None),
        (Cut(), None),
    ],
)
@in_loop
async def test_what_is_told_soon_of_presence(given: bytes | Cut, told: bool | None) -> None:
    server = ScriptedServer(speaking(4))
    async with remote_of(server) as remote:
        await remote.check_present(KEY)
        server.otherwise = lambda asked: given
        assert await _soon(remote, KEY) is told


@pytest.mark.parametrize("offset", [0, 7])
@in_loop
async def test_content_is_told_soon_only_when_it_is_whole(offset: int) -> None:
    part = DATA[offset:]
    bodies = {
        answer(part, X_git_annex_data_length=len(part)): part,
        answer(part[:-1], X_git_annex_data_length=len(part)): None,
        answer(part, X_git_annex_data_length=len(part) + 1): None,
        answer(part): None,
        answer(b"", X_git_annex_data_length=0): None,
        NOT_FOUND: None,
    }
    server = ScriptedServer(speaking(4))
    async with remote_of(server) as remote:
        await remote.check_present(KEY)
        for given, told in bodies.items():
            server.otherwise = lambda asked, given=given: given
            assert await _soon(remote, KEY, offset) == told
        assert not remote.read_soon(KEY, 0, len(DATA) - 1, print)
        assert not remote.read_soon(KEY, len(DATA), len(DATA), print)
        assert not remote.read_soon(UNSIZED, 0, len(DATA), print)


@in_loop
async def test_a_small_content_is_stored_with_one_request() -> None:
    server = ScriptedServer(speaking(4))
    async with remote_of(server) as remote:
        agreed: list[bool] = []
        for _ in range(2):
            result = await remote.store_whole(
                KEY, WholeContent(DATA), agreed=lambda: agreed.append(True)
            )
            assert result == StoreResult(True)
    assert [asked.version_and_endpoint for asked in server.asked] == [
        "v4/putoffset",
        "v4/put",
        "v4/put",
    ]
    assert server.asked[2].headers["x-git-annex-data-length"] == str(len(DATA))
    assert server.asked[2].headers["content-length"] == str(len(DATA))
    assert agreed == [True, True]


@pytest.mark.parametrize(
    "first",
    [
        Cut(),
        Cut(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
        answer(status="500 Internal Server Error"),
        answer(status="403 Forbidden"),
        answer(b"nonsense"),
        NOT_FOUND,
    ],
)
@in_loop
async def test_a_small_content_that_is_not_stored_at_once_is_stored_with_care(
    first: bytes | Cut,
) -> None:
    """As when the server was replaced by an old one."""
    server = ScriptedServer(speaking(3))
    async with remote_of(server) as remote:
        await remote.check_present(KEY)
        server.asked.clear()
        server.script.append(first)
        assert await remote.store_whole(KEY, WholeContent(DATA)) == StoreResult(True)
    endpoints = [asked.version_and_endpoint for asked in server.asked]
    assert endpoints == ["v3/put", "v3/putoffset", "v3/put"]


@pytest.mark.parametrize(
    ("status", "error"),
    [("409 Conflict", TransferInProgress), ("507 Insufficient Storage", NotEnoughSpace)],
)
@in_loop
async def test_a_small_content_that_is_refused_is_not_sent_again(
    status: str, error: type[ShoalError]
) -> None:
    server = ScriptedServer(speaking(4))
    async with remote_of(server) as remote:
        await remote.check_present(KEY)
        server.script.append(answer(status=status))
        agreed: list[bool] = []
        with pytest.raises(error):
            await remote.store_whole(KEY, WholeContent(DATA), agreed=lambda: agreed.append(True))
        assert agreed == []
    assert len(server.asked) == 2


@pytest.mark.parametrize("refusal", [NOT_FOUND, BAD_VERSION])
@in_loop
async def test_older_versions_are_tried_and_remembered(refusal: bytes) -> None:
    server = ScriptedServer(speaking(1, refusal))
    async with remote_of(server) as remote:
        assert await remote.check_present(KEY)
        assert (await remote.remove(KEY)).removed
    endpoints = [asked.version_and_endpoint for asked in server.asked]
    assert endpoints == [f"v{n}/checkpresent" for n in (4, 3, 2, 1)] + ["v1/remove"]


@in_loop
async def test_an_upload_to_a_server_of_version_0() -> None:
    server = ScriptedServer(speaking(0))
    async with remote_of(server) as remote:
        assert await remote.begin_store(KEY) == AlreadyPresent()
        server.script = [answer(b'{"present":false}')]
        begun = await remote.begin_store(KEY)
        assert not isinstance(begun, AlreadyPresent)
        assert await begun.store(content_from(DATA)) == StoreResult(True)
    assert server.asked[-1].version_and_endpoint == "v0/put"


@in_loop
async def test_a_time_limit_needs_version_3() -> None:
    """A removal with a limit never becomes one without."""
    server = ScriptedServer(speaking(2))
    async with remote_of(server) as remote:
        with pytest.raises(RemoteUnavailable):
            await remote.timestamp()
        with pytest.raises(RemoteUnavailable):
            await remote.remove(KEY, before=7)
        with pytest.raises(RemoteUnavailable):
            await remote.store_present(KEY)
    assert {asked.version_and_endpoint for asked in server.asked} == {
        "v4/gettimestamp", "v3/gettimestamp", "v4/remove-before", "v3/remove-before", "v4/put",
    }  # fmt: skip


@in_loop
async def test_what_is_asked() -> None:
    server = ScriptedServer(
        lambda _: answer(b'{"removed":true,"plusuuids":["%s"]}' % NODE.encode())
    )
    async with remote_of(server) as remote:
        result = await remote.remove(
            KEY, before=9, caller=Caller(NODE, frozenset({UUID("b"), UUID("a")}))
        )
        assert result == RemoveResult(True, (NODE,))
    (asked,) = server.asked
    assert asked.target == (
        f"/git-annex/{SERVER}/v4/remove-before?key={KEY}&clientuuid={CLIENT}"
        "&bypass=a&bypass=b&timestamp=9"
    )
    assert asked.headers["x-extra"] == "yes"
    assert asked.headers["accept"] == "application/json;charset=utf-8"
    assert asked.headers["content-length"] == "0"
    assert asked.headers["user-agent"].startswith("shoal/")


@in_loop
async def test_what_is_sent_of_an_upload() -> None:
    server = ScriptedServer(script=[answer(b'{"offset":7}')])
    server.otherwise = lambda _: answer(b'{"stored":false,"plusuuids":["%s"]}' % NODE.encode())
    async with remote_of(server) as remote:
        begun = await remote.begin_store(KEY, file="a dir/file")
        assert not isinstance(begun, AlreadyPresent)
        assert begun.offset == 7
        result = await begun.store(content_from(DATA, offset=7))
    assert (result.stored, result.stored_in) == (False, (NODE,))
    put = server.asked[-1]
    assert put.target.endswith("&associatedfile=a%20dir%2Ffile&offset=7")
    assert put.headers["x-git-annex-data-length"] == str(len(DATA) - 7)
    assert put.body == DATA[7:]


async def _check(remote: P2PHttpRemote) -> object:
    return await remote.check_present(KEY)


async def _remove(remote: P2PHttpRemote) -> object:
    return await remote.remove(KEY)


async def _timestamp(remote: P2PHttpRemote) -> object:
    return await remote.timestamp()


async def _begin(remote: P2PHttpRemote) -> object:
    return await remote.begin_store(KEY)


async def _present(remote: P2PHttpRemote) -> object:
    return await remote.store_present(KEY)


async def _get(remote: P2PHttpRemote) -> object:
    async with remote.retrieve(KEY) as content:
        return await gather(content)


async def _lock(remote: P2PHttpRemote) -> object:
    async with remote.lock_content(KEY):
        return None


CALLS = [_check, _remove, _timestamp, _begin, _present, _get, _lock]
Call = Callable[[P2PHttpRemote], Awaitable[object]]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "reply",
    [
        Cut(),
        Cut(b"HTTP/1.1 200 OK\r\nContent-Len"),
        Cut(b"garbage\r\n\r\n"),
        Cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"),
        Cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{}"),
        answer(b"{}"),
        answer(b"not json"),
        answer(b"x" * 100_000),
        answer(b"", "204 No Content"),
        answer(b'{"present":true,"removed":true,"stored":true,"offset":0}', "201 Created"),
        answer(b"oops", "500 Internal Server Error"),
        answer(b"", "502 Bad Gateway"),
        NOT_FOUND,
    ],
    ids=lambda reply: str(reply)[:50],
)
@in_loop
async def test_nothing_but_a_plain_answer_is_believed(call: Call, reply: bytes | Cut) -> None:
    async with remote_of(ScriptedServer(lambda _: reply)) as remote:
        with pytest.raises(RemoteUnavailable):
            await call(remote)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("401 Unauthorized", RemoteRefused),
        ("403 Forbidden", RemoteRefused),
        ("400 Bad Request", RemoteRefused),
        ("409 Conflict", TransferInProgress),
        ("507 Insufficient Storage", NotEnoughSpace),
        ("503 Service Unavailable", RemoteUnavailable),
    ],
)
@in_loop
async def test_refusals_say_why(call: Call, status: str, error: type[ShoalError]) -> None:
    server = ScriptedServer(lambda _: answer(b"the reason", status, "text/plain"))
    async with remote_of(server) as remote:
        with pytest.raises(error, match=f"{status}: the reason"):
            await call(remote)


@in_loop
async def test_a_page_for_browsers_is_not_shown() -> None:
    page = answer(b"<!DOCTYPE html>\n<p>Error", "501 Unsupported", "text/html;charset=utf-8")
    async with remote_of(ScriptedServer(lambda _: page)) as remote:
        with pytest.raises(RemoteUnavailable, match=r"it answers 501 Unsupported\)$"):
            await remote.check_present(KEY)


@in_loop
async def test_locked_content_is_not_removed() -> None:
    server = ScriptedServer(lambda _: answer(b"content is locked", "423 Locked", "text/plain"))
    async with remote_of(server) as remote:
        result = await remote.remove(KEY)
        assert not result.removed
        assert "content is locked" in result.error
        with pytest.raises(ContentLocked):
            await remote.check_present(KEY)


def content_answer(body: bytes, announced: object, length: object = None) -> bytes:
    length = len(body) if length is None else length
    headers: dict[str, Any] = {"X-git-annex-data-length": announced, "Content-Length": length}
    return answer(body, content_type="application/octet-stream", **headers)


@pytest.mark.parametrize(
    "reply",
    [
        content_answer(DATA[:-1], len(DATA)),  # the content changed while it was sent
        content_answer(DATA + b"x", len(DATA)),
        Cut(content_answer(DATA[:50], len(DATA), length=len(DATA))),  # the connection is lost
        content_answer(b"", len(DATA)),
        content_answer(DATA, "x"),
        content_answer(DATA, -1),
        answer(DATA, content_type="application/octet-stream"),
        content_answer(b"", 0),
    ],
    ids=range(8),
)
@in_loop
async def test_a_download_is_whole_or_unavailable(reply: bytes | Cut) -> None:
    server = ScriptedServer(script=[reply, answer(b'{"present":true}')])
    async with remote_of(server) as remote:
        with pytest.raises(RemoteUnavailable):
            await _get(remote)


@pytest.mark.parametrize("key", [KEY, UNSIZED])
@pytest.mark.parametrize("reply", [content_answer(b"", 0), NOT_FOUND])
@in_loop
async def test_absent_keys_are_asked_about(key: Key, reply: bytes) -> None:
    server = ScriptedServer(script=[answer(b'{"present":false}'), reply])
    server.otherwise = lambda _: answer(b'{"present":false}')
    async with remote_of(server) as remote:
        assert not await remote.check_present(key)
        with pytest.raises(KeyNotPresent):
            async with remote.retrieve(key):
                pass
    endpoints = [asked.version_and_endpoint for asked in server.asked]
    assert endpoints == ["v4/checkpresent", "v4/key", "v4/checkpresent"]


@in_loop
async def test_empty_content_is_content_when_the_server_has_it() -> None:
    server = ScriptedServer(script=[content_answer(b"", 0), answer(b'{"present":true}')])
    async with remote_of(server) as remote:
        async with remote.retrieve(UNSIZED) as content:
            assert await gather(content) == b""
        server.script = [content_answer(b"", 0)]
        async with remote.retrieve(KEY, len(DATA)) as content:  # there is nothing left to send
            assert content.size == 0


@in_loop
async def test_a_kept_connection_that_was_closed_is_no_error() -> None:
    """Once for each request, and not for a lock: it might have been made."""
    present = answer(b'{"present":true}')
    server = ScriptedServer(script=[present, Cut(), present, Cut(), Cut()])
    async with remote_of(server) as remote:
        assert await remote.check_present(KEY)
        assert await remote.check_present(KEY)
        with pytest.raises(RemoteUnavailable, match="the connection was closed"):
            await remote.check_present(KEY)
        server.script = [Cut()]
        asked = len(server.asked)
        with pytest.raises(RemoteUnavailable):
            await _lock(remote)
        assert len(server.asked) == asked + 1


@in_loop
async def test_a_silent_server_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.remotes.p2phttpcalls._PATIENCE", 0.05)
    server = ScriptedServer(silent=asyncio.Event(), otherwise=lambda _: Cut())
    async with remote_of(server) as remote:
        with pytest.raises(RemoteUnavailable, match="no answer in time"):
            await remote.check_present(KEY)


@in_loop
async def test_nobody_listens() -> None:
    url = f"annex+http://127.0.0.1:{free_port()}/git-annex/"
    http = HttpClient(HttpOptions(AllowedAddresses.parse("all")))
    remote = P2PHttpRemote(url, RemoteInfo(SERVER, "server"), client=CLIENT, http=http)
    with pytest.raises(RemoteUnavailable, match=r"refused|[Cc]onnect"):
        await remote.check_present(KEY)
    await http.aclose()


@in_loop
async def test_an_upload_that_is_refused_early() -> None:
    """The server answers and closes before it has read the body."""
    server = ScriptedServer(script=[answer(b'{"offset":0}')])
    async with remote_of(server) as remote:
        begun = await remote.begin_store(KEY)
        assert not isinstance(begun, AlreadyPresent)
        server.reads_bodies = False
        refusal = answer(b"no space", "507 Insufficient Storage", Connection="close")
        server.script = [refusal]
        with pytest.raises((NotEnoughSpace, RemoteUnavailable)):
            await begun.store(content_from(DATA))


@pytest.mark.parametrize("stored", [b"{}", b"", b'{"stored":1}'])
@in_loop
async def test_an_upload_is_stored_only_when_the_server_says_so(stored: bytes) -> None:
    server = ScriptedServer(script=[answer(b'{"offset":0}'), answer(stored)])
    async with remote_of(server) as remote:
        begun = await remote.begin_store(KEY)
        assert not isinstance(begun, AlreadyPresent)
        with pytest.raises(RemoteUnavailable):
            await begun.store(content_from(DATA))


@pytest.mark.parametrize(
    "kept", [answer(status="404 Not Found"), answer(b'{"locked":false}'), None]
)
@in_loop
async def test_a_lock_that_is_not_kept_is_no_lock(kept: bytes | Cut) -> None:
    """The real client would go on, and drop its copy."""

    def reply(asked: Asked) -> bytes | Cut:
        match asked.version_and_endpoint:
            case "v4/lockcontent":
                return answer(b'{"locked":true,"lockid":"L"}')
            case "v4/checkpresent":
                return answer(b'{"present":true}')
            case _:
                return kept

    server = ScriptedServer(reply)
    async with remote_of(server) as remote:
        with pytest.raises(RemoteUnavailable):
            await _lock(remote)
    assert "v4/keeplocked" in {asked.version_and_endpoint for asked in server.asked}


class _GoesAtTheEnd(ScriptedServer):
    """Reads a keeplocked request to its end, then closes the connection without an answer."""

    async def _read(self, reader: asyncio.StreamReader) -> Asked:
        asked = await super()._read(reader)
        if asked.version_and_endpoint == "v4/keeplocked":
            await reader.readuntil(b'{"unlock":true}')
        return asked


@in_loop
async def test_a_lock_whose_end_is_not_answered_was_perhaps_lost_before() -> None:
    replies: dict[str, bytes | Cut] = {
        "v4/lockcontent": answer(b'{"locked":true,"lockid":"L"}'),
        "v4/checkpresent": answer(b'{"present":true}'),
        "v4/keeplocked": Cut(),
    }
    server = _GoesAtTheEnd(lambda asked: replies[asked.version_and_endpoint])
    async with remote_of(server) as remote:
        with pytest.raises(RemoteUnavailable):
            await _lock(remote)


@in_loop
async def test_a_cancelled_download_closes_its_connection() -> None:
    server = ScriptedServer(script=[content_answer(DATA[:100], len(DATA), length=len(DATA))])
    async with remote_of(server) as remote:
        started = asyncio.Event()

        async def download() -> None:
            async with remote.retrieve(KEY) as content:
                async for _ in content.stream():
                    started.set()

        task = asyncio.create_task(download())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.closed.wait(), 60)
