"""Which texts are pointers, as the real git-annex says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

import pytest

from shoal.git.pointers import (
    MAX_POINTER,
    AppendedPointer,
    format_pointer,
    parse_pointer,
    pointed_key,
)
from shoal.values.key import Key


class Case(TypedDict, total=False):
    """One case of the golden data."""

    case: str
    content: str | None
    length: int
    key: str | None


_FIXTURES = Path(__file__).parent.parent / "fixtures" / "on-disk"
_CASES: list[Case] = json.loads((_FIXTURES / "pointers.json").read_text())["cases"]
_FIRST = b"/annex/objects/MD5-s0--d41d8cd98f00b204e9800998ecf8427e\n"


def _content(case: Case) -> bytes:
    content = case["content"]
    if content is not None:
        return content.encode()
    filling = b"x" * (case["length"] - len(_FIRST) - len(b"/annex/") - 1)
    return _FIRST + b"/annex/" + filling + b"\n"


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case["case"])
def test_a_key_is_found_where_the_real_program_finds_it(case: Case) -> None:
    content = _content(case)
    assert len(content) == case.get("length", len(content))
    expected = case["key"]
    found = pointed_key(content[: MAX_POINTER + 1])
    # The golden data were stripped of a space at the end, which is part of the key.
    assert (None if found is None else str(found).rstrip()) == expected


def test_every_key_of_the_golden_data_comes_back() -> None:
    data = json.loads((_FIXTURES / "keys.json").read_text())
    pointers = data["keys"]
    assert pointers
    for case in pointers:
        key = Key.parse(case["key"].encode("utf-8", "surrogateescape"))
        assert parse_pointer(format_pointer(key)) == key
        assert format_pointer(key).decode("utf-8", "surrogateescape") == case["objectpointer"]


def test_an_appended_pointer_is_told_from_a_plain_file() -> None:
    with pytest.raises(AppendedPointer):
        parse_pointer(_FIRST + b"and more\n")
    assert parse_pointer(b"and more\n" + _FIRST) is None
