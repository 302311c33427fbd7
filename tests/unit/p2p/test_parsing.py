"""Lines that are messages, and lines that are not."""

from __future__ import annotations

import pytest

from shoal.p2p.messages import (
    Auth,
    Bypass,
    CheckPresent,
    Error,
    Get,
    Message,
    Put,
    RemoveBefore,
    UnlockContent,
    Version,
)
from shoal.p2p.parsing import Unknown, parse_line
from shoal.values.key import Key
from shoal.values.uuid import UUID

KEY = Key.parse(b"WORM-s3-m1--a file")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"CHECKPRESENT\tWORM-s3-m1--a file", CheckPresent(KEY)),
        (b"CHECKPRESENT\xc2\xa0WORM-s3-m1--a file", CheckPresent(KEY)),
        (b"CHECKPRESENT WORM--x extra", CheckPresent(Key.parse(b"WORM--x extra"))),
        (b"VERSION 0x3", Version(3)),
        (b"VERSION 4 junk", Version(4)),
        (b"GET 04 f WORM--x", Get(4, b"f", Key.parse(b"WORM--x"))),
        (b"REMOVE-BEFORE -5 WORM--x", RemoveBefore(-5, Key.parse(b"WORM--x"))),
        (b"PUT a%b%%c WORM--x", Put(b"a_b%c", Key.parse(b"WORM--x"))),
        (b"AUTH u TOK", Auth(UUID("u"), b"tok")),
        (b"AUTH u ", Auth(UUID("u"), b"")),
        (b"AUTH u", Auth(UUID("u"), b"")),
        (b"BYPASS  a \t b ", Bypass((UUID("a"), UUID("b")))),
        (b"UNLOCKCONTENT ", UnlockContent()),
        (b"ERROR", Error("")),
        (b"ERROR ", Error("")),
    ],
)
def test_what_the_real_program_reads_is_read(line: bytes, message: Message) -> None:
    assert parse_line(line) == message


@pytest.mark.parametrize(
    "line",
    [
        b"", b" ", b"FOO", b"checkpresent WORM--x", b" CHECKPRESENT WORM--x", b"CHECKPRESENT",
        b"CHECKPRESENT ", b"CHECKPRESENT notakey", b"CHECKPRESENTWORM--x", b"GET WORM--x",
        b"GET 0 WORM--x", b"GET x  WORM--x", b"GET -1  WORM--x", b"GET +1  WORM--x",
        b"GET 0 /abs WORM--x", b"PUT WORM--x", b"VERSION", b"VERSION -1", b"VERSION abc",
        b"VERSION 1e3", b"DATA", b"DATA -5", b"DATA " + b"9" * 20, b"DATA " + b"9" * 5000,
        b"SUCCESS yes", b"UNLOCKCONTENT WORM--x", b"GETTIMESTAMP x", b"CONNECT git-upload-archive",
        b"CONNECT", b"AUTH u bad-token", b"AUTH", b"AUTH-SUCCESS", b"AUTH-SUCCESS a b",
        b"CONNECTDONE x", b"TIMESTAMP", b"REMOVE-BEFORE 5", b"REMOVE-BEFORE x WORM--x", b"\xff\xfe",
    ],
)  # fmt: skip
def test_other_lines_are_unknown(line: bytes) -> None:
    assert parse_line(line) == Unknown(line)
