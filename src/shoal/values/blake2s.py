"""A leaf of BLAKE2sp in pure Python, for the one backend that hashlib cannot serve.

BLAKE2SP224 needs leaves whose parameters say 28 bytes but which give 32. Source: RFC 7693.
Slow (well below a megabyte per second): for verifying existing keys.
"""

from __future__ import annotations

import struct

_IV = (
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
)  # fmt: skip
_SIGMA = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
_COLUMNS_AND_DIAGONALS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip
_MASK = 0xFFFFFFFF
_BLOCK = 64
_WORDS = struct.Struct("<16I")


class Blake2sLeaf:
    """Leaf `number` of a tree with `fanout` leaves; its checksum has 32 bytes."""

    def __init__(self, digest_size: int, fanout: int, number: int) -> None:
        parameters = struct.pack(
            "<BBBBIIHBB16x", digest_size, 0, fanout, 2, 0, number, 0, 0, 32
        )  # depth 2, leaves of any length, node depth 0, inner length 32
        words = struct.unpack("<8I", parameters)
        self._state = tuple(iv ^ word for iv, word in zip(_IV, words, strict=True))
        self._is_last_node = number == fanout - 1
        self._done = 0
        self._pending = b""

    def copy(self) -> Blake2sLeaf:
        """Give an independent copy."""
        other = object.__new__(Blake2sLeaf)
        other._state, other._is_last_node = self._state, self._is_last_node
        other._done, other._pending = self._done, self._pending
        return other

    def update(self, data: bytes, /) -> None:
        """Take the next bytes. The last block waits: it is compressed in another way."""
        gathered = self._pending + data
        at = 0
        while len(gathered) - at > _BLOCK:
            self._done += _BLOCK
            self._state = self._compress(gathered[at : at + _BLOCK], self._done, 0, 0)
            at += _BLOCK
        self._pending = gathered[at:]

    def digest(self) -> bytes:
        """Give the checksum of all bytes so far."""
        block = self._pending.ljust(_BLOCK, b"\0")
        last_node = _MASK if self._is_last_node else 0
        state = self._compress(block, self._done + len(self._pending), _MASK, last_node)
        return struct.pack("<8I", *state)

    def _compress(self, block: bytes, count: int, last: int, last_node: int) -> tuple[int, ...]:
        words = _WORDS.unpack(block)
        v = [*self._state, *_IV]
        v[12] ^= count & _MASK
        v[13] ^= count >> 32
        v[14] ^= last
        v[15] ^= last_node
        for sigma in _SIGMA:
            for number, (a, b, c, d) in enumerate(_COLUMNS_AND_DIAGONALS):
                x, y = words[sigma[2 * number]], words[sigma[2 * number + 1]]
                va, vb, vc, vd = v[a], v[b], v[c], v[d]
                va = (va + vb + x) & _MASK
                vd ^= va
                vd = (vd >> 16 | vd << 16) & _MASK
                vc = (vc + vd) & _MASK
                vb ^= vc
                vb = (vb >> 12 | vb << 20) & _MASK
                va = (va + vb + y) & _MASK
                vd ^= va
                vd = (vd >> 8 | vd << 24) & _MASK
                vc = (vc + vd) & _MASK
                vb ^= vc
                v[a], v[b], v[c], v[d] = va, (vb >> 7 | vb << 25) & _MASK, vc, vd
        return tuple(old ^ v[i] ^ v[i + 8] for i, old in enumerate(self._state))
