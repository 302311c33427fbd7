"""Addresses of repositories on peer-to-peer networks, and the tokens that open them.

An address is `tor-annex::ONION:PORT` or `p2p-annex::NETWORK:ADDRESS`; with a token it is what
is given to a peer, `ADDRESS:TOKEN`. Source: git-annex's design page of generic P2P transports;
names of files and what counts as a token were checked against git-annex 10.20261026.
"""

from __future__ import annotations

import re

from shoal.values.record import record

SCHEMES = ("tor-annex::", "p2p-annex::")
_TOR, _GENERIC = SCHEMES
_TOKEN = re.compile(r"[A-Za-z0-9]*")


@record
class TorAddress:
    """A hidden service of tor."""

    onion: str
    port: int

    def __str__(self) -> str:
        return f"{_TOR}{self.onion}:{self.port}"

    @property
    def token_file(self) -> str:
        """The name of the file that keeps the token for this peer."""
        return _escaped(self.onion)


@record
class NetAddress:
    """An address on the network that the program git-annex-p2p-NETWORK leads to."""

    network: str
    address: str

    def __str__(self) -> str:
        return f"{_GENERIC}{self.place}"

    @property
    def place(self) -> str:
        """The address as the network's name and what the network understands."""
        return f"{self.network}:{self.address}"

    @property
    def program(self) -> str:
        """The name of the program that leads to the network."""
        return f"git-annex-p2p-{self.network}"

    @property
    def token_file(self) -> str:
        """The name of the file that keeps the token for this peer."""
        return _escaped(self.place)


P2PAddress = TorAddress | NetAddress


def parse_address(text: str) -> P2PAddress:
    """Read an address without a token. Raises ValueError."""
    scheme = next((scheme for scheme in SCHEMES if text.startswith(scheme)), None)
    if scheme is None:
        raise ValueError(f"{text} does not begin with {' or '.join(SCHEMES)}")
    host, _, rest = text.removeprefix(scheme).partition(":")
    if scheme == _GENERIC:
        if not host or not rest or "/" in host:
            raise ValueError(f"{text} is not like {_GENERIC}NETWORK:ADDRESS")
        return NetAddress(host, rest)
    port = int(rest) if rest.isascii() and rest.isdecimal() else 0
    if not host or not 0 < port < 1 << 16:
        raise ValueError(f"{text} is not like {_TOR}ONION:PORT")
    return TorAddress(host, port)


def parse_token(text: str) -> str:
    """Give a token as it is compared: in lower case. Raises ValueError for what is none."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("an authentication token has letters and digits only")
    return text.lower()


def parse_with_token(text: str) -> tuple[P2PAddress, str]:
    """Read an address with its token, as peers are given it. Raises ValueError."""
    address, separator, token = text.rpartition(":")
    if not separator or not token:
        raise ValueError("the address has no authentication token at its end")
    return parse_address(address), parse_token(token)


def _escaped(name: str) -> str:
    """Write all but letters and digits as %XX."""
    return "".join(one if one.isalnum() else _hex(one) for one in name)


def _hex(one: str) -> str:
    return "".join(f"%{byte:02X}" for byte in one.encode("utf-8", "surrogateescape"))
