"""The client's side of a P2P session: what may be sent in each state, and what may come back.

Nothing here reads, writes or waits. A driver calls send() and transmits what take_output()
gives, feeds what arrives, and reads replies with next_event(). An answer that the protocol does
not allow raises RemoteProtocolError: the connection must then be closed and never used again.

    GREETING ──AuthSuccess──> IDLE ──request──> WAITING ──reply──> IDLE, or
      LockContent: Success ──> LOCKED ──UnlockContent──> IDLE
      Get: Data ──> RECEIVING ──payload──> PayloadEnd ──> RECEIVED ──Success or Failure──> IDLE
      Put: PutFrom ──> OFFERED ──Data, payload, Valid or Invalid──> WAITING
                               ──DataPresent──> WAITING     ──Error: given up──> IDLE
"""

from __future__ import annotations

from enum import Enum, auto

from shoal.errors import LocalProtocolError, RemoteProtocolError
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
from shoal.p2p.server import End, PayloadEnd
from shoal.p2p.session import Session
from shoal.values.uuid import UUID


class State(Enum):
    """Whose turn it is, and for what."""

    GREETING = auto()  # the server must say who it is (after Auth, on a socket)
    IDLE = auto()  # we may ask
    WAITING = auto()  # the server owes a reply
    OFFERED = auto()  # we send Data, or DataPresent
    SENDING = auto()  # we owe a payload
    SENT = auto()  # we say whether we vouch for it
    RECEIVING = auto()  # a payload is coming
    VALIDITY = auto()  # the server says whether it vouches for it
    RECEIVED = auto()  # we say whether we got it
    LOCKED = auto()  # the server keeps content locked
    CLOSED = auto()


Event = (
    AuthSuccess | AuthFailure | Version | Success | Failure | SuccessPlus | FailurePlus | Error
    | PutFrom | AlreadyHave | AlreadyHavePlus | Timestamp | Changed | Data | Chunk | PayloadEnd
    | End
)  # fmt: skip

_DONE = (Success, Failure, SuccessPlus, FailurePlus, Error)
_PLUS = (SuccessPlus, FailurePlus)

# request -> (the version that has it, what may come back)
_REPLIES: dict[type, tuple[int, tuple[type, ...]]] = {
    Version: (0, (Version, Error)),
    CheckPresent: (0, (Success, Failure, Error)),
    LockContent: (0, (Success, Failure, Error)),
    Remove: (0, _DONE),
    RemoveBefore: (3, _DONE),
    GetTimestamp: (3, (Timestamp, Error)),
    Get: (0, (Data, Error)),
    Put: (0, (PutFrom, AlreadyHave, AlreadyHavePlus, Error)),
    Data: (0, _DONE),
    DataPresent: (4, _DONE),
    NotifyChange: (0, (Changed, Error)),
}
_REQUESTS = tuple(kind for kind in _REPLIES if kind not in {Data, DataPresent})

# What we may send, beside requests when idle.
_SENDABLE: dict[State, tuple[type, ...]] = {
    State.GREETING: (Auth,),
    State.IDLE: (*_REQUESTS, Bypass),
    State.OFFERED: (Data, DataPresent, Error),
    State.SENT: (Valid, Invalid),
    State.RECEIVED: (Success, Failure),
    State.LOCKED: (UnlockContent,),
}


