"""Making keys from contents and names: vectors of `git annex calckey` and `git annex add`."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from shoal.values.backend import (
    BACKENDS,
    checksum_in,
    hash_name,
    hasher,
    key_for,
    verifier,
)
from shoal.values.extension import select_extension
from shoal.values.key import Key, has_extension
from shoal.values.keynames import worm_key

_FIXTURE = Path(__file__).parents[1] / "fixtures" / "on-disk" / "calckey.json"
_VECTORS = json.loads(_FIXTURE.read_text())


def _content(vector: dict[str, Any]) -> bytes:
    if vector["content"] is None:
        return base64.b64decode(vector["content_base64"])
    assert vector["content"] == "bytes(0..255) repeated 4 times"
    return bytes(range(256)) * 4


def _label(vector: dict[str, Any]) -> str:
    return f"{vector['backend']}-{vector['filename']}"


@pytest.mark.parametrize("vector", _VECTORS["by_backend"], ids=_label)
def test_a_content_has_the_key_that_the_real_program_gives_it(vector: dict[str, Any]) -> None:
    content, backend = _content(vector), vector["backend"].encode()
    key = Key.parse(vector["key"].encode())
    if hash_name(backend) is not None:
        checksum = hasher(backend)
        checksum.update(content)
        extension = select_extension(vector["filename"].encode())
        assert key_for(backend, checksum.hexdigest(), len(content), extension) == key
    else:
        assert backend == b"WORM"
        assert worm_key(vector["filename"].encode(), len(content), vector["mtime"]) == key


@pytest.mark.parametrize("vector", _VECTORS["by_backend"], ids=_label)
def test_a_content_is_verified_whatever_pieces_it_comes_in(vector: dict[str, Any]) -> None:
    content, key = _content(vector), Key.parse(vector["key"].encode())
    whole, pieces, longer = verifier(key), verifier(key), verifier(key)
    assert whole is not None
    assert pieces is not None
    assert longer is not None
    whole.update(content)
    for at in range(0, len(content), 7):
        pieces.update(memoryview(content)[at : at + 7])
    longer.update(content + b"x")
    assert whole.matches()
    assert pieces.matches()
    assert not longer.matches()


@pytest.mark.parametrize("vector", _VECTORS["by_backend"], ids=_label)
def test_wrong_bytes_of_the_right_length_are_not_the_content(vector: dict[str, Any]) -> None:
    content, key = _content(vector), Key.parse(vector["key"].encode())
    if not content or checksum_in(key) is None:
        return
    checking = verifier(key)
    assert checking is not None
    checking.update(bytes([content[0] ^ 1]) + content[1:])
    assert not checking.matches()


def test_all_backends_of_the_real_program_are_there() -> None:
    made = {vector["backend"].encode() for vector in _VECTORS["by_backend"]}
    assert made - {b"WORM"} == {name for name in BACKENDS if hash_name(name)}
    assert all(has_extension(name) == name.endswith(b"E") for name in made)


@pytest.mark.parametrize(
    "vector", _VECTORS["extensions"], ids=lambda v: f"{v['filename']}-{v['config']}"
)
def test_the_extension_is_the_one_that_the_real_program_selects(vector: dict[str, Any]) -> None:
    config = vector["config"]
    extension = select_extension(
        vector["filename"].encode(),
        config.get("annex.maxextensionlength", 4),
        config.get("annex.maxextensions", 2),
    )
    assert extension.decode() == vector["extension"]


@pytest.mark.parametrize("vector", _VECTORS["worm"], ids=lambda vector: vector["filename"])
def test_worm_keys_are_named_as_by_the_real_program(vector: dict[str, Any]) -> None:
    key = worm_key(vector["filename"].encode(), vector["size"], vector["mtime"])
    assert str(key) == vector["key"]
