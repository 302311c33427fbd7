"""matchexpression asks for what it needs, and for nothing else. Verified with git-annex
10.20261026; tests/interop/side_by_side/matchexpression.txt has more."""

from __future__ import annotations

import pytest

from shoal.annex.expressions import Given, MissingData, compile_expression
from shoal.errors import ExpressionError
from shoal.values.key import Key
from tests.support.facts import HERE, DictFacts

KEY = Key.parse(b"SHA256E-s100--abc")


def _given(key: Key | None = None, file: str | None = None, size: int | None = None) -> Given:
    return Given(HERE, DictFacts(key, file, groups_of={HERE: {"g"}}), file, key, size)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("include=x", "file"), ("exclude=x", "file"), ("inpreferreddir", "file"),
        ("copies=0", "key"), ("present", "key"), ("unused", "key"), ("balanced=g", "key"),
        ("largerthan=1", "size"), ("smallerthan=1", "size"), ("inallgroup=g", "key"),
        ("nothing or include=x or copies=1", "file"), ("not copies=1 and include=x", "key"),
    ],
)  # fmt: skip
def test_what_is_missing(text: str, missing: str) -> None:
    with pytest.raises(MissingData, match=f"without {missing} data"):
        compile_expression(text).holds(_given())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("anything or include=x", True), ("nothing and copies=1", False), ("standard", True),
        ("inallgroup=nobody", True), ("onlyingroup=nobody", False), ("groupwanted", True),
    ],
)  # fmt: skip
def test_what_needs_nothing(text: str, expected: bool) -> None:
    assert compile_expression(text).holds(_given()) is expected


def test_a_keys_own_size_counts_more() -> None:
    larger = compile_expression("largerthan=10")
    assert larger.holds(_given(KEY, size=1))
    assert larger.holds(_given(Key.parse(b"URL--x"), size=20))
    assert not larger.holds(_given(size=10))


def test_largefiles() -> None:
    tree = compile_expression("mimetype=text/* and not mimeencoding=binary", largefiles=True)
    given = Given(HERE, DictFacts(), mime_type="text/plain", mime_encoding="utf-8")
    assert tree.holds(given)
    with pytest.raises(MissingData, match="mimetype"):
        tree.holds(_given())
    with pytest.raises(ExpressionError, match='near "copies=1" Parse failure: near "present"'):
        compile_expression("copies=1 or present", largefiles=True)
    with pytest.raises(ExpressionError, match='near "mimetype=x"'):
        compile_expression("mimetype=x")


def test_endless_expressions_are_refused() -> None:
    with pytest.raises(ExpressionError, match="words"):
        compile_expression("anything " * 401)
    assert compile_expression("anything " * 400).holds(_given())