class ClientSession(Session):
    """One session with a server that must be repository `server` (None: any will do).

    `version` is 0 until a Version was sent and answered; use exactly what came back.
    """

    def __init__(self, server: UUID | None = None) -> None:
        super().__init__()
        self.server = server
        self.state = State.GREETING
        self._asked: type | None = None
        self._offered_version = NEWEST_VERSION

    # What we say

    def send(self, message: Message) -> None:
        """Say something that this state allows. Raises LocalProtocolError otherwise."""
        if not isinstance(message, _SENDABLE.get(self.state, ())):
            raise LocalProtocolError(f"{message!r} cannot be sent in state {self.state.name}")
        needed = _REPLIES[type(message)][0] if type(message) in _REPLIES else 0
        if isinstance(message, Bypass):
            needed = 2
        if self.version < needed:
            raise LocalProtocolError(f"{message!r} cannot be sent at version {self.version}")
        self._say(message)

    def _say(self, message: Message) -> None:
        if isinstance(message, Valid | Invalid):
            if self.version >= 1:
                self._output.append(bytes(message))
        else:
            self._output.append(bytes(message))
        if type(message) in _REPLIES:
            self._asked = type(message)
        match message:
            case Version():
                self._offered_version = message.number
                self.state = State.WAITING
            case Data():
                self._payload_left = message.length
                self.state = State.SENDING if message.length else State.SENT
            case Auth() | Bypass():
                pass
            case Success() | Failure() | UnlockContent() | Error():
                self.state = State.IDLE
            case _:
                self.state = State.WAITING

    def payload_sent(self, length: int) -> None:
        """Count bytes of the payload that were transmitted after a Data. When all were, say
        Valid or Invalid (also at version 0, where that goes unsaid)."""
        if self.state is not State.SENDING or length > self._payload_left:
            raise LocalProtocolError("more bytes than were announced")
        self._payload_left -= length
        if not self._payload_left:
            self.state = State.SENT

    # What we hear

    def _payload_counted(self) -> None:
        if self.state is State.RECEIVING and not self._receiver.payload_left:
            self.state = State.VALIDITY

    def next_event(self) -> Event | None:
        """Give what the server said; None: feed() more.

        Raises RemoteProtocolError when the server may not say that.
        """
        if self.state is State.CLOSED:
            return End(clean=True)
        if self.state is State.VALIDITY and self.version == 0:
            self.state = State.RECEIVED
            return PayloadEnd(valid=False)  # version 0 has no word for it
        received = self._receiver.next_event()
        if received is None:
            return self._end() if self._input_ended else None
        try:
            return self._take(received)
        except RemoteProtocolError:
            self.state = State.CLOSED
            raise

    def _end(self) -> End:
        clean = self.state is State.IDLE and not self._receiver.mid_line
        self.state = State.CLOSED
        return End(clean=clean)

    def _take(self, received: Message | Unknown | Chunk) -> Event:
        match self.state:
            case State.RECEIVING if isinstance(received, Chunk):
                if received.last:
                    self.state = State.VALIDITY
                return received
            case State.VALIDITY if isinstance(received, Valid | Invalid):
                self.state = State.RECEIVED
                return PayloadEnd(valid=isinstance(received, Valid))
            case State.GREETING if isinstance(received, AuthSuccess | AuthFailure):
                return self._take_greeting(received)
            case State.WAITING:
                return self._take_reply(received)
            case _:
                raise self._unexpected(received)

    def _take_greeting(self, received: AuthSuccess | AuthFailure) -> Event:
        if isinstance(received, AuthFailure):
            return received
        if self.server is not None and received.server != self.server:
            raise RemoteProtocolError(
                f"expected repository {self.server}, but the server is {received.server}"
            )
        self.server = received.server
        self.state = State.IDLE
        return received

    def _take_reply(self, received: Message | Unknown | Chunk) -> Event:
        asked = self._asked
        if asked is None or not isinstance(received, _REPLIES[asked][1]):
            raise self._unexpected(received)
        if isinstance(received, _PLUS) and self.version < 2:
            raise self._unexpected(received)
        match received:
            case Version():
                self._agree(received)
            case PutFrom():
                self.state = State.OFFERED
            case Data():
                self._receiver.expect_payload(received.length)
                self.state = State.RECEIVING if received.length else State.VALIDITY
            case Success() if asked is LockContent:
                self.state = State.LOCKED
            case (
                Success() | Failure() | SuccessPlus() | FailurePlus() | Error() | Timestamp()
                | AlreadyHave() | AlreadyHavePlus() | Changed()
            ):  # fmt: skip
                self.state = State.IDLE
            case _:
                raise self._unexpected(received)
        return received

    def _agree(self, reply: Version) -> None:
        if reply.number > self._offered_version:
            raise RemoteProtocolError(f"the server wants version {reply.number}, not offered")
        self.version = reply.number
        self.state = State.IDLE

    def _unexpected(self, received: Message | Unknown | Chunk) -> RemoteProtocolError:
        what = received.line[:80] if isinstance(received, Unknown) else received
        doing = self._asked.__name__ if self._asked else self.state.name
        return RemoteProtocolError(f"unexpected answer from the server ({doing}): {what!r}")
