"""Bytes to messages and chunks, however they are split."""

from __future__ import annotations

import pytest

from shoal.errors import LocalProtocolError, RemoteProtocolError
from shoal.p2p.messages import Data, Failure, Success, Valid
from shoal.p2p.parsing import Unknown
from shoal.p2p.receiver import Chunk, Receiver

STREAM = b"SUCCESS\r\nDATA 11\nhello\nworldVALID\nDATA 0\nfoo\n\nFAILURE\n"
EXPECTED = [
    Success(),
    Data(11),
    b"hello\nworld",
    Valid(),
    Data(0),
    Unknown(b"foo"),
    Unknown(b""),
    Failure(),
]


def read_all(pieces: list[bytes]) -> list[object]:
    """Feed pieces; a payload follows each Data. Chunks are joined."""
    receiver = Receiver()
    found: list[object] = []
    payload = b""
    for piece in pieces:
        receiver.feed(piece)
        while (event := receiver.next_event()) is not None:
            if isinstance(event, Data):
                receiver.expect_payload(event.length)
            if not isinstance(event, Chunk):
                found.append(event)
                continue
            payload += event.data
            if event.last:
                found.append(payload)
                payload = b""
    assert not receiver.mid_line
    return found


def test_whole() -> None:
    assert read_all([STREAM]) == EXPECTED


def test_byte_by_byte() -> None:
    assert read_all([STREAM[i : i + 1] for i in range(len(STREAM))]) == EXPECTED


@pytest.mark.parametrize("cut", range(1, len(STREAM)))
def test_in_two_pieces(cut: int) -> None:
    assert read_all([STREAM[:cut], STREAM[cut:]]) == EXPECTED


def test_fed_twice_before_anything_is_read() -> None:
    receiver = Receiver()
    receiver.feed(b"SUCC")
    receiver.feed(b"ESS\nFAI")
    assert receiver.next_event() == Success()
    assert receiver.mid_line
    receiver.feed(b"LURE\n")
    assert receiver.next_event() == Failure()
    assert receiver.next_event() is None


def test_payload_is_handed_on_as_it_comes() -> None:
    receiver = Receiver()
    receiver.expect_payload(5)
    receiver.feed(b"abc")
    assert receiver.next_event() == Chunk(memoryview(b"abc"), last=False)
    assert receiver.payload_left == 2
    assert receiver.next_event() is None
    receiver.feed(b"deSUCCESS\n")
    assert receiver.next_event() == Chunk(memoryview(b"de"), last=True)
    assert receiver.next_event() == Success()


def test_payload_that_goes_past() -> None:
    receiver = Receiver()
    receiver.feed(b"DATA 9\nabc")
    assert receiver.next_event() == Data(9)
    receiver.expect_payload(9)
    with pytest.raises(LocalProtocolError):
        receiver.payload_came(6)  # some was fed
    buffer = memoryview(bytearray(2))
    assert (receiver.take_payload(buffer), bytes(buffer)) == (2, b"ab")
    assert (receiver.take_payload(buffer), bytes(buffer)) == (1, b"cb")
    assert receiver.take_payload(buffer) == 0
    with pytest.raises(LocalProtocolError):
        receiver.payload_came(7)
    receiver.payload_came(4)
    receiver.feed(b"hiVALID\n")
    assert (receiver.take_payload(memoryview(bytearray(9))), receiver.payload_left) == (2, 0)
    assert receiver.next_event() == Valid()


def test_data_without_expectation_has_no_payload() -> None:
    receiver = Receiver()
    receiver.feed(b"DATA 7\nSUCCESS\n")
    assert [receiver.next_event(), receiver.next_event()] == [Data(7), Success()]


def test_a_payload_within_a_payload_is_our_bug() -> None:
    receiver = Receiver()
    receiver.expect_payload(1)
    with pytest.raises(LocalProtocolError):
        receiver.expect_payload(1)


@pytest.mark.parametrize("step", [1000, 32_767, 100_000])
def test_the_longest_line(step: int) -> None:
    line = b"x" * 32_767 + b"\nSUCCESS\n"
    assert read_all([line[i : i + step] for i in range(0, len(line), step)]) == [
        Unknown(b"x" * 32_767),
        Success(),
    ]


@pytest.mark.parametrize("step", [1000, 32_768, 100_000])
def test_a_longer_line_breaks_the_connection(step: int) -> None:
    receiver = Receiver()
    line = b"x" * 32_768
    for start in range(0, len(line) - step, step):
        receiver.feed(line[start : start + step])
        assert receiver.next_event() is None
    receiver.feed(line[(len(line) - 1) // step * step :])
    with pytest.raises(RemoteProtocolError, match="no newline"):
        receiver.next_event()
    receiver.feed(b"SUCCESS\n")
    with pytest.raises(RemoteProtocolError):
        receiver.next_event()


def test_hostile_drips_cost_no_more_than_the_line() -> None:
    receiver = Receiver()
    for _ in range(32_767):
        receiver.feed(b"y")
        assert receiver.next_event() is None
    receiver.feed(b"\n")
    assert receiver.next_event() == Unknown(b"y" * 32_767)
