"""Which contents a key accepts: checked against `git-annex-shell p2pstdio` of 10.20261026."""

from __future__ import annotations

import hashlib

import pytest

from shoal.values.backend import (
    checksum_in,
    hasher,
    is_secure,
    is_secure_key,
    key_for,
    verifier,
)
from shoal.values.key import Key

_CONTENT = b"hello"
_SHA256 = hashlib.sha256(_CONTENT).hexdigest().encode()
_UUID = b"5dcfcaf4-1046-4e48-a634-0341ea72e652"


def _accepts(key: bytes) -> bool | None:
    checking = verifier(Key.parse(key))
    if checking is None:
        return None
    checking.update(_CONTENT)
    return checking.matches()


@pytest.mark.parametrize(
    ("key", "accepted"),
    [
        (b"SHA256-s5--%s" % _SHA256, True),
        (b"SHA256-s9--%s" % _SHA256, True),  # the size of a hash key is not compared
        (b"SHA256-s5--%s" % _SHA256.upper(), False),
        (b"SHA256-s5--\\%s" % _SHA256, True),
        (b"SHA256-s5--\\\\%s" % _SHA256, False),
        (b"SHA256-s5--%s.txt" % _SHA256, True),
        (b"SHA256E-s5--%s.txt" % _SHA256, True),
        (b"SHA256E-s5--%s-txt" % _SHA256, False),
        (b"SHA256E-s5--%s " % _SHA256, False),
        (b"SHA256-s5-S5-C1--%s" % _SHA256, True),
        (b"SHA256-s5--", False),
        (b"WORM-s5--x", True),
        (b"WORM-s6--x", False),
        (b"WORM--x", None),
        (b"URL-s6--http://x/", False),
        (b"URL--http://x/", None),
        (b"FOO-s6--x", False),
        (b"FOO--x", None),
        (b"XFOO-s5--x", True),
        (b"XFOO-s6--x", False),
        (b"GITBUNDLE-s6--%s-%s" % (_UUID, _SHA256), True),
        (b"GITBUNDLE-s5--%s-%s" % (_UUID, b"0" * 64), False),
        (b"GITMANIFEST--%s" % _UUID, None),
        (b"GITMANIFEST-s9--%s" % _UUID, False),
        (b"VURL-s9--http://x/", False),
        (b"VURL-s5--http://x/", True),
        (b"VURL--http://x/", None),
    ],
)
def test_a_key_accepts_its_content_only(key: bytes, accepted: bool | None) -> None:
    assert _accepts(key) is accepted


def test_a_vurl_key_accepts_the_content_of_any_of_its_equivalent_keys() -> None:
    key = Key.parse(b"VURL--http://x/")
    right, wrong = Key(b"SHA256", _SHA256), Key(b"SHA256", b"0" * 64)
    for equivalents, accepted in (([wrong, right], True), ([wrong], False)):
        checking = verifier(key, equivalents)
        assert checking is not None
        checking.update(_CONTENT)
        assert checking.matches() is accepted


def test_only_hash_keys_can_vouch_for_a_vurl_key() -> None:
    """Neither a size nor another VURL key may let in a content that nobody has hashed."""
    key = Key.parse(b"VURL-s5--http://x/")
    checking = verifier(key, [Key.parse(b"WORM-s5--x")])
    assert checking is not None
    checking.update(_CONTENT)
    assert not checking.matches()
    by_size = verifier(key, [Key.parse(b"VURL-s1--http://y/")])
    assert by_size is not None
    by_size.update(_CONTENT)
    assert by_size.matches()


@pytest.mark.parametrize(
    ("backend", "secure"),
    [
        (b"SHA256E", True), (b"SHA3_512", True), (b"SKEIN256", True), (b"BLAKE2SP224E", True),
        (b"BLAKE3_256", True), (b"GITBUNDLE", True), (b"GITMANIFEST", False),
        (b"SHA1", False), (b"MD5E", False), (b"XXH3", False), (b"WORM", False), (b"URL", False),
        (b"XFOO", False), (b"FOO", False), (b"SHA256EE", False),
    ],
)  # fmt: skip
def test_which_backends_are_secure(backend: bytes, secure: bool) -> None:
    assert is_secure(backend) is secure
    assert is_secure_key(Key(backend, b"x")) is secure


def test_a_vurl_key_is_secure_as_long_as_no_equivalent_key_is_insecure() -> None:
    key = Key.parse(b"VURL--http://x/")
    assert not is_secure(b"VURL")
    assert is_secure_key(key)
    assert is_secure_key(key, [Key(b"SHA256", b"x")])
    assert not is_secure_key(key, [Key(b"MD5", b"x"), Key(b"SHA256", b"x")])


def test_a_backend_without_checksum_has_no_hasher() -> None:
    with pytest.raises(ValueError, match="WORM"):
        hasher(b"WORM")
    assert checksum_in(Key(b"WORM", b"x")) is None


def test_a_key_is_made_of_checksum_size_and_extension() -> None:
    assert bytes(key_for(b"SHA256E", "00", 5, b".txt")) == b"SHA256E-s5--00.txt"
    assert bytes(key_for(b"SHA256", "00", 5, b".txt")) == b"SHA256-s5--00"


@pytest.mark.parametrize("backend", [b"SKEIN256", b"SKEIN512", b"BLAKE2SP224", b"BLAKE2BP512"])
def test_our_own_hashes_take_any_pieces(backend: bytes) -> None:
    content = bytes(range(256)) * 9
    whole = hasher(backend)
    whole.update(content)
    for step in (1, 31, 64, 127, 512, 600):
        pieces = hasher(backend)
        for at in range(0, len(content), step):
            pieces.update(content[at : at + step])
            if at == step * 3:
                pieces.hexdigest()  # looking must not change anything
        assert pieces.hexdigest() == whole.hexdigest()
