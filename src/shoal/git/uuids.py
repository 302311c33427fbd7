"""New UUIDs."""

from __future__ import annotations

import os

from shoal.values.uuid import UUID


def new_uuid() -> UUID:
    """Give a random (version 4) UUID, as git-annex makes for a repository."""
    octets = bytearray(os.urandom(16))
    octets[6] = octets[6] & 0x0F | 0x40
    octets[8] = octets[8] & 0x3F | 0x80
    digits = octets.hex()
    return UUID("-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])))
