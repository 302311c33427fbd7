"""The server's side: what may be asked and answered in each state."""

from __future__ import annotations

import pytest

from shoal.errors import LocalProtocolError, RemoteProtocolError
from shoal.p2p.messages import (
    AlreadyHave,
    AlreadyHavePlus,
    Auth,
    AuthFailure,
    AuthSuccess,
    CheckPresent,
    Connect,
    Data,
    DataPresent,
    Error,
    Failure,
    FailurePlus,
    Get,
    LockContent,
    Message,
    Put,
    PutFrom,
    Remove,
    Success,
    SuccessPlus,
    Timestamp,
)
from shoal.p2p.receiver import Chunk
from shoal.p2p.server import (
    Abandoned,
    Access,
    End,
    Event,
    PayloadEnd,
    Receipt,
    ServerSession,
    State,
    Unlocked,
)
from shoal.values.key import Key
from shoal.values.uuid import UUID

SERVER = UUID("55555555-5555-4555-8555-555555555555")
NODE = UUID("aaaaaaaa-0000-4000-8000-000000000001")
KEY = Key.parse(b"WORM--x")


def begun(version: int = 4, access: Access = Access.FULL) -> ServerSession:
    session = ServerSession(SERVER, access)
    hear(session, b"VERSION %d\n" % version)
    session.take_output()
    return session


def hear(session: ServerSession, data: bytes) -> Event | None:
    session.feed(data)
    return session.next_event()


def answer(session: ServerSession, message: Message) -> bytes:
    session.answer(message)
    return session.take_output()


def test_the_server_speaks_first() -> None:
    assert ServerSession(SERVER).take_output() == b"AUTH-SUCCESS %s\n" % SERVER.encode()


def test_on_a_socket_the_client_does() -> None:
    session = ServerSession(SERVER, login=True)
    assert session.take_output() == b""
    assert hear(session, b"AUTH me t1\n") == Auth(UUID("me"), b"t1")
    assert answer(session, AuthFailure()) == b"AUTH-FAILURE\n"
    assert hear(session, b"CHECKPRESENT WORM--x\nAUTH me t2\n") == Auth(UUID("me"), b"t2")
    assert answer(session, AuthSuccess(SERVER)).startswith(b"ERROR unexpected command\nAUTH-SUCC")
    assert session.state is State.IDLE


def test_versions_are_agreed_again_and_again() -> None:
    session = begun()
    assert hear(session, b"VERSION 99\nVERSION 1\n") is None
    assert session.take_output() == b"VERSION 4\nVERSION 1\n"
    assert session.version == 1


def test_bypass_is_noted_at_any_version() -> None:
    session = begun(0)
    assert hear(session, b"BYPASS %s\n" % NODE.encode()) is None
    assert (session.bypass, session.take_output()) == ((NODE,), b"")


@pytest.mark.parametrize(
    ("version", "bypass", "said", "sent"),
    [
        (4, b"", SuccessPlus((NODE,)), b"SUCCESS-PLUS %s\n" % NODE.encode()),
        (2, b"", FailurePlus((NODE,)), b"FAILURE-PLUS %s\n" % NODE.encode()),
        (1, b"", SuccessPlus((NODE,)), b"SUCCESS\n"),
        (0, b"", FailurePlus((NODE,)), b"FAILURE\n"),
        (4, b"BYPASS gw\n", SuccessPlus((NODE,)), b"SUCCESS-PLUS %s\n" % NODE.encode()),
    ],
)
def test_lists_of_uuids_are_for_those_who_read_them(
    version: int, bypass: bytes, said: Message, sent: bytes
) -> None:
    session = begun(version)
    assert hear(session, bypass + b"REMOVE WORM--x\n") == Remove(KEY)
    assert answer(session, said) == sent


