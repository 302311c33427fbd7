"""Merging files of the git-annex branch: vectors of `git annex merge` and `whereis`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoal.logs.location import present_uuids
from shoal.logs.merge import union_merge

_FIXTURE = Path(__file__).parents[1] / "fixtures" / "on-disk" / "branch-merge.json"
_VECTORS = json.loads(_FIXTURE.read_text())


@pytest.mark.parametrize("vector", _VECTORS["cases"], ids=lambda vector: vector["case"])
def test_two_versions_merge_as_in_the_real_program(vector: dict[str, Any]) -> None:
    ours, theirs = ((vector[side] or "").encode() for side in ("local", "remote"))
    assert union_merge(ours, theirs) == vector["merged"].encode()


@pytest.mark.parametrize(
    "vector",
    [vector for vector in _VECTORS["cases"] if "present_in" in vector],
    ids=lambda vector: vector["case"],
)
def test_the_merged_log_says_who_has_the_content(vector: dict[str, Any]) -> None:
    assert present_uuids(vector["merged"].encode()) == set(vector["present_in"])


def test_several_branches_are_merged_one_after_another() -> None:
    vector = _VECTORS["octopus"]
    merged = vector["local"].encode()
    for theirs in vector["remotes"]:
        merged = union_merge(merged, theirs.encode())
    assert merged == vector["merged"].encode()
