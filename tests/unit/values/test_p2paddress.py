"""Addresses on peer-to-peer networks."""

from __future__ import annotations

import pytest

from shoal.values.p2paddress import (
    NetAddress,
    TorAddress,
    parse_address,
    parse_token,
    parse_with_token,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tor-annex::abc.onion:4711", TorAddress("abc.onion", 4711)),
        ("p2p-annex::net:peer", NetAddress("net", "peer")),
        ("p2p-annex::net:a:b/c d", NetAddress("net", "a:b/c d")),
    ],
)
def test_an_address_is_read_and_written(text: str, address: TorAddress | NetAddress) -> None:
    assert parse_address(text) == address
    assert str(address) == text
    assert parse_with_token(f"{text}:aB1") == (address, "ab1")


@pytest.mark.parametrize(
    "text",
    [
        "", "ssh://host/x", "tor-annex:abc.onion:1", "tor-annex::abc.onion", "tor-annex::a:0",
        "tor-annex::a:65536", "tor-annex::a:b", "tor-annex:::1", "p2p-annex::net",
        "p2p-annex::net:", "p2p-annex:::peer", "p2p-annex::../x:peer",
    ],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="annex::"):
        parse_address(text)


@pytest.mark.parametrize("text", ["p2p-annex::net:peer:", "p2p-annex::net:peer:a-b", "x"])
def test_an_address_without_a_token(text: str) -> None:
    with pytest.raises(ValueError, match="token"):
        parse_with_token(text)


def test_tokens_are_lower_case() -> None:
    assert parse_token("AbC9") == "abc9"
    assert parse_token("") == ""


def test_the_file_of_a_token() -> None:
    """As git-annex names it: all but letters and digits are escaped."""
    assert NetAddress("net", "a/b_c").token_file == "net%3Aa%2Fb%5Fc"
    assert TorAddress("abc.onion", 1).token_file == "abc%2Eonion"
    assert NetAddress("net", "é€\udcff").token_file == "net%3Aé%E2%82%AC%FF"
