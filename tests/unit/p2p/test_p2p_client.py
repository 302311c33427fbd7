"""The client's side, alone and joined to the server's."""

from __future__ import annotations

import pytest

from shoal.errors import LocalProtocolError, RemoteProtocolError
from shoal.p2p.client import ClientSession, State
from shoal.p2p.messages import (
    AlreadyHavePlus,
    Auth,
    AuthFailure,
    AuthSuccess,
    Bypass,
    Changed,
    CheckPresent,
    Data,
    DataPresent,
    Error,
    Failure,
    Get,
    GetTimestamp,
    LockContent,
    Message,
    NotifyChange,
    Put,
    PutFrom,
    Remove,
    RemoveBefore,
    Success,
    SuccessPlus,
    Timestamp,
    UnlockContent,
    Valid,
    Version,
)
from shoal.p2p.receiver import Chunk
from shoal.p2p.server import End, PayloadEnd, Receipt, ServerSession, Unlocked
from shoal.values.key import Key
from shoal.values.uuid import UUID

SERVER = UUID("55555555-5555-4555-8555-555555555555")
NODE = UUID("aaaaaaaa-0000-4000-8000-000000000001")
KEY = Key.parse(b"WORM--x")
GREETING = bytes(AuthSuccess(SERVER))


def begun(version: int = 4) -> ClientSession:
    """A client that has agreed on a version."""
    session = ClientSession(SERVER)
    session.feed(GREETING)
    assert session.next_event() == AuthSuccess(SERVER)
    if version:
        session.send(Version(4))
        session.feed(b"VERSION %d\n" % version)
        assert session.next_event() == Version(version)
    session.take_output()
    return session


class Pair:
    """A client and a server joined in memory."""

    def __init__(self, version: int) -> None:
        self.client = ClientSession(SERVER)
        self.server = ServerSession(SERVER)
        self.to_client()
        assert self.client.next_event() == AuthSuccess(SERVER)
        if version:
            self.client.send(Version(version))
            assert self.to_server() is None
            self.to_client()
            assert self.client.next_event() == Version(version)

    def to_server(self) -> object:
        self.server.feed(self.client.take_output())
        return self.server.next_event()

    def to_client(self) -> None:
        self.client.feed(self.server.take_output())

    def ask(self, request: Message) -> None:
        self.client.send(request)
        assert self.to_server() == request

    def told(self, answer: Message) -> None:
        self.server.answer(answer)
        self.to_client()
        assert self.client.next_event() == answer


@pytest.mark.parametrize("version", range(5))
def test_a_whole_conversation(version: int) -> None:
    pair = Pair(version)
    if version >= 2:
        pair.client.send(Bypass((NODE,)))
        assert pair.to_server() is None
        assert pair.server.bypass == (NODE,)
    pair.ask(CheckPresent(KEY))
    pair.told(Failure())
    pair.ask(Put(b"a/b", KEY))
    pair.told(PutFrom(1))
    upload(pair, version)
    download(pair, version)
    pair.ask(LockContent(KEY))
    pair.told(Success())
    pair.client.send(UnlockContent())
    assert pair.to_server() == Unlocked()
    if version >= 3:
        pair.ask(GetTimestamp())
        pair.told(Timestamp(5))
        pair.ask(RemoveBefore(9, KEY))
    else:
        pair.ask(Remove(KEY))
    pair.told(SuccessPlus((NODE,)) if version >= 2 else Success())
    pair.server.feed(b"")
    assert pair.server.next_event() == End(clean=True)
    pair.client.feed(b"")
    assert pair.client.next_event() == End(clean=True)


def upload(pair: Pair, version: int) -> None:
    pair.client.send(Data(3))
    assert pair.to_server() == Data(3)
    pair.server.feed(b"abc")
    pair.client.payload_sent(3)
    assert pair.server.next_event() == Chunk(memoryview(b"abc"), last=True)
    pair.client.send(Valid())
    assert pair.to_server() == PayloadEnd(valid=version > 0)
    pair.told(Success())


def download(pair: Pair, version: int) -> None:
    pair.ask(Get(0, b"", KEY))
    pair.told(Data(3))
    pair.client.feed(b"abc")
    assert pair.client.next_event() == Chunk(memoryview(b"abc"), last=True)
    pair.server.payload_sent(3)
    pair.server.payload_done(valid=True)
    pair.to_client()
    assert pair.client.next_event() == PayloadEnd(valid=version > 0)
    pair.client.send(Success())
    assert pair.to_server() == Receipt(received=True)


def test_another_repository_is_refused() -> None:
    session = ClientSession(NODE)
    session.feed(GREETING)
    with pytest.raises(RemoteProtocolError, match="expected repository"):
        session.next_event()
    assert session.state is State.CLOSED


