"""Keys, their file names and hash directories: vectors of `git annex examinekey`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoal.values.humansize import rough_size
from shoal.values.key import Key
from shoal.values.keypath import (
    hash_dir_lower,
    hash_dir_mixed,
    key_file,
    log_path,
    parse_key_file,
)

_FIXTURE = Path(__file__).parents[1] / "fixtures" / "on-disk" / "keys.json"
_VECTORS = json.loads(_FIXTURE.read_text())


def _number(text: str) -> int | None:
    return None if text == "unknown" else int(text)


@pytest.mark.parametrize("vector", _VECTORS["keys"], ids=lambda vector: vector["input"])
def test_a_key_is_where_the_real_program_puts_it(vector: dict[str, Any]) -> None:
    # examinekey --batch takes what follows a space as the name of a file.
    text = vector["input"].removesuffix(f" {vector.get('file')}")
    key = Key.parse(text.encode())
    assert str(key) == vector["key"]
    assert key.backend.decode() == vector["backend"]
    assert key.name.decode() == vector["keyname"]
    assert key.size == _number(vector["bytesize"])
    assert key.mtime == _number(vector["mtime"])
    assert hash_dir_lower(key) == vector["hashdirlower"]
    assert hash_dir_mixed(key) == vector["hashdirmixed"]
    assert key_file(key) == vector["keyfile"]
    assert parse_key_file(vector["keyfile"].encode()) == key
    path = f".git/annex/objects/{hash_dir_mixed(key)}{key_file(key)}/{key_file(key)}"
    assert path == vector["objectpath"]
    assert f"/annex/objects/{key_file(key)}\n" == vector["objectpointer"]
    assert log_path(key) == f"{vector['hashdirlower']}{vector['keyfile']}.log"
    if key.size is not None:
        assert rough_size(key.size) == vector["humansize"]


@pytest.mark.parametrize(
    "vector", _VECTORS["normalised_on_parse"], ids=lambda vector: vector["input"]
)
def test_leading_zeros_are_no_part_of_a_key(vector: dict[str, str]) -> None:
    assert bytes(Key.parse(vector["input"].encode())) == vector["key"].encode()
    assert Key.parse(vector["input"].encode()) == Key.parse(vector["key"].encode())


@pytest.mark.parametrize("text", _VECTORS["unparseable"])
def test_what_the_real_program_does_not_take_for_a_key_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        Key.parse(text.encode())
