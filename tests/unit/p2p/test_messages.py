"""Messages as data: parsed and rendered."""

from __future__ import annotations

import pytest

from shoal.p2p.messages import (
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
from shoal.p2p.parsing import parse_line
from shoal.values.key import Key
from shoal.values.uuid import UUID

U1, U2 = UUID("aaaaaaaa-0000-4000-8000-000000000001"), UUID("aaaaaaaa-0000-4000-8000-000000000002")
KEY = Key.parse(b"WORM-s3-m1--a file")

LINES: list[tuple[bytes, Message]] = [
    (b"AUTH u tok", Auth(UUID("u"), b"tok")),
    (b"AUTH  tok", Auth(UUID(""), b"tok")),
    (b"AUTH-SUCCESS u", AuthSuccess(UUID("u"))),
    (b"AUTH-FAILURE", AuthFailure()),
    (b"VERSION 4", Version(4)),
    (b"BYPASS", Bypass(())),
    (b"BYPASS %s %s" % (U1.encode(), U2.encode()), Bypass((U1, U2))),
    (b"CHECKPRESENT WORM-s3-m1--a file", CheckPresent(KEY)),
    (b"LOCKCONTENT WORM-s3-m1--a file", LockContent(KEY)),
    (b"UNLOCKCONTENT", UnlockContent()),
    (b"REMOVE WORM-s3-m1--a file", Remove(KEY)),
    (b"REMOVE-BEFORE 12 WORM-s3-m1--a file", RemoveBefore(12, KEY)),
    (b"GETTIMESTAMP", GetTimestamp()),
    (b"TIMESTAMP 1013", Timestamp(1013)),
    (b"GET 5  WORM-s3-m1--a file", Get(5, b"", KEY)),
    (b"GET 0 d/%% WORM-s3-m1--a file", Get(0, b"d/%", KEY)),
    (b"PUT \xff WORM-s3-m1--a file", Put(b"\xff", KEY)),
    (b"PUT-FROM 0", PutFrom(0)),
    (b"ALREADY-HAVE", AlreadyHave()),
    (b"ALREADY-HAVE-PLUS %s" % U1.encode(), AlreadyHavePlus((U1,))),
    (b"DATA 12", Data(12)),
    (b"DATA-PRESENT", DataPresent()),
    (b"VALID", Valid()),
    (b"INVALID", Invalid()),
    (b"SUCCESS", Success()),
    (b"FAILURE", Failure()),
    (b"SUCCESS-PLUS %s" % U2.encode(), SuccessPlus((U2,))),
    (b"FAILURE-PLUS", FailurePlus(())),
    (b"CONNECT git-upload-pack", Connect(b"git-upload-pack")),
    (b"CONNECTDONE 128", ConnectDone(128)),
    (b"NOTIFYCHANGE", NotifyChange()),
    (b"CHANGED 898bf12 00", Changed((b"898bf12", b"00"))),
    (b"ERROR what went wrong ", Error("what went wrong ")),
]


@pytest.mark.parametrize(("line", "message"), LINES, ids=lambda value: str(value)[:30])
def test_messages_go_round(line: bytes, message: Message) -> None:
    assert parse_line(line) == message
    assert bytes(message) == line + b"\n"


def test_messages_of_different_kinds_differ() -> None:
    assert len({message for _, message in LINES}) == len(LINES)
    assert len({CheckPresent(KEY), LockContent(KEY), Remove(KEY)}) == 3


def test_white_space_in_file_names_is_escaped() -> None:
    assert bytes(Put(b"two two%x.txt", KEY)) == b"PUT two%two%%x.txt WORM-s3-m1--a file\n"


def test_an_error_stays_on_one_line_that_can_be_read() -> None:
    assert bytes(Error("one\r\ntwo\n")) == b"ERROR one two \n"
    assert len(bytes(Error("x" * 100_000))) < 32 * 1024


def test_tokens_are_not_shown() -> None:
    assert "secret" not in repr(Auth(U1, b"secret"))
