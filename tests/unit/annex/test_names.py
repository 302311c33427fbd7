"""Repositories are found by name, and shown, as git-annex 10.20261026 does."""

from __future__ import annotations

import pytest

from shoal.annex.names import Names
from shoal.errors import NoSuchRemote, ShoalError
from shoal.values.uuid import UUID

HERE, A, B, C, D = (UUID(word) for word in ("u-here", "u-a", "u-b", "u-c", "u-d"))
NAMES = Names(
    HERE,
    {HERE: "my repo", A: "a", B: "big disk", C: "twin", D: "twin", UUID("u-e"): ""},
    [("a", A), ("b", B), ("plain", None), ("new", UUID("u-new")), ("e", UUID("u-e"))],
)


@pytest.mark.parametrize(
    ("word", "uuid"),
    [
        ("here", HERE),
        (".", HERE),
        ("u-here", HERE),
        ("my repo", HERE),
        ("b", B),
        ("u-b", B),
        ("big disk", B),
        ("u-c", C),
        ("new", UUID("u-new")),
        ("u-new", UUID("u-new")),
    ],
)
def test_names(word: str, uuid: UUID) -> None:
    assert NAMES.uuid_of(word) == uuid


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("", "no repository name specified"),
        ("x", 'there is no available git remote named "x"'),
        ("plain", 'cannot determine uuid for plain (perhaps you need to run "git annex sync"?)'),
        (
            "twin",
            "found multiple repositories with that description (use the uuid instead to "
            "disambiguate)",
        ),
    ],
)
def test_what_is_no_name(word: str, message: str) -> None:
    with pytest.raises(ShoalError) as error:
        NAMES.uuid_of(word)
    assert str(error.value) == message


def test_an_unknown_name_is_no_such_remote() -> None:
    with pytest.raises(NoSuchRemote):
        NAMES.uuid_of("x")


@pytest.mark.parametrize(
    ("uuid", "line", "in_json"),
    [
        (HERE, "u-here -- my repo [here]", "my repo"),
        (A, "u-a -- [a]", "[a]"),
        (B, "u-b -- big disk [b]", "big disk [b]"),
        (C, "u-c -- twin", "twin"),
        (UUID("u-new"), "u-new -- new", "new"),
        (UUID("u-e"), "u-e -- [e]", "[e]"),
        (UUID("u-?"), "u-?", ""),
    ],
)
def test_what_is_shown(uuid: UUID, line: str, in_json: str) -> None:
    assert NAMES.line(uuid) == line
    assert NAMES.in_json(uuid) == in_json


def test_this_repository_without_description() -> None:
    names = Names(HERE, {HERE: ""}, [])
    assert names.line(HERE) == "u-here -- here"
    assert names.in_json(HERE) == ""


def test_of_two_remotes_with_one_uuid_the_later_is_shown() -> None:
    names = Names(HERE, {A: "x"}, [("origin", A), ("zz", A)])
    assert names.shown(A) == "x [zz]"
    assert names.uuid_of("origin") == A


def test_lines() -> None:
    assert NAMES.lines([A, C]) == "\tu-a -- [a]\n\tu-c -- twin\n"