@pytest.mark.parametrize(
    ("version", "bypass", "sent"),
    [
        (4, b"", b"ALREADY-HAVE-PLUS %s\n" % NODE.encode()),
        (1, b"", b"ALREADY-HAVE\n"),
        (4, b"BYPASS gw\n", b"ALREADY-HAVE\n"),
    ],
)
def test_a_gateway_is_not_told_who_has_it(version: int, bypass: bytes, sent: bytes) -> None:
    session = begun(version)
    assert hear(session, bypass + b"PUT  WORM--x\n") == Put(b"", KEY)
    assert answer(session, AlreadyHavePlus((NODE,))) == sent


def test_put() -> None:
    session = begun()
    assert hear(session, b"PUT f WORM--x\n") == Put(b"f", KEY)
    assert answer(session, PutFrom(0)) == b"PUT-FROM 0\n"
    assert hear(session, b"DATA 3\nabc") == Data(3)
    assert session.next_event() == Chunk(memoryview(b"abc"), last=True)
    assert session.next_event() is None
    assert hear(session, b"VALID\n") == PayloadEnd(valid=True)
    assert answer(session, Success()) == b"SUCCESS\n"
    assert session.state is State.IDLE


def test_version_0_has_no_word_on_validity() -> None:
    session = begun(0)
    hear(session, b"PUT f WORM--x\n")
    session.answer(PutFrom(2))
    assert hear(session, b"DATA 0\nCHECKPRESENT WORM--x\n") == Data(0)
    assert session.next_event() == PayloadEnd(valid=False)
    session.answer(Success())
    assert session.next_event() == CheckPresent(KEY)


@pytest.mark.parametrize("line", [b"FOO\n", b"ERROR x\n", b"SUCCESS\n"])
def test_an_upload_that_does_not_come(line: bytes) -> None:
    session = begun()
    hear(session, b"PUT f WORM--x\n")
    session.answer(PutFrom(0))
    session.take_output()
    assert hear(session, line) == Abandoned()
    complaint = b"" if line.startswith(b"ERROR") else b"ERROR expected DATA\n"
    assert session.take_output() == complaint
    assert hear(session, b"CHECKPRESENT WORM--x\n") == CheckPresent(KEY)


@pytest.mark.parametrize("version", [3, 4])
def test_data_present_is_of_version_4(version: int) -> None:
    session = begun(version)
    hear(session, b"PUT f WORM--x\n")
    session.answer(PutFrom(0))
    expected = DataPresent() if version == 4 else Abandoned()
    assert hear(session, b"DATA-PRESENT\n") == expected


def test_get() -> None:
    session = begun()
    assert hear(session, b"GET 2  WORM--x\n") == Get(2, b"", KEY)
    session.answer(Data(3))
    session.payload_sent(3)
    session.payload_done(valid=False)
    assert session.take_output() == b"DATA 3\nINVALID\n"
    assert hear(session, b"FAILURE\n") == Receipt(received=False)
    assert session.state is State.IDLE


@pytest.mark.parametrize("line", [b"CHECKPRESENT WORM--x\n", b"FOO\n", b"ERROR x\n"])
def test_a_get_must_be_acknowledged(line: bytes) -> None:
    """Seen from git-annex 10.20261026: whatever comes instead is used up."""
    session = begun()
    hear(session, b"GET 0  WORM--x\n")
    session.answer(Data(0))
    session.payload_done(valid=True)
    session.take_output()
    assert hear(session, line) == Receipt(received=False)
    expected = b"ERROR expected SUCCESS or SUCCESS-PLUS or FAILURE or FAILURE-PLUS\n"
    assert session.take_output() == (b"" if line.startswith(b"ERROR") else expected)


def test_lock() -> None:
    session = begun()
    assert hear(session, b"LOCKCONTENT WORM--x\n") == LockContent(KEY)
    session.answer(Success())
    assert hear(session, b"UNLOCKCONTENT\n") == Unlocked()
    hear(session, b"LOCKCONTENT WORM--x\n")
    session.answer(Success())
    assert hear(session, b"ERROR x\n") == Unlocked()
    hear(session, b"LOCKCONTENT WORM--x\n")
    session.answer(Failure())
    assert hear(session, b"CHECKPRESENT WORM--x\n") == CheckPresent(KEY)


