"""git's words over a P2P session, with peers that end it in every way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.errors import RemoteRefused, RemoteUnavailable, ShoalError
from shoal.remotes.p2pgit import relay
from shoal.remotes.p2psocket import introduced
from shoal.transport.stdio import FdStream
from shoal.values.p2paddress import parse_address
from shoal.values.uuid import UUID
from tests.support.loop import in_loop

ADDRESS = parse_address("p2p-annex::net:x")


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the path of a shell script that is the peer, after it let us in."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = tmp_path / "git-annex-p2p-net"
    path.write_text("#!/bin/sh\nread auth; echo AUTH-SUCCESS u; read service\n")
    path.chmod(0o755)
    return path


def add(peer: Path, text: str) -> None:
    with peer.open("a") as file:
        file.write(f"{text}\n")


async def talk(said: bytes = b"") -> tuple[int, bytes]:
    """Have a git say this and then listen; give its exit code and what it heard."""
    ours, to_us = os.pipe()
    heard, from_us = os.pipe()
    os.write(to_us, said)
    os.close(to_us)
    try:
        async with introduced(ADDRESS, UUID("me"), "t") as (peer, _):
            async with FdStream(ours, from_us) as git:
                code = await relay(peer, "git-upload-pack", git)
            return code, os.read(heard, 100)
    finally:
        os.close(heard)


@in_loop
async def test_what_is_said_on_both_sides(peer: Path) -> None:
    """The peer goes on to speak after git has said all."""
    add(peer, 'read data; read line; test "$service $data $line" = "CONNECT git-upload-pack'
              ' DATA 5 want" && printf "DATA 3\\nabcDATA 2\\nde"; echo CONNECTDONE 7')  # fmt: skip
    assert await talk(b"want\n") == (7, b"abcde")


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ("echo ERROR only reading is allowed", RemoteRefused, "only reading is allowed"),
        ("printf 'DATA 3\\nab'", RemoteUnavailable, "it ended the connection before git had"),
        ("echo SUCCESS", RemoteUnavailable, "instead of git's answer"),
        ("head -c 40000 /dev/zero", RemoteUnavailable, "no newline"),
    ],
)
@in_loop
async def test_a_peer_that_breaks_off(
    peer: Path, answer: str, kind: type[ShoalError], said: str
) -> None:
    add(peer, answer)
    with pytest.raises(kind, match=said):
        await talk()


@in_loop
async def test_a_peer_that_says_its_last_word_twice(peer: Path) -> None:
    add(peer, f"echo CONNECTDONE 0; echo CONNECTDONE 0; touch {peer}.said")
    assert await talk() == (0, b"")
    assert Path(f"{peer}.said").exists()
