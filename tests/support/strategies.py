"""Made-up values for property tests: keys, clocks, UUIDs, and bytes that mean harm."""

from __future__ import annotations

from hypothesis import strategies as st

from shoal.values.clock import SECOND, Clock
from shoal.values.key import Key, extension_of, has_extension
from shoal.values.uuid import UUID

_NUMBERS = st.none() | st.integers(0, 10**25)
_PIECES = [
    b" ", b"  ", b"\n", b"\r", b"\t", b"\0", b"\xff", b"-", b"--", b"-s", b"-m5", b"-S", b"-C1",
    b"%", b"&", b"&a", b"&s", b"/", b":", b"..", b"5s", b"0100.50s", b"-0.5", b"9" * 40, b"1", b"0",
    b"X", b"timestamp=", b" timestamp=5s", b"SHA256E", b"WORM", b"a=b", b"&32;", b"+a", b"-a", b"!",
    b"YQ==", b"fromList [", b"]", b",", b"; ", b"Fsck", b"0x", b"(", b")", b"1.5", b"1e3", b"kb",
    "é".encode(), "\u00a0".encode(), "٣".encode(), b"acaaaaaa-1111-8111-8111-111111111111",
    b"11111111-1111-4111-8111-111111111111",
]  # fmt: skip

hostile_bytes = st.one_of(
    st.binary(max_size=60), st.lists(st.sampled_from(_PIECES), max_size=16).map(b"".join)
)
"""Any bytes, and such as are made of what logs and keys are made of, in the wrong order."""

clocks = st.one_of(
    st.integers(-(10**6), 10**11).map(lambda seconds: Clock(seconds * SECOND)),
    st.integers(-(10**24), 10**26).map(Clock),
)

_WORD = st.binary(min_size=1, max_size=8).filter(lambda raw: not set(raw) & set(b" \r\n"))
uuids = st.one_of(
    st.integers(0, 5).map(lambda n: UUID(f"{n}0000000-0000-4000-8000-000000000000")),
    _WORD.map(lambda raw: UUID(raw.decode("utf-8", "surrogateescape"))),
)
"""UUIDs; a few of them often, so that logs speak of the same one more than once."""

lines = st.binary(max_size=12).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b""))
"""Any bytes without a line end."""


def _is_valid(key: Key) -> bool:
    return not has_extension(key.backend) or len(extension_of(key.name)) <= 64


_names = st.binary(max_size=70).filter(lambda raw: not set(raw) & set(b"\n\0"))
_backends = st.one_of(
    st.sampled_from([b"SHA256E", b"SHA256", b"WORM", b"URL", b"MD5E", b"XFOOE"]),
    st.binary(min_size=1, max_size=6).filter(lambda raw: not set(raw) & set(b"\n\0-")),
)
keys = st.builds(Key, _backends, _names, _NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS).filter(_is_valid)
