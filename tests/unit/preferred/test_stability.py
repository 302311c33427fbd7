"""Which expressions are thrown away for contradicting themselves."""

from __future__ import annotations

import pytest

from shoal.preferred.parse import parse
from shoal.preferred.stability import unstable_terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("present", ()),
        ("not present", ("present",)),
        ("not not present", ()),
        ("not (anything and not present)", ()),
        ("not balanced=g or anything", ("balanced=g",)),
        ("not (present or sizebalanced=g)", ("present", "sizebalanced=g")),
        ("not fullybalanced=g", ()),
        ("anything or not copies=1", ()),
    ],
)
def test_unstable_terms(text: str, expected: tuple[str, ...]) -> None:
    assert unstable_terms(parse(text)) == expected
