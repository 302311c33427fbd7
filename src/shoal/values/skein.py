"""Skein-256-256 and Skein-512-512 in pure Python: no library that Python comes with has them.

Source: "The Skein Hash Function Family", version 1.3. Slow (half a megabyte per second): for
verifying existing keys, not for making many new ones.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

_MASK = (1 << 64) - 1
_C240 = 0x1BD11BDAA9FC1A22
_FIRST, _FINAL = 1 << 62, 1 << 63
_TYPE_CONFIG, _TYPE_MESSAGE, _TYPE_OUTPUT = 4 << 56, 48 << 56, 63 << 56
_ROTATIONS: dict[int, Sequence[Sequence[int]]] = {
    4: ((14, 16), (52, 57), (23, 40), (5, 37), (25, 33), (46, 12), (58, 22), (32, 32)),
    8: (
        (46, 36, 19, 37),
        (33, 27, 14, 42),
        (17, 49, 36, 39),
        (44, 9, 54, 56),
        (39, 30, 34, 24),
        (13, 50, 10, 17),
        (25, 29, 39, 43),
        (8, 35, 56, 22),
    ),
}
_PERMUTATIONS: dict[int, Sequence[int]] = {4: (0, 3, 2, 1), 8: (2, 1, 4, 7, 6, 5, 0, 3)}
_ROUNDS = 72

_Words = tuple[int, ...]
_Block = Callable[[_Words, int, int, _Words], _Words]


def _encrypt(key: _Words, tweak0: int, tweak1: int, block: _Words) -> _Words:
    """Threefish: encrypt one block of 4 or 8 words."""
    count = len(key)
    rotations, permutation = _ROTATIONS[count], _PERMUTATIONS[count]
    last = _C240
    for word in key:
        last ^= word
    keys = (*key, last)
    tweaks = (tweak0, tweak1, tweak0 ^ tweak1)
    state = list(block)
    for round_ in range(_ROUNDS):
        if round_ % 4 == 0:
            _add_subkey(state, keys, tweaks, round_ // 4)
        for pair, by in enumerate(rotations[round_ % 8]):
            left, right = state[2 * pair], state[2 * pair + 1]
            left = (left + right) & _MASK
            state[2 * pair] = left
            state[2 * pair + 1] = (((right << by) | (right >> (64 - by))) & _MASK) ^ left
        state = [state[word] for word in permutation]
    _add_subkey(state, keys, tweaks, _ROUNDS // 4)
    return tuple(state)


def _add_subkey(state: list[int], keys: _Words, tweaks: _Words, number: int) -> None:
    count = len(state)
    for word in range(count):
        added = state[word] + keys[(number + word) % (count + 1)]
        if word == count - 3:
            added += tweaks[number % 3]
        elif word == count - 2:
            added += tweaks[(number + 1) % 3]
        elif word == count - 1:
            added += number
        state[word] = added & _MASK


class Skein:
    """A Skein checksum with as many bits of output as of state: 256 or 512."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._words = struct.Struct(f"<{bits // 64}Q")
        config = struct.pack("<4sHHQQQ", b"SHA3", 1, 0, bits, 0, 0).ljust(bits // 8, b"\0")
        start = (0,) * (bits // 64)
        self._chain = self._mix(start, 32, _TYPE_CONFIG | _FIRST | _FINAL, config)
        self._pending = b""
        self._done = 0
        self._flags = _TYPE_MESSAGE | _FIRST

    def _mix(self, chain: _Words, position: int, flags: int, block: bytes) -> _Words:
        plain = self._words.unpack(block)
        mixed = _encrypt(chain, position, flags, plain)
        return tuple(left ^ right for left, right in zip(mixed, plain, strict=True))

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take the next bytes. The last block waits: it is mixed in another way."""
        gathered = self._pending + bytes(data)
        size = self._bits // 8
        at = 0
        while len(gathered) - at > size:
            self._done += size
            self._chain = self._mix(self._chain, self._done, self._flags, gathered[at : at + size])
            self._flags = _TYPE_MESSAGE
            at += size
        self._pending = gathered[at:]

    def hexdigest(self) -> str:
        """Give the checksum of all bytes so far."""
        size = self._bits // 8
        position = self._done + len(self._pending)
        block = self._pending.ljust(size, b"\0")
        chain = self._mix(self._chain, position, self._flags | _FINAL, block)
        output = self._mix(chain, 8, _TYPE_OUTPUT | _FIRST | _FINAL, bytes(size))
        return self._words.pack(*output).hex()
