"""Base64 as git-annex reads it in logs: what follows the padding does not matter."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode

_DIGIT = rb"[A-Za-z0-9+/]"
_ENCODED = re.compile(rb"(?:%b{4})*(?:%b{2}==|%b{3}=|\Z)" % ((_DIGIT,) * 3))

encode_base64 = b64encode
"""Give the base64 form: standard digits, padded, without line breaks."""


def decode_base64(text: bytes) -> bytes:
    """Give the bytes that `text` stands for. Raises ValueError.

    The text must be padded; anything after the padding is ignored, and so are bits of the last
    digit that stand for nothing (verified with git-annex 10.20261026).
    """
    found = _ENCODED.match(text)
    if found is None:
        raise ValueError(f"not base64: {text[:80]!r}")
    return b64decode(found[0])
