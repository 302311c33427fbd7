"""Whatever a peer sends is understood or refused; how it is split makes no difference."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import RemoteProtocolError
from shoal.p2p.client import ClientSession, State
from shoal.p2p.messages import (
    AlreadyHavePlus,
    Auth,
    AuthFailure,
    AuthSuccess,
    Bypass,
    Changed,
    CheckPresent,
    Connect,
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
from shoal.p2p.parsing import Unknown, parse_line
from shoal.p2p.receiver import Chunk
from shoal.p2p.server import Access, End, Event, PayloadEnd, ServerSession
from shoal.p2phttp import codec
from shoal.p2phttp.routes import BadRequest, Request, parse_request, render_target
from shoal.values.key import Key
from shoal.values.uuid import UUID

SERVER = UUID("55555555-5555-4555-8555-555555555555")
KEY = Key.parse(b"WORM-s3--x")

words = st.sampled_from(
    [
        b"VERSION 4", b"VERSION 1", b"VERSION 0", b"CHECKPRESENT WORM-s3--x", b"GET 1  WORM-s3--x",
        b"PUT f WORM-s3--x", b"DATA 3", b"DATA 0", b"abc", b"VALID", b"INVALID", b"SUCCESS",
        b"FAILURE", b"LOCKCONTENT WORM-s3--x", b"UNLOCKCONTENT", b"REMOVE WORM-s3--x", b"ERROR x",
        b"REMOVE-BEFORE 5 WORM-s3--x", b"GETTIMESTAMP", b"TIMESTAMP 5", b"BYPASS a b", b"FOO",
        b"DATA-PRESENT", b"NOTIFYCHANGE", b"CONNECT git-upload-pack", b"PUT-FROM 2",
        b"ALREADY-HAVE", b"ALREADY-HAVE-PLUS a", b"SUCCESS-PLUS a", b"FAILURE-PLUS", b"",
        b"AUTH a b", b"AUTH-SUCCESS 55555555-5555-4555-8555-555555555555", b"AUTH-FAILURE",
        b"CHANGED 00",
    ]
)  # fmt: skip
streams = st.lists(
    st.one_of(words.map(lambda word: word + b"\n"), st.binary(max_size=20), words), max_size=30
).map(b"".join)
uuids = st.from_regex(r"[a-z0-9-]{1,40}", fullmatch=True).map(UUID)
names = st.text(st.characters(exclude_characters="\n\r\0"), min_size=1, max_size=30)
keys = names.map(lambda name: Key(b"WORM", name.encode("utf-8", "replace"), 3))
files = names.map(lambda name: name.lstrip("/"))


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < end]


@given(st.binary(max_size=100))
def test_any_line_is_a_message_or_unknown(line: bytes) -> None:
    message = parse_line(line)
    if not isinstance(message, Unknown):
        assert parse_line(bytes(message).removesuffix(b"\n")) is not None


@given(
    st.one_of(
        st.builds(CheckPresent, keys),
        st.builds(Remove, keys),
        st.builds(RemoveBefore, st.integers(-(2**62), 2**62), keys),
        st.builds(Bypass, st.lists(uuids, max_size=4).map(tuple)),
        st.builds(SuccessPlus, st.lists(uuids, max_size=4).map(tuple)),
        st.builds(Data, st.integers(0, 2**62)),
        st.builds(Timestamp, st.integers(0, 2**62)),
        st.builds(AuthSuccess, uuids),
        st.builds(Auth, uuids, st.from_regex(r"[a-z0-9]*", fullmatch=True).map(str.encode)),
        st.builds(Get, st.integers(0, 2**62), st.just(b"a%b/c"), keys),
    )
)
def test_rendering_and_parsing_are_inverse(message: Message) -> None:
    assert parse_line(bytes(message).removesuffix(b"\n")) == message


_ANSWERS: dict[type, Callable[[bool], Message]] = {
    Auth: lambda yes: AuthSuccess(SERVER) if yes else AuthFailure(),
    CheckPresent: lambda yes: Success() if yes else Failure(),
    LockContent: lambda yes: Success() if yes else Failure(),
    Remove: lambda yes: SuccessPlus((SERVER,)) if yes else Error("no"),
    RemoveBefore: lambda yes: Success() if yes else Failure(),
    GetTimestamp: lambda yes: Timestamp(5),
    Get: lambda yes: Data(4) if yes else Error("no"),
    Put: lambda yes: PutFrom(1) if yes else AlreadyHavePlus((SERVER,)),
    Connect: lambda yes: Error("no"),
    NotifyChange: lambda yes: Changed((b"00",)),
    PayloadEnd: lambda yes: Success() if yes else Failure(),
    DataPresent: lambda yes: Success() if yes else Failure(),
}


def serve(pieces: list[bytes], choices: list[bool], access: Access, login: bool) -> list[object]:
    """Feed a server; answer what it asks for. Give all events, and all output."""
    session = ServerSession(SERVER, access, login=login)
    answers = iter(choices * 50)
    events: list[object] = []
    payload = b""
    try:
        for piece in [*pieces, b""]:
            session.feed(piece)
            while (event := session.next_event()) is not None and not isinstance(event, End):
                if isinstance(event, Chunk):
                    payload += event.data
                    continue
                if isinstance(event, PayloadEnd):
                    events.append(payload)
                    payload = b""
                events.append(event)
                perform(session, event, next(answers, True))
    except RemoteProtocolError:
        events.append(RemoteProtocolError)
    return [*events, session.take_output()]


def perform(session: ServerSession, event: Event, yes: bool) -> None:
    if type(event) not in _ANSWERS:
        return
    answer = _ANSWERS[type(event)](yes)
    session.answer(answer)
    if isinstance(answer, Data):
        session.payload_sent(answer.length)
        session.payload_done(yes)


@given(
    streams,
    st.lists(st.integers(0, 10_000), max_size=20),
    st.lists(st.booleans(), min_size=1),
    st.sampled_from(Access),
    st.booleans(),
)
def test_a_server_understands_or_refuses_anything(
    stream: bytes, cuts: list[int], choices: list[bool], access: Access, login: bool
) -> None:
    whole = serve([stream] if stream else [], choices, access, login)
    assert serve(pieces_of(stream, cuts), choices, access, login) == whole
    assert serve([stream[i : i + 1] for i in range(len(stream))], choices, access, login) == whole
    if access is not Access.FULL:
        assert not any(isinstance(event, Remove | RemoveBefore) for event in whole)
    if access is Access.READ_ONLY:
        assert not any(isinstance(event, Put | Data) for event in whole)


_REQUESTS: list[Message] = [
    Version(4), CheckPresent(KEY), Put(b"f", KEY), Get(0, b"", KEY), LockContent(KEY), Remove(KEY),
]  # fmt: skip
_NEXT: dict[State, Message] = {
    State.OFFERED: Data(0),
    State.SENT: Valid(),
    State.RECEIVED: Success(),
    State.LOCKED: UnlockContent(),
}


def ask(pieces: list[bytes], choices: list[int]) -> list[object]:
    """Let a client ask one thing after another, and feed it `pieces` as the answers."""
    session = ClientSession(SERVER)
    session.feed(bytes(AuthSuccess(SERVER)))
    events: list[object] = [session.next_event()]
    wishes = iter(choices * 50)
    payload = b""
    try:
        for piece in [*pieces, b""]:
            session.feed(piece)
            while True:
                if session.state in _NEXT:
                    session.send(_NEXT[session.state])
                    continue
                if session.state is State.IDLE:
                    session.send(_REQUESTS[next(wishes, 1) % len(_REQUESTS)])
                event = session.next_event()
                if event is None or isinstance(event, End):
                    break
                if isinstance(event, Chunk):
                    payload += event.data
                else:
                    events += [payload, event]
                    payload = b""
    except RemoteProtocolError:
        events.append(RemoteProtocolError)
    return events


@given(
    streams,
    st.lists(st.integers(0, 10_000), max_size=20),
    st.lists(st.integers(0, 5), min_size=1, max_size=5),
)
def test_a_client_understands_or_refuses_anything(
    stream: bytes, cuts: list[int], choices: list[int]
) -> None:
    whole = ask([stream] if stream else [], choices)
    assert ask(pieces_of(stream, cuts), choices) == whole
    assert ask([stream[i : i + 1] for i in range(len(stream))], choices) == whole


_PATHS = st.lists(
    st.sampled_from(["git-annex", "v4", "v0", "v9", "key", "put", "remove-before", "keeplocked"])
    | st.text(max_size=8)
    | st.sampled_from(["WORM--x", "[V09STS0teA==]", "[!]", "%", "%ff", "..", ""]),
    max_size=6,
).map(lambda parts: "/" + "/".join(parts))
_QUERIES = st.lists(
    st.tuples(
        st.sampled_from(["key", "clientuuid", "offset", "timestamp", "lockid", "bypass", "x"])
        | st.just("data-present"),
        st.sampled_from(["WORM--x", "5", "-1", "true", "[YQ==]", "[!]", "%", "%00", ""])
        | st.text(max_size=5),
    ),
    max_size=8,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", ""]),
    _PATHS | st.just(f"/git-annex/{SERVER}/v4/put"),
    _QUERIES | st.text(max_size=30),
    st.none() | st.sampled_from(["0", "12", "x", "-1"]),
)
def test_any_request_is_understood_or_refused(
    method: str, path: str, query: str, length: str | None
) -> None:
    try:
        request = parse_request(method, path, query, length)
    except BadRequest as error:
        status = error.status
    else:
        status = 200
    if status != 200:
        assert 400 <= status < 500
        return
    assert request.endpoint.first_version <= request.protocol <= 4
    assert again(request) == request


def again(request: Request) -> Request:
    path, _, query = render_target(request).partition("?")
    length = None if request.data_length is None else str(request.data_length)
    return parse_request(request.endpoint.method, "/git-annex" + path, query, length)


@given(st.binary(max_size=60))
def test_any_answer_is_understood_or_refused(body: bytes) -> None:
    for parse in (
        codec.parse_present,
        codec.parse_locked,
        codec.parse_timestamp,
        codec.parse_stored,
        codec.parse_removed,
        codec.parse_put_offset,
    ):
        try:
            parse(body)
        except RemoteProtocolError:
            continue


@given(st.binary(max_size=40))
def test_any_word_survives_wrapping(word: bytes) -> None:
    assert codec.unwrap_word(codec.wrap_word(word).encode()) == word


@given(st.binary(max_size=60), st.lists(st.integers(0, 100), max_size=5))
def test_a_lock_is_released_wherever_its_body_is_cut(body: bytes, cuts: list[int]) -> None:
    whole = codec.KeepLockedBody()
    whole.feed(body)
    split = codec.KeepLockedBody()
    for piece in pieces_of(body, cuts):
        split.feed(piece)
    assert split.released == whole.released


@given(st.text(max_size=30))
def test_any_header_is_understood_or_refused(header: str) -> None:
    codec.accepts(header, codec.JSON_TYPE)
    for parse in (codec.parse_authorization, codec.parse_count):
        try:
            parse(header)
        except ValueError:
            continue
    try:
        found = codec.parse_range(header, 10)
    except codec.RangeNotSatisfiable:
        return
    assert found is None or 0 <= found.start < found.stop <= 10