@pytest.mark.parametrize(
    ("access", "request_", "allowed"),
    [
        (Access.READ_ONLY, b"PUT  WORM--x\n", False),
        (Access.READ_ONLY, b"REMOVE WORM--x\n", False),
        (Access.READ_ONLY, b"REMOVE-BEFORE 9 WORM--x\n", False),
        (Access.READ_ONLY, b"LOCKCONTENT WORM--x\n", True),
        (Access.READ_ONLY, b"CONNECT git-receive-pack\n", False),
        (Access.READ_ONLY, b"CONNECT git-upload-pack\n", True),
        (Access.APPEND_ONLY, b"PUT  WORM--x\n", True),
        (Access.APPEND_ONLY, b"REMOVE WORM--x\n", False),
        (Access.APPEND_ONLY, b"CONNECT git-receive-pack\n", False),
        (Access.FULL, b"CONNECT git-receive-pack\n", True),
    ],
)
def test_permissions(access: Access, request_: bytes, allowed: bool) -> None:
    session = begun(access=access)
    assert (hear(session, request_) is not None) is allowed
    assert (b"denied" in session.take_output()) is not allowed


def test_the_clients_word_on_a_refusal_is_not_the_end() -> None:
    """The real client answers an unexpected ERROR with one of its own."""
    session = begun()
    hear(session, b"PUT  WORM--x\n")
    session.answer(Error("no space"))
    assert hear(session, b"ERROR expected PUT_FROM or ALREADY_HAVE\n") is None
    assert hear(session, b"CHECKPRESENT WORM--x\n") == CheckPresent(KEY)
    session.answer(Success())
    assert hear(session, b"ERROR I give up\n") == End(clean=True)
    assert session.next_event() == End(clean=True)


@pytest.mark.parametrize(
    ("data", "clean"),
    [
        (b"", True),
        (b"CHECKPR", True),
        (b"PUT  WORM--x\n|", True),
        (b"PUT  WORM--x\n|DATA 5\nab", False),
        (b"PUT  WORM--x\n|DATA 2\nab", False),
    ],
)
def test_the_end_of_input(data: bytes, clean: bool) -> None:
    session = begun()
    request, _, rest = data.partition(b"|")
    if request and hear(session, request) is not None:
        session.answer(PutFrom(0))
    if rest:
        session.feed(rest)
    session.feed(b"")
    events = [session.next_event() for _ in range(4)]
    assert events[-1] == End(clean=True) if clean else End(clean=False) in events


def test_only_answers_can_be_answered() -> None:
    session = begun()
    with pytest.raises(LocalProtocolError):
        session.answer(Success())
    hear(session, b"CHECKPRESENT WORM--x\n")
    with pytest.raises(LocalProtocolError):
        session.next_event()
    for wrong in (Timestamp(3), PutFrom(0), Data(0), AlreadyHave()):
        with pytest.raises(LocalProtocolError):
            session.answer(wrong)
    with pytest.raises(LocalProtocolError):
        session.payload_done(valid=True)


def test_what_was_announced_must_be_sent() -> None:
    session = begun()
    hear(session, b"GET 0  WORM--x\n")
    session.answer(Data(3))
    session.payload_sent(2)
    with pytest.raises(LocalProtocolError):
        session.payload_sent(2)
    with pytest.raises(LocalProtocolError):
        session.payload_done(valid=True)
    assert session.payload_left == 1


def test_git_is_not_relayed() -> None:
    session = begun()
    assert hear(session, b"CONNECT git-upload-pack\n") == Connect(b"git-upload-pack")
    assert answer(session, Error("no")) == b"ERROR no\n"


def test_a_line_without_end_ends_the_session() -> None:
    session = begun()
    session.feed(b"x" * 40_000)
    with pytest.raises(RemoteProtocolError):
        session.next_event()
