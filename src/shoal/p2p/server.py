"""The server's side of a P2P session: what may be asked in each state, and what may be answered.

Nothing here reads, writes or waits. A driver feeds bytes, performs what next_event() gives it,
reports the outcome with answer(), and sends what take_output() gives. Version negotiation,
permissions and messages out of place are settled here; the driver never sees them.

    IDLE ──request──> SERVING ──answer──> IDLE, or
      LOCKCONTENT: Success ──> LOCKED ──any message: Unlocked──> IDLE
      GET: Data ──> SENDING ──payload, Valid or Invalid──> SENT ──any message: Receipt──> IDLE
      PUT: PutFrom ──> OFFERED ──Data──> RECEIVING ──payload──> RECEIVED ──PayloadEnd──> SERVING
                               ──DataPresent──> SERVING   ──anything else: Abandoned──> IDLE
      CONNECT: begin_relay() ──> RELAYING ──Data, payload, ConnectDone──> until the driver ends

Source: git-annex's P2P protocol design page; what a message out of place gets was seen from
git-annex 10.20261026 (tests/fixtures/p2p). Where that server can only die (content that is
locked, a key that is being received), this one has an answer: Failure or Error.
"""

from __future__ import annotations

from enum import Enum, auto

from shoal.errors import LocalProtocolError
from shoal.p2p.messages import (
    NEWEST_VERSION,
    AlreadyHave,
    AlreadyHavePlus,
    Auth,
    AuthFailure,
    AuthSuccess,
    Bypass,
    Changed,
    CheckPresent,
    Connect,
    ConnectDone,
    Data,
    DataPresent,
    Error,
    Failure,
    FailurePlus,
    Get,
    GetTimestamp,
    Invalid,
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
from shoal.p2p.parsing import Unknown
from shoal.p2p.receiver import Chunk
from shoal.p2p.session import Session
from shoal.values.record import record
from shoal.values.uuid import UUID

READ_ONLY_TEXT = "this repository is read-only; write access denied"
APPEND_ONLY_TEXT = "this repository is append-only; removal denied"


class Access(Enum):
    """What the client of a session may do."""

    FULL = auto()
    APPEND_ONLY = auto()  # may store, not remove
    READ_ONLY = auto()  # may lock, too


class State(Enum):
    """Whose turn it is, and for what."""

    LOGIN = auto()  # the client must show its token
    IDLE = auto()  # the client may ask
    SERVING = auto()  # the driver owes an answer
    SENDING = auto()  # the driver owes a payload
    SENT = auto()  # the client says whether it got it
    OFFERED = auto()  # the client sends Data, or says DataPresent
    RECEIVING = auto()  # a payload is coming
    RECEIVED = auto()  # the client says whether it vouches for it
    LOCKED = auto()  # content is locked until the client's next message
    RELAYING = auto()  # both sides send data of git's, in any order
    CLOSED = auto()


@record
class PayloadEnd:
    """All data came. `valid`: the client vouches for it; otherwise verify it in any case."""

    valid: bool


@record
class Abandoned:
    """The client does not send what it asked to put. No answer is owed."""


@record
class Unlocked:
    """The lock must be let go now. No answer is owed."""


@record
class Receipt:
    """The client says whether it got the content that was sent. No answer is owed."""

    received: bool


@record
class End:
    """The session is over. `clean` is False when the client went away inside something."""

    clean: bool


Request = (
    Auth | CheckPresent | LockContent | Remove | RemoveBefore | GetTimestamp | Get | Put | Connect
    | NotifyChange
)  # fmt: skip
Event = (
    Request | Data | DataPresent | Chunk | PayloadEnd | Abandoned | Unlocked | Receipt
    | ConnectDone | End
)  # fmt: skip

_REQUESTS = (
    CheckPresent, LockContent, Remove, RemoveBefore, GetTimestamp, Get, Put, Connect, NotifyChange,
)  # fmt: skip
_REMOVALS = (Remove, RemoveBefore)
_DONE = (Success, Failure, SuccessPlus, FailurePlus, Error)

# What the driver may answer to what.
_ANSWERS: dict[type, tuple[type, ...]] = {
    Auth: (AuthSuccess, AuthFailure),
    CheckPresent: (Success, Failure, Error),
    LockContent: (Success, Failure),
    Remove: _DONE,
    RemoveBefore: _DONE,
    GetTimestamp: (Timestamp, Error),
    Get: (Data, Error),
    Put: (PutFrom, AlreadyHave, AlreadyHavePlus, Error),
    PayloadEnd: _DONE,
    DataPresent: _DONE,
    Connect: (Error,),  # or begin_relay()
    NotifyChange: (Changed, Error),
}

# What the client is told when it says something else than the state wants.
_EXPECTED = {
    State.SENT: "expected SUCCESS or SUCCESS-PLUS or FAILURE or FAILURE-PLUS",
    State.OFFERED: "expected DATA",
    State.RECEIVED: "expected VALID or INVALID",
    State.LOCKED: "expected UNLOCKCONTENT",
}


class ServerSession(Session):
    """One session that serves repository `server`.

    With `login` the client must first show a token (sockets); otherwise the server speaks
    first, unless it has `greeted` the client already. `version` and `bypass` are what the
    client asked for.
    """

    def __init__(
        self,
        server: UUID,
        access: Access = Access.FULL,
        *,
        login: bool = False,
        greeted: bool = False,
    ) -> None:
        super().__init__()
        self.server = server
        self.access = access
        self.bypass: tuple[UUID, ...] = ()
        self.state = State.LOGIN if login else State.IDLE
        self._asked: type | None = None  # to what the driver owes an answer
        self._refused = False  # the client may say ERROR to our ERROR
        if not (login or greeted):
            self._output.append(bytes(AuthSuccess(server)))

    @property
    def is_receiving(self) -> bool:
        """A content is on its way from the client, or should be: for it the driver has something
        locked."""
        return self.state in {State.OFFERED, State.RECEIVING, State.RECEIVED}

    def _payload_counted(self) -> None:
        if self.state is State.RECEIVING and not self._receiver.payload_left:
            self.state = State.RECEIVED

    # Events

    def next_event(self) -> Event | None:
        """Give what the driver has to do next; None: feed() more.

        Raises RemoteProtocolError when the client's bytes cannot be understood any more.
        """
        if self.state in {State.SERVING, State.SENDING}:
            raise LocalProtocolError(f"an answer is owed ({self.state.name})")
        while self.state is not State.CLOSED:
            if self.state is State.RECEIVED and self.version == 0:
                return self._payload_end(valid=False)  # version 0 has no word for it
            received = self._receiver.next_event()
            if received is None:
                return self._end() if self._input_ended else None
            event = self._take(received)
            if event is not None:
                return event
        return End(clean=True)

    def _end(self) -> End:
        clean = self.state not in {State.RECEIVING, State.RECEIVED}
        self.state = State.CLOSED
        return End(clean=clean)

    def _take(self, received: Message | Unknown | Chunk) -> Event | None:
        """Say what `received` means in this state; None when it is settled already."""
        match self.state:
            case State.RECEIVING:
                return self._take_chunk(received)
            case State.IDLE:
                return self._take_request(received)
            case State.LOGIN:
                return self._take_login(received)
            case State.OFFERED:
                return self._take_offered(received)
            case State.RECEIVED:
                return self._take_validity(received)
            case State.LOCKED:
                return self._take_unlock(received)
            case State.SENT:
                return self._take_receipt(received)
            case State.RELAYING:
                return self._take_relayed(received)
            case _:
                raise LocalProtocolError(f"nothing is expected in state {self.state.name}")

    def _take_login(self, received: Message | Unknown | Chunk) -> Event | None:
        if isinstance(received, Auth):
            return self._serve(received)
        if isinstance(received, Error):
            self.state = State.CLOSED
            return End(clean=True)
        self._complain(received)
        return None

    def _take_request(self, received: Message | Unknown | Chunk) -> Event | None:
        refused, self._refused = self._refused, False
        if isinstance(received, Version):
            self.version = min(received.number, NEWEST_VERSION)
            self._output.append(bytes(Version(self.version)))
            return None
        if isinstance(received, Bypass):
            self.bypass = received.uuids
            return None
        if isinstance(received, Error):
            if refused:  # the real client's way to say that it understood
                return None
            self.state = State.CLOSED
            return End(clean=True)
        if not isinstance(received, _REQUESTS):
            self._complain(received)
            return None
        if (text := self._forbidden(received)) is not None:
            self._output.append(bytes(Error(text)))
            self._refused = True
            return None
        return self._serve(received)

    def _forbidden(self, request: Request) -> str | None:
        if self.access is Access.READ_ONLY and isinstance(request, (Put, *_REMOVALS)):
            return READ_ONLY_TEXT
        if self.access is Access.APPEND_ONLY and isinstance(request, _REMOVALS):
            return APPEND_ONLY_TEXT
        pushes = isinstance(request, Connect) and request.service == b"git-receive-pack"
        return READ_ONLY_TEXT if pushes and self.access is not Access.FULL else None

    def _serve(self, request: Request) -> Request:
        self.state = State.SERVING
        self._asked = type(request)
        return request

    def _take_offered(self, received: Message | Unknown | Chunk) -> Event | None:
        if isinstance(received, Data):
            self._receiver.expect_payload(received.length)
            self.state = State.RECEIVING if received.length else State.RECEIVED
            return received
        if isinstance(received, DataPresent) and self.version >= 4:
            self.state = State.SERVING
            self._asked = DataPresent
            return received
        self._expected_otherwise(received)
        return Abandoned()

    def _take_chunk(self, received: Message | Unknown | Chunk) -> Event | None:
        if not isinstance(received, Chunk):
            raise LocalProtocolError("a line within a payload")
        if received.last:
            self.state = State.RECEIVED
        return received

    def _take_validity(self, received: Message | Unknown | Chunk) -> Event | None:
        if not isinstance(received, Valid | Invalid) and not isinstance(received, Error):
            self._output.append(bytes(Error(_EXPECTED[State.RECEIVED])))
        return self._payload_end(isinstance(received, Valid))

    def _payload_end(self, valid: bool) -> PayloadEnd:
        self.state = State.SERVING
        self._asked = PayloadEnd
        return PayloadEnd(valid)

    def _take_unlock(self, received: Message | Unknown | Chunk) -> Event | None:
        if not isinstance(received, UnlockContent):
            self._output.append(bytes(Error(_EXPECTED[State.LOCKED])))
        self.state = State.IDLE
        return Unlocked()

    def _take_receipt(self, received: Message | Unknown | Chunk) -> Event | None:
        if isinstance(received, Success | SuccessPlus | Failure | FailurePlus):
            self.state = State.IDLE
            return Receipt(isinstance(received, Success | SuccessPlus))
        self._expected_otherwise(received)
        return Receipt(received=False)

    def _take_relayed(self, received: Message | Unknown | Chunk) -> Event:
        """What is no part of a relayed conversation ends it."""
        if isinstance(received, Data):
            self._receiver.expect_payload(received.length)
        if isinstance(received, Data | Chunk | ConnectDone):
            return received
        self.state = State.CLOSED
        return End(clean=False)

    def _expected_otherwise(self, received: Message | Unknown | Chunk) -> None:
        """Complain, but not about an Error: that one is the client's complaint."""
        if not isinstance(received, Error):
            self._output.append(bytes(Error(_EXPECTED[self.state])))
        self.state = State.IDLE

    def _complain(self, received: Message | Unknown | Chunk) -> None:
        what = "unknown" if isinstance(received, Unknown) else "unexpected"
        self._output.append(bytes(Error(f"{what} command")))

    # Answers

    def begin_relay(self) -> None:
        """Grant a Connect. From now on the driver sends Data and at last ConnectDone by itself,
        and ends the connection."""
        if self.state is not State.SERVING or self._asked is not Connect:
            raise LocalProtocolError("nobody asked for a git service")
        self.state, self._asked = State.RELAYING, None

    def answer(self, message: Message) -> None:
        """Answer what next_event() gave. Lists of UUIDs are left out for clients that cannot
        read them; a gateway (which sent BYPASS) is not sent ALREADY-HAVE-PLUS, which the real
        one takes for a protocol error."""
        if self.state is not State.SERVING or self._asked is None:
            raise LocalProtocolError(f"{message!r} answers nothing")
        if not isinstance(message, _ANSWERS[self._asked]):
            raise LocalProtocolError(f"{message!r} is no answer to {self._asked.__name__}")
        self._output.append(bytes(self._plain_if_need_be(message)))
        self._refused = isinstance(message, Error)
        self.state = self._state_after(message)
        self._asked = None

    def _plain_if_need_be(self, message: Message) -> Message:
        match message:
            case AlreadyHavePlus() if self.version < 2 or self.bypass:
                return AlreadyHave()
            case SuccessPlus() if self.version < 2:
                return Success()
            case FailurePlus() if self.version < 2:
                return Failure()
            case _:
                return message

    def _state_after(self, message: Message) -> State:
        match message:
            case PutFrom():
                return State.OFFERED
            case AuthFailure():
                return State.LOGIN
            case Success() if self._asked is LockContent:
                return State.LOCKED
            case Data():
                self._payload_left = message.length
                return State.SENDING
            case _:
                return State.IDLE

    def payload_sent(self, length: int) -> None:
        """Count bytes of the payload that the driver has sent after a Data."""
        if self.state is not State.SENDING or length > self._payload_left:
            raise LocalProtocolError("more bytes than were announced")
        self._payload_left -= length

    def payload_done(self, valid: bool) -> None:
        """All announced bytes are sent; from version 1 on, say whether they can be trusted."""
        if self.state is not State.SENDING or self._payload_left:
            raise LocalProtocolError("fewer bytes than were announced: close the connection")
        if self.version >= 1:
            self._output.append(bytes(Valid() if valid else Invalid()))
        self.state = State.SENT
