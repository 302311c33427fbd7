"""Which addresses may be connected to: annex.security.allowed-ip-addresses.

Without that setting only public addresses are: whoever can commit to a repository could
otherwise make it fetch from servers on a private network. Source: git-annex's man page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_EMBEDDING = (IPv6Network("::ffff:0:0:0/96"), IPv6Network("64:ff9b::/96"))
_WITH_PORT = re.compile(r"\[([^]]*)\]:(\d{1,5})", re.ASCII)

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class AllowedAddresses:
    """What may be connected to besides public addresses: everything, or (address, port) pairs
    where port None stands for every port."""

    everything: bool = False
    listed: frozenset[tuple[Address, int | None]] = frozenset()

    @classmethod
    def parse(cls, setting: str | None) -> AllowedAddresses:
        """Read the setting. Words that are no addresses allow nothing."""
        words = (setting or "").split()
        if words == ["all"]:
            return cls(everything=True)
        listed: set[tuple[Address, int | None]] = set()
        for word in words:
            found = _WITH_PORT.fullmatch(word)
            text, port = (found[1], int(found[2])) if found else (word, None)
            try:
                listed.add((ip_address(text), port))
            except ValueError:
                continue
        return cls(listed=frozenset(listed))

    def allow(self, host: str, port: int) -> bool:
        """Tell whether a connection to this numeric address may be made."""
        address = ip_address(host.partition("%")[0])
        if self.everything or (address, None) in self.listed or (address, port) in self.listed:
            return True
        return _is_public(address)


PUBLIC_ONLY = AllowedAddresses()


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped
        if inner is None and any(address in network for network in _EMBEDDING):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast
