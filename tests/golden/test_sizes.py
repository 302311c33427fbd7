"""Sizes with units: vectors of `git annex maxsize --bytes`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoal.values.size import parse_size

_FIXTURE = Path(__file__).parents[1] / "fixtures" / "preferred-content" / "size-units.json"
_VECTORS = json.loads(_FIXTURE.read_text())


@pytest.mark.parametrize("vector", _VECTORS, ids=lambda vector: repr(vector["input"]))
def test_a_size_means_what_the_real_program_takes_it_for(vector: dict[str, Any]) -> None:
    if vector["ok"]:
        assert parse_size(vector["input"]) == vector["bytes"]
    else:
        with pytest.raises(ValueError, match="not a"):
            parse_size(vector["input"])
