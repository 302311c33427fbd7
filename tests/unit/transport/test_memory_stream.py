"""Streams in memory."""

from __future__ import annotations

import asyncio

import pytest

from shoal.transport.memory import memory_streams
from tests.support.loop import in_loop


@in_loop
async def test_what_is_sent_arrives_in_pieces() -> None:
    here, there = memory_streams(piece=2)
    await here.send(b"abcde")
    assert [await there.receive() for _ in range(3)] == [b"ab", b"cd", b"e"]


@in_loop
async def test_the_sender_waits_for_the_receiver() -> None:
    here, there = memory_streams(limit=4)
    await here.send(b"abcd")
    sending = asyncio.create_task(here.send(b"e"))
    await asyncio.sleep(0)
    assert not sending.done()
    assert await there.receive() == b"abcd"
    await sending
    assert await there.receive() == b"e"


@in_loop
async def test_after_the_end_of_sending_the_rest_is_received() -> None:
    here, there = memory_streams()
    await here.send(b"rest")
    await here.end()
    assert [await there.receive(), await there.receive()] == [b"rest", b""]
    await there.send(b"answer")
    assert await here.receive() == b"answer"


@in_loop
async def test_a_closed_end_breaks_the_other() -> None:
    here, there = memory_streams(limit=1)
    await there.send(b"unread")
    await here.aclose()
    assert await there.receive() == b""
    with pytest.raises(BrokenPipeError):
        await there.send(b"x")


@in_loop
async def test_files_are_sent(tmp_path: object) -> None:
    here, there = memory_streams()
    path = f"{tmp_path}/f"
    with open(path, "wb") as file:
        file.write(b"0123456789")
    assert await here.send_file(path, 2, 5) == 5
    assert await there.receive() == b"23456"