def test_a_token_may_be_wrong() -> None:
    session = ClientSession()
    session.send(Auth(NODE, b"bad"))
    session.feed(b"AUTH-FAILURE\n")
    assert session.next_event() == AuthFailure()
    session.send(Auth(NODE, b"good"))
    session.feed(GREETING)
    assert session.next_event() == AuthSuccess(SERVER)
    assert session.server == SERVER


def test_a_server_that_knows_no_versions_speaks_version_0() -> None:
    session = begun(0)
    session.send(Version(4))
    session.feed(b"ERROR unknown command\n")
    assert session.next_event() == Error("unknown command")
    assert (session.version, session.state) == (0, State.IDLE)


def test_a_server_may_not_want_more_than_was_offered() -> None:
    session = begun(0)
    session.send(Version(2))
    session.feed(b"VERSION 3\n")
    with pytest.raises(RemoteProtocolError):
        session.next_event()


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (CheckPresent(KEY), b"SUCCESS-PLUS u\n"),
        (CheckPresent(KEY), b"PUT-FROM 0\n"),
        (CheckPresent(KEY), b"DATA 0\n"),
        (CheckPresent(KEY), b"FOO\n"),
        (CheckPresent(KEY), b"\n"),
        (Put(b"", KEY), b"SUCCESS\n"),
        (Get(0, b"", KEY), b"SUCCESS\n"),
        (Remove(KEY), b"TIMESTAMP 3\n"),
        (GetTimestamp(), b"SUCCESS\n"),
        (LockContent(KEY), b"UNLOCKCONTENT\n"),
    ],
)
def test_unexpected_answers_end_the_session(request_: Message, answer: bytes) -> None:
    session = begun()
    session.send(request_)
    session.feed(answer)
    with pytest.raises(RemoteProtocolError, match="unexpected answer"):
        session.next_event()
    assert session.next_event() == End(clean=True)
    with pytest.raises(LocalProtocolError):
        session.send(CheckPresent(KEY))


def test_a_server_that_speaks_unasked_is_refused() -> None:
    session = begun()
    session.feed(b"SUCCESS\n")
    with pytest.raises(RemoteProtocolError):
        session.next_event()


@pytest.mark.parametrize("version", [0, 1])
def test_lists_of_uuids_are_not_for_old_versions(version: int) -> None:
    session = begun(version)
    session.send(Remove(KEY))
    session.feed(b"SUCCESS-PLUS u\n")
    with pytest.raises(RemoteProtocolError):
        session.next_event()


def test_already_have_plus_is_read_at_every_version() -> None:
    session = begun(0)
    session.send(Put(b"", KEY))
    session.feed(b"ALREADY-HAVE-PLUS %s\n" % NODE.encode())
    assert session.next_event() == AlreadyHavePlus((NODE,))


def test_data_must_end_with_a_word_on_its_validity() -> None:
    session = begun()
    session.send(Get(0, b"", KEY))
    session.feed(b"DATA 1\nxSUCCESS\n")
    assert session.next_event() == Data(1)
    assert session.next_event() == Chunk(memoryview(b"x"), last=True)
    with pytest.raises(RemoteProtocolError):
        session.next_event()


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (2, GetTimestamp()),
        (2, RemoveBefore(1, KEY)),
        (1, Bypass((NODE,))),
        (4, Success()),
        (4, Data(0)),
        (4, UnlockContent()),
        (4, Auth(NODE, b"")),
        (4, AuthSuccess(NODE)),
    ],
)
def test_what_cannot_be_said(version: int, message: Message) -> None:
    with pytest.raises(LocalProtocolError):
        begun(version).send(message)


def test_data_present_is_said_at_version_4_only() -> None:
    for version in (3, 4):
        session = begun(version)
        session.send(Put(b"", KEY))
        session.feed(b"PUT-FROM 0\n")
        session.next_event()
        if version == 4:
            session.send(DataPresent())
            assert session.state is State.WAITING
        else:
            with pytest.raises(LocalProtocolError):
                session.send(DataPresent())


def test_a_put_may_be_given_up() -> None:
    session = begun()
    session.send(Put(b"", KEY))
    session.feed(b"PUT-FROM 0\n")
    session.next_event()
    session.send(Error("changed my mind"))
    session.send(NotifyChange())
    session.feed(b"CHANGED 00\n")
    assert session.next_event() == Changed((b"00",))


def test_no_more_is_sent_than_was_announced() -> None:
    session = begun()
    session.send(Put(b"", KEY))
    session.feed(b"PUT-FROM 0\n")
    session.next_event()
    session.send(Data(2))
    session.payload_sent(1)
    with pytest.raises(LocalProtocolError):
        session.send(Valid())
    with pytest.raises(LocalProtocolError):
        session.payload_sent(2)


@pytest.mark.parametrize("half", [b"", b"SUCC"])
def test_an_answer_that_does_not_come(half: bytes) -> None:
    session = begun()
    session.send(CheckPresent(KEY))
    session.feed(half)
    session.feed(b"")
    assert session.next_event() == End(clean=False)
