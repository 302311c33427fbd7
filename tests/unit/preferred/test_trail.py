"""An explanation in one line. What is expected here was printed by git-annex 10.20261026:
`git annex matchexpression --explain EXPRESSION --file=x --key=WORM--x`, with T for
`anything[TRUE]` and F for `nothing[FALSE]`."""

from __future__ import annotations

import pytest

from shoal.preferred.evaluate import Question
from shoal.preferred.explain import explain, step_through
from shoal.preferred.parse import parse
from shoal.preferred.policy import Policy
from shoal.preferred.trail import sentence, trail
from shoal.values.key import Key
from tests.support.facts import HERE, DictFacts

KEY = Key.parse(b"WORM--x")
SHOWN = {
    "T and T": "T and T",
    "T and T and T": "T and T and T",
    "T and T and F and T": "( T and T and F )",
    "F and T and T": "( F )",
    "T and T and T and T and T": "( T and T and T and T ) and T",
    "T and T and T and T and T and T": "( ( T and T and T ) and T and T ) and T",
    "F or T and T": "( F or T ) and T",
    "F or F or T": "F or F or T",
    "F and T or T": "( F ) or T",
    "T and (T or F) and T": "( T and T ) and T",
    "T and (F or F) or F or F": "( T and F or F or F ) or F",
    "(F or T) and (F or T) and (T or F)": "( F or T and ( F or T ) ) and T",
    "F or (F or (F or F))": "F or ( F or ( F or F ) )",
    "not not T": "not not T",
    "not not not T": "not ( not not T )",
    "T and not not T": "T and ( not not T )",
    "not T or not T": "not T or not T",
    "not (not (T or F))": "not ( not ( T ) )",
    "not (F or F) and not (F or F)": "( not ( F or F ) ) and ( not ( F or F ) )",
    "(T or F) and (T or F)": "( T ) and T",
    "not": "not",
    "T and not": "T and ( not )",
    "or F and T": "( ) and T",
    "not (or F)": "not ( )",
}


@pytest.mark.parametrize("text", SHOWN)
def test_the_parentheses_are_those_of_the_real_program(text: str) -> None:
    expr = parse(text.replace("T", "anything").replace("F", "nothing"))
    question = Question(HERE, DictFacts(key=KEY, file="x"))
    expected = SHOWN[text].replace("T", "anything[TRUE]").replace("F", "nothing[FALSE]")
    assert trail(step_through(expr, question)) == expected
    assert trail(step_through(expr, question, everything=True)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("include", "include=[FALSE]"),
        ("lackingcopies=g:01", "lackingcopies[TRUE]"),
        ("approxlackingcopies=2", "approxlackingcopies[FALSE]"),
        ("largerthan=1kb", "largerthan=1kb[FALSE]"),
        ("metadata=a<=3", "metadata=a<=3[FALSE]"),
        ("balanced", "balanced=[FALSE]"),
    ],
)
def test_what_terms_are_called(text: str, expected: str) -> None:
    question = Question(HERE, DictFacts(key=KEY, file="x"))
    assert trail(step_through(parse(text), question)) == expected


def test_sentences() -> None:
    text = "include=a* and (not present or not balanced=x)"
    facts = DictFacts(key=KEY, file="a.txt", wanted_texts={HERE: text})
    explanation = explain(Policy.of(HERE, facts), facts, default=False)
    assert sentence(explanation, "preferred content", "a.txt") == (
        "a.txt matches preferred content: include=a*[TRUE] and ( not present[FALSE] ), but that "
        "expression is not stable due to negated use of balanced=x present, so will not be used"
    )
    again = "not sizebalanced=x and not present and not sizebalanced=x and not balanced"
    facts = DictFacts(key=KEY, file="a.txt", wanted_texts={HERE: again})
    explanation = explain(Policy.of(HERE, facts), facts, default=False)
    assert "use of balanced= sizebalanced=x present, so" in sentence(explanation, "p", "a.txt")
    stable = DictFacts(key=KEY, file="a.txt", required_texts={HERE: "include=a*"})
    explanation = explain(Policy.of(HERE, stable), stable, default=False, required=True)
    assert sentence(explanation, "required content", "a.txt") == (
        "a.txt matches required content: include=a*[TRUE]"
    )
