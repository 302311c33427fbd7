"""BLAKE2bp and BLAKE2sp: the tree forms of BLAKE2.

The input is dealt out to the leaves block by block, round and round; the root hashes the
leaves' checksums, which are as long as BLAKE2 can make them, whatever the length of the end
result. Source: the BLAKE2 paper, section 2.10, and golden vectors of git-annex 10.20261026.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol


class _Hash(Protocol):
    """What hashlib's objects do, as far as it is needed."""

    def update(self, data: bytes, /) -> object: ...
    def digest(self) -> bytes: ...
    def copy(self) -> _Hash: ...


class ParallelBlake2:
    """BLAKE2bp (4 leaves of 128 byte blocks) or BLAKE2sp (8 leaves of 64 byte blocks)."""

    def __init__(self, name: str, digest_size: int) -> None:
        self._wide = name == "blake2b"
        self._digest_size = digest_size
        self._fanout = 4 if self._wide else 8
        self._block = 128 if self._wide else 64
        self._leaves = [self._leaf(number) for number in range(self._fanout)]
        self._pending = b""

    def _leaf(self, number: int) -> _Hash:
        inner_size = 64 if self._wide else 32
        if self._digest_size != inner_size:
            # hashlib cuts a leaf's checksum to the length in its parameters: so not with it.
            from shoal.values.blake2s import Blake2sLeaf

            return Blake2sLeaf(self._digest_size, self._fanout, number)
        return self._hashlib(node_offset=number, last_node=number == self._fanout - 1)

    def _hashlib(self, node_offset: int = 0, node_depth: int = 0, last_node: bool = True) -> _Hash:
        make = hashlib.blake2b if self._wide else hashlib.blake2s
        return make(
            digest_size=self._digest_size,
            fanout=self._fanout,
            depth=2,
            inner_size=64 if self._wide else 32,
            node_offset=node_offset,
            node_depth=node_depth,
            last_node=last_node,
            usedforsecurity=False,
        )

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take the next bytes. Whole stripes (one block for each leaf) are dealt out at once."""
        gathered = self._pending + bytes(data)
        stripe = self._block * self._fanout
        whole = len(gathered) - len(gathered) % stripe
        self._pending = gathered[whole:]
        if whole:
            _deal(self._leaves, memoryview(gathered)[:whole], self._block)

    def hexdigest(self) -> str:
        """Give the checksum of all bytes so far."""
        leaves = [leaf.copy() for leaf in self._leaves]
        _deal(leaves, memoryview(self._pending), self._block)
        root = self._hashlib(node_depth=1)
        for leaf in leaves:
            root.update(leaf.digest())
        return root.digest().hex()


def _deal(leaves: Sequence[_Hash], data: memoryview, block: int) -> None:
    stripe = block * len(leaves)
    for number, leaf in enumerate(leaves):
        leaf.update(
            b"".join(data[at : at + block] for at in range(number * block, len(data), stripe))
        )
