"""BLAKE2bp and BLAKE2sp: the tree forms of BLAKE2, from hashlib's own tree parameters.

The input is dealt out to the leaves block by block, round and round; the root hashes the
leaves' checksums. Source: the BLAKE2 paper, section 2.10 (and golden vectors of git-annex).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

_Leaf = hashlib.blake2b | hashlib.blake2s


class ParallelBlake2:
    """BLAKE2bp (4 leaves of 128 byte blocks) or BLAKE2sp (8 leaves of 64 byte blocks)."""

    def __init__(self, name: str, digest_size: int) -> None:
        wide = name == "blake2b"
        self._make = hashlib.blake2b if wide else hashlib.blake2s
        self._inner_size = 64 if wide else 32
        self._leaves_number = 4 if wide else 8
        self._block = 128 if wide else 64
        self._digest_size = digest_size
        self._leaves = [
            self._make(
                digest_size=digest_size,
                fanout=self._leaves_number,
                depth=2,
                inner_size=self._inner_size,
                node_offset=number,
                last_node=number == self._leaves_number - 1,
                usedforsecurity=False,
            )
            for number in range(self._leaves_number)
        ]
        self._pending = b""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take the next bytes. Whole stripes (one block for each leaf) are dealt out at once."""
        gathered = self._pending + bytes(data)
        stripe = self._block * self._leaves_number
        whole = len(gathered) - len(gathered) % stripe
        self._pending = gathered[whole:]
        if whole:
            _deal(self._leaves, memoryview(gathered)[:whole], self._block)

    def hexdigest(self) -> str:
        """Give the checksum of all bytes so far."""
        leaves = [leaf.copy() for leaf in self._leaves]
        _deal(leaves, memoryview(self._pending), self._block)
        root = self._make(
            digest_size=self._digest_size,
            fanout=self._leaves_number,
            depth=2,
            inner_size=self._inner_size,
            node_depth=1,
            last_node=True,
            usedforsecurity=False,
        )
        for leaf in leaves:
            root.update(leaf.digest())
        return root.hexdigest()


def _deal(leaves: Sequence[_Leaf], data: memoryview, block: int) -> None:
    stripe = block * len(leaves)
    for number, leaf in enumerate(leaves):
        own = b"".join(data[at : at + block] for at in range(number * block, len(data), stripe))
        leaf.update(own)
