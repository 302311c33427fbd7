"""Sessions recorded from the real server are replayed against ours, byte for byte."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from shoal.errors import ShoalError
from shoal.p2p.messages import (
    Auth,
    AuthFailure,
    AuthSuccess,
    Changed,
    CheckPresent,
    Failure,
    NotifyChange,
)
from shoal.p2p.server import Access, End, ServerSession
from shoal.server.p2p_session import serve_p2p
from shoal.transport.memory import memory_streams
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.memory_remote import MEMORY_UUID, MemoryRemote, is_content_of

_FIXTURES = Path(__file__).parent.parent / "fixtures" / "p2p"
_FILES = sorted(path.stem for path in _FIXTURES.glob("stdio-*.json"))
_CLIENT = UUID("cccccccc-0000-4000-8000-000000000001")
_GREETING = b"AUTH-SUCCESS %s\n" % MEMORY_UUID.encode()
_FIXTURE_CONTENTS = [b"fixture content number %03d ............." % n for n in range(30)]

# Sessions in which the real server can only go away, and ours has an answer (or, after
# half an upload, nobody is left to read one): all that ours says after the greeting.
_OURS = {
    "VERSION -1": b"ERROR unknown command\n",
    "NOTIFYCHANGE": b"VERSION 4\nERROR change notification not available\nFAILURE\n",
    "second session: REMOVE of content locked by another session ends this session with exit 1": (
        b"VERSION 4\nSUCCESS\nERROR content is locked\n"
    ),
    "v4: connection closed after 15 of 40 bytes": b"VERSION 4\nPUT-FROM 0\n",
}
_CLIENT_GOES_AWAY = "v4: connection closed after 15 of 40 bytes"


def _load(name: str) -> list[dict[str, Any]]:
    sessions = json.loads((_FIXTURES / f"{name}.json").read_text())["sessions"]
    assert isinstance(sessions, list)
    return sessions


def _bytes(event: dict[str, Any]) -> bytes:
    if "base64" in event:
        return base64.b64decode(event["base64"])
    return bytes(event["text"], "utf-8")


def _keys(session: dict[str, Any]) -> list[Key]:
    said = b"".join(_bytes(event) for event in session["events"] if event.get("from") == "C")
    words = said.replace(b"\r", b"").split()
    return [Key.parse(word) for word in words if word.startswith(b"SHA256-s40")]


def _prepare(remote: MemoryRemote, session: dict[str, Any]) -> None:
    """Bring about what was so, or went on elsewhere, while the session was recorded."""
    for event in session["events"]:
        if str(event.get("text")).startswith("TIMESTAMP"):
            remote.clock = int(event["text"].split()[1])
    if "first key is present" in session.get("description", ""):
        key = _keys(session)[0]
        (content,) = (data for data in _FIXTURE_CONTENTS if is_content_of(key, data))
        remote.objects[key] = content
    if session["label"].startswith("second session"):
        key = _keys(session)[0]
        remote.objects[key] = b"locked by somebody else"
        remote.locks[key] = 1


class _Replay:
    """Plays the client's part of one session and compares the server's."""

    def __init__(self, remote: MemoryRemote, session: dict[str, Any], piece: int | None) -> None:
        self._remote = remote
        self._session = session
        self._here, self._there = memory_streams(piece=piece)
        self._held = b""

    async def run(self, access: Access) -> None:
        label = self._session["label"]
        async with asyncio.TaskGroup() as group:
            server = group.create_task(self._serve(access))
            if label in _OURS:
                await self._say_all(_GREETING + _OURS[label])
            else:
                for event in self._session["events"]:
                    await self._play(event)
            await self._here.end()
            assert await self._rest() == b""
        assert server.result() is (label != _CLIENT_GOES_AWAY)

    async def _serve(self, access: Access) -> bool:
        """Give whether the session ended as it should."""
        try:
            await serve_p2p(self._remote, self._there, client=_CLIENT, access=access)
        except ShoalError:
            return False
        finally:
            await self._there.end()
        return True

    async def _say_all(self, expected: bytes) -> None:
        for event in self._session["events"]:
            if event.get("from") == "C":
                await self._here.send(_bytes(event))
        await self._here.end()
        await self._expect(expected)

    async def _play(self, event: dict[str, Any]) -> None:
        match event:
            case {"from": "C"}:
                try:
                    await self._here.send(_bytes(event))
                except BrokenPipeError:
                    assert {"note": "<EPIPE on write>"} in self._session["events"]
            case {"from": "S"}:
                await self._expect(_bytes(event))
            case {"note": "<EOF>"}:
                await self._expect(b"")
                assert await self._here.receive() == b""
            case {"note": "object file put in place by another way"}:
                self._remote.objects[_keys(self._session)[0]] = b"from elsewhere"
            case {"note": _} | {"exit": _}:  # silence shows in what comes next
                pass
            case _:
                raise AssertionError(event)

    async def _expect(self, expected: bytes) -> None:
        while len(self._held) < len(expected) and (data := await self._here.receive()):
            self._held += data
        assert self._held[: len(expected)] == expected
        self._held = self._held[len(expected) :]

    async def _rest(self) -> bytes:
        while data := await self._here.receive():
            self._held += data
        return self._held


def _access(session: dict[str, Any]) -> Access:
    environment = session.get("env", {})
    if "GIT_ANNEX_SHELL_READONLY" in environment:
        return Access.READ_ONLY
    return Access.APPEND_ONLY if "GIT_ANNEX_SHELL_APPENDONLY" in environment else Access.FULL


@pytest.mark.parametrize("piece", [1, 11, None])
@pytest.mark.parametrize("name", _FILES)
def test_server_says_what_the_real_one_said(name: str, piece: int | None) -> None:
    """All sessions of a file, in order: some go on where an earlier one broke off."""
    remote = MemoryRemote()
    description = json.loads((_FIXTURES / f"{name}.json").read_text())["description"]

    async def replay() -> None:
        for session in _load(name):
            _prepare(remote, {"description": description, **session})
            await asyncio.wait_for(_Replay(remote, session, piece).run(_access(session)), 60)
            remote.locks.clear()

    asyncio.run(replay())


def test_all_recordings_are_replayed() -> None:
    assert len(_FILES) == 9
    labels = {session["label"] for name in _FILES for session in _load(name)}
    assert set(_OURS) <= labels


def _answer_on_socket(session: ServerSession, event: object) -> None:
    match event:
        case Auth(_, token):
            good = token == b"goodtoken"
            session.answer(AuthSuccess(session.server) if good else AuthFailure())
        case CheckPresent():
            session.answer(Failure())
        case NotifyChange():
            session.answer(Changed((b"898bf12bf6f24730ecc970011390d842d64d6471",)))
        case _:
            raise AssertionError(event)


def _socket_sessions() -> list[Any]:
    # What follows a CONNECT to a git service is a stream of git's own.
    return [
        pytest.param(session["events"], id=session["label"])
        for session in _load("socket-auth")
        if not session["label"].startswith("CONNECT git-upload-pack")
    ]


@pytest.mark.parametrize("events", _socket_sessions())
def test_sockets_want_a_token_first(events: list[dict[str, Any]]) -> None:
    session = ServerSession(MEMORY_UUID, login=True)
    said = expected = b""
    ended = False
    for event in events:
        if event.get("from") == "C":
            session.feed(_bytes(event).replace(b"<AUTHTOKEN>", b"goodtoken"))
        elif event.get("from") == "S":
            expected += _bytes(event)
        while (asked := session.next_event()) is not None and not ended:
            ended = isinstance(asked, End)
            if not ended:
                _answer_on_socket(session, asked)
        said += session.take_output()
    assert said == expected
    assert ended is ({"note": "<EOF>"} in events)
