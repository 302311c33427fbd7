"""Words and quoting."""

from __future__ import annotations

import pytest

from shoal.preferred.lexer import quoted, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" a\tb\u3000c\u00a0d ", ["a", "b", "c", "d"]),
        ("include=y(2).dat", ["include=y", "(", "2", ")", ".dat"]),
        ("a\x1cb\u2028c", ["a\x1cb\u2028c"]),  # white space for Python, not for Haskell
        ("(a)or(b)", ["(", "a", ")", "or", "(", "b", ")"]),
    ],
)
def test_words_end_at_white_space_and_parentheses(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bogus=1", '"bogus=1"'),
        ('say "hi"\\', r'"say \"hi\"\\"'),
        ("日本", r'"\26085\26412"'),
        ("日1", r'"\26085\&1"'),
        ("\x0eH\x0f\x7f\x1b", r'"\SO\&H\SI\DEL\ESC"'),
    ],
)
def test_quoting_is_that_of_the_real_messages(text: str, expected: str) -> None:
    assert quoted(text) == expected
