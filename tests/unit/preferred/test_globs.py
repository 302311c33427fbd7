"""Globs: each example was seen with git-annex 10.20261026 (`git annex matchexpression`)."""

from __future__ import annotations

import pytest

from shoal.preferred.globs import glob_matches, is_valid_glob


@pytest.mark.parametrize(
    ("glob", "name", "expected"),
    [
        ("*", ".hidden/x", True),
        ("archive/*", "archive/a/b", True),
        ("archive/*", "sub/archive/b", False),
        ("a/b", "a//b", True),
        ("a//b", "a/b", False),
        ("a\\b", "a\\\\b", True),
        ("日?.md", "日本.md", True),
        ("it's.txt", "it's.txt", False),
        ("*'*", "anything", True),
        ("a<b", "a<b", False),
        ("new", "new\nline.mp3", True),
        ("line.mp3", "new\nline.mp3", True),
        ("new*.mp3", "new\nline.mp3", False),
        ("[]a]*", "a1", True),
        ("[]a]*", "\\1", True),
        ("a[]*]", "a]", True),
        ("a[a-c-e]", "a-", True),
        ("a[a-c-e]", "ad", False),
        ("[--z]", ".", True),
        ("[]-a]", ".", False),
        ("[[=a=]]b", "ab", True),
        ("[[.a.]]b", "ab", False),
        ("x[[:upper:]]P", "xUP", True),
        ("[[:foo:]]*", "f", False),
        ("[!a]", "\n", False),
        ("a.b", "axb", False),
    ],
)
def test_matching(glob: str, name: str, expected: bool) -> None:
    assert glob_matches(glob, name) is expected


@pytest.mark.parametrize("glob", ["[", "[a", "[]", "[!]", "[^]", "[z-a]", "a[a--]", "\\[*"])
def test_a_glob_that_makes_no_expression_matches_nothing(glob: str) -> None:
    assert not is_valid_glob(glob)
    assert not glob_matches(glob, "a")


def test_metadata_globs_ignore_case_and_give_slashes_no_meaning() -> None:
    assert glob_matches("w*/X", "Work/x", ignore_case=True, file=False)
    assert not glob_matches("a/b", "a//b", file=False)


def test_many_stars_take_no_exponential_time() -> None:
    assert not glob_matches("*a" * 60 + "b", "a" * 4000)
