"""Sessions of the real client over ssh: ours says the same, byte for byte, and understands
what the real server answered."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from shoal.cli.shellwords import AnnexCommand, parse_words
from shoal.p2p.client import ClientSession
from shoal.p2p.messages import Data, Put
from shoal.p2p.parsing import Unknown
from shoal.p2p.receiver import Chunk, Receiver
from shoal.p2p.server import End
from shoal.values.uuid import UUID

_FIXTURE = Path(__file__).parent.parent / "fixtures" / "p2p" / "ssh-client.json"
_TWO = "sub/two é %.txt".encode()


def _bytes(event: dict[str, Any]) -> bytes:
    if "base64" in event:
        return base64.b64decode(event["base64"])
    return bytes(event["text"], "utf-8")


def _conversations() -> list[Any]:
    """Give each p2pstdio process: the command that ssh ran, and what was said."""
    found: list[Any] = []
    for session in json.loads(_FIXTURE.read_text())["sessions"]:
        command = ""
        said: list[dict[str, Any]] = []
        for event in session["events"]:
            if "ssh_argv" in event:
                command, said = event["ssh_argv"][-1], []
            elif "from" in event:
                said.append(event)
            elif "p2pstdio" in command and said:
                number = len(found)
                found.append(pytest.param(command, said, id=f"{number}-{session['label']}"))
    return found


@pytest.mark.parametrize(("command", "said"), _conversations())
def test_our_client_says_what_the_real_one_said(command: str, said: list[dict[str, Any]]) -> None:
    parsed = parse_words(["-c", command])
    assert isinstance(parsed, AnnexCommand)
    assert parsed.uuid is not None
    session = ClientSession(UUID(parsed.uuid))
    for event in said:
        if event["from"] == "S":
            session.feed(_bytes(event))
            _hear(session)
        else:
            assert _say(session, _bytes(event)) == _bytes(event)
    session.feed(b"")
    assert session.next_event() == End(clean=True)


def _hear(session: ClientSession) -> None:
    while (event := session.next_event()) is not None:
        assert not isinstance(event, End)
        if not isinstance(event, Chunk) and session.take_output():
            raise AssertionError("the client speaks unasked")


def _say(session: ClientSession, data: bytes) -> bytes:
    """Send the recorded messages; give what went out."""
    receiver = Receiver()
    receiver.feed(data)
    sent = b""
    while (event := receiver.next_event()) is not None:
        assert not isinstance(event, Unknown)
        if isinstance(event, Chunk):
            session.payload_sent(len(event.data))
            sent += event.data
            continue
        if isinstance(event, Put) and b"two" in event.file:
            event = Put(_TWO, event.key)  # the wire form cannot be undone
        session.send(event)
        sent += session.take_output()
        if isinstance(event, Data):
            receiver.expect_payload(event.length)
    return sent


def test_all_kinds_of_sessions_are_there() -> None:
    text = "".join(str(case.id) for case in _conversations())
    for command in ("copy --to", "drop", "get", "fsck --from", "move --from", "move --to"):
        assert command in text
