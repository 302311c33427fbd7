"""The grammar, beyond what the golden vectors show."""

from __future__ import annotations

import pytest

from shoal.errors import ExpressionError
from shoal.logs.trust import TrustLevel
from shoal.preferred.evaluate import Question, matches
from shoal.preferred.expr import (
    ANYWHERE,
    And,
    Balanced,
    Copies,
    Expr,
    LackingCopies,
    Metadata,
    Not,
    Or,
    Term,
    Test,
    Word,
)
from shoal.preferred.parse import parse
from tests.support.facts import HERE, DictFacts

YES = Term("anything", Word.ANYTHING)
NO = Term("nothing", Word.NOTHING)
KEEP = Term("present", Word.PRESENT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ANYWHERE),
        ("()", ANYWHERE),
        ("and and ( )", ANYWHERE),
        ("anything and nothing or present", Or(And(YES, NO), KEEP)),
        ("anything or nothing and present", And(Or(YES, NO), KEEP)),
        ("not anything and nothing", And(Not(YES), NO)),
        ("not not anything", Not(Not(YES))),
        ("anything nothing", And(YES, NO)),
        ("anything not nothing", And(YES, Not(NO))),
        ("anything (nothing or present)", And(YES, Or(NO, KEEP))),
        ("or anything", Or(ANYWHERE, YES)),
        ("anything or", Or(YES, ANYWHERE)),
        ("not", Not(ANYWHERE)),
        ("anything ( or nothing )", And(YES, Or(ANYWHERE, NO))),
        ("( anything or nothing", Or(YES, NO)),
        ("anything ) or nothing", Or(YES, NO)),
    ],
)
def test_trees(text: str, expected: Expr) -> None:
    assert parse(text) == expected


def test_a_group_inside_a_group_goes_on_from_its_left_neighbour() -> None:
    """Verified: `(a* (b* or c*))` matches c1, `a* (b* or c*)` does not."""
    assert parse("(anything (nothing or present))") == Or(And(YES, NO), KEEP)


def test_two_empty_groups_are_not_an_empty_expression() -> None:
    """Verified: `( and ) ( and )` wants everything, `and and` is as if nothing was set."""
    assert parse("( and ) ( and )") == And(ANYWHERE, ANYWHERE)


def test_every_bad_word_is_named() -> None:
    with pytest.raises(ExpressionError) as failure:
        parse("include=y(2).dat copies=x")
    assert str(failure.value) == (
        'Parse failure: near "2" Parse failure: near ".dat" Parse failure: bad number for copies'
    )


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("copies=2", Copies(2)),
        ("copies=trusted+:2", Copies(2, trust=TrustLevel.TRUSTED, or_better=True)),
        ("copies=dead:0x10", Copies(16, trust=TrustLevel.DEAD)),
        ("copies=archive:1", Copies(1, group="archive")),
        ("lackingcopies=trusted:1", LackingCopies(1, group="trusted")),
        ("approxlackingcopies=1", LackingCopies(1, approximate=True)),
        ("metadata=a.b<=3", Metadata("a.b", "<=", "3")),
        ("metadata=tag", Metadata("tag", "=", "")),
        ("copies=1:2:3", Copies(1)),
        ("copies==2", Copies(2)),
        ("copies=trusted=2", Copies(2, group="trusted")),
        ("copies=x=1:2", Copies(2, group="x=1")),
        ("lackingcopies=x=2", LackingCopies(2, False, "x")),
        ("lackingcopies=2:2:", LackingCopies(2, False, None)),
        ("balanced=g:2", Balanced("g", 2, False, Copies(2, group="g"))),
        ("sizebalanced=g:lackingcopies", Balanced("g", None, True, LackingCopies(1))),
        ("fullybalanced=g", Balanced("g", 1, False, None)),
        ("fullysizebalanced", Balanced("", 1, True, None)),
    ],
)
def test_terms(word: str, expected: Test) -> None:
    assert parse(word) == Term(word, expected)


def test_a_long_expression_is_not_a_deep_one() -> None:
    expr = parse(" or ".join(["nothing"] * 5000 + ["anything"]))
    assert matches(expr, Question(HERE, DictFacts()))


@pytest.mark.parametrize("text", ["(" * 5000 + "anything", "not " * 5000, "and " * 5000])
def test_nesting_without_end_is_an_error(text: str) -> None:
    with pytest.raises(ExpressionError, match="nested"):
        parse(text)
