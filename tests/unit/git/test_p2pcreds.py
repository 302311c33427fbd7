"""Addresses and tokens on disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shoal.git.p2pcreds import TOKEN_VARIABLE, P2PCredentials, new_token
from shoal.values.p2paddress import NetAddress, TorAddress
from tests.support.annexrepo import make_annex

PEER = NetAddress("net", "peer")
OTHER = NetAddress("net", "other")
ONION = TorAddress("abc.onion", 4711)


@pytest.fixture
def creds(tmp_path: Path) -> Iterator[P2PCredentials]:
    with make_annex(tmp_path / "repo") as repository:
        yield P2PCredentials(repository)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "repo" / ".git" / "annex" / "creds"


def test_nothing_is_there_at_first(creds: P2PCredentials) -> None:
    assert creds.addresses() == []
    assert creds.allowed_tokens(PEER) == []
    assert creds.token_for(PEER) == ""


def test_addresses(creds: P2PCredentials, directory: Path) -> None:
    for address in (PEER, ONION, PEER):
        creds.add_address(address)
    assert creds.addresses() == [ONION, PEER]
    (directory / "p2paddrs").write_text("carrier-pigeon::x\np2p-annex::net:other\n")
    assert creds.addresses() == [OTHER]


def test_a_token_is_for_one_address(creds: P2PCredentials, directory: Path) -> None:
    creds.allow_token(PEER, "a1")
    creds.allow_token(PEER, "a2")
    creds.allow_token(ONION, "b")
    assert creds.allowed_tokens(PEER) == ["a2", "a1"]
    assert creds.allowed_tokens(OTHER) == []
    assert creds.allowed_tokens(ONION) == ["b"]
    text = "b\na2 p2p-annex::net:peer\na1 p2p-annex::net:peer\n"
    assert (directory / "p2pauth").read_text() == text


def test_an_empty_line_is_no_token(creds: P2PCredentials, directory: Path) -> None:
    creds.allow_token(ONION, "b")
    (directory / "p2pauth").write_text("\n \n p2p-annex::net:peer\nnot-one\nB\n")
    assert creds.allowed_tokens(ONION) == ["b"]
    assert creds.allowed_tokens(PEER) == []


def test_the_token_for_a_peer(
    creds: P2PCredentials, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    creds.keep_token(PEER, "abc")
    assert creds.token_for(PEER) == "abc"
    (directory / "net%3Apeer").write_text("XYZ\nmore\n")
    assert creds.token_for(PEER) == "xyz"
    monkeypatch.setenv(TOKEN_VARIABLE, "given")
    assert creds.token_for(PEER) == "given"
    monkeypatch.setenv(TOKEN_VARIABLE, "not a token")
    assert creds.token_for(PEER) == ""


def test_nobody_else_can_read_them(creds: P2PCredentials, directory: Path) -> None:
    mask = os.umask(0)
    try:
        creds.add_address(PEER)
        creds.allow_token(PEER, "a")
        creds.keep_token(PEER, "a")
    finally:
        os.umask(mask)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == {"p2paddrs": 0o600, "p2pauth": 0o600, "net%3Apeer": 0o600}


def test_tokens_that_are_made_at_once_are_all_kept(creds: P2PCredentials) -> None:
    tokens = [new_token() for _ in range(20)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda token: creds.allow_token(PEER, token), tokens))
    assert sorted(creds.allowed_tokens(PEER)) == sorted(tokens)


def test_a_token_is_long() -> None:
    assert len(new_token()) == 128
    assert new_token() != new_token()
