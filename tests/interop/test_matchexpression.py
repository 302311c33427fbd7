"""Random expressions and globs mean what they mean to the real program."""

from __future__ import annotations

import random

import pytest

from shoal.errors import ExpressionError
from shoal.preferred.evaluate import Question, matches
from shoal.preferred.globs import is_valid_glob
from shoal.preferred.parse import parse
from tests.support.facts import HERE, DictFacts
from tests.support.world import World

_WORDS = ["and", "or", "not", "(", ")", "anything", "nothing", "include=*", "(", ")", "not"]
_GLOB = [
    *("*", "*", "?", "a", "b", "/", "//", "[", "]", "[a-c]", "[!a]", "[^b]", "[[:alpha:]]"),
    *("[]", "[!]", "[*]", "-", ".", "'", "<", ">", "`", "é", "\\", "_", "+", "{", "|", "^", "$"),
]
_NAME = [*"abc-.éx'[]_<A+\\", "/", "//"]
_MATCHES, _NO_MATCH, _BAD = 0, 1, 42


@pytest.mark.parametrize("seed", range(4))
def test_random_expressions(world: World, seed: int) -> None:
    repo = world.make("r")
    dice = random.Random(seed)
    for number in range(60):
        if number % 3:
            text = "include=" + "".join(dice.choices(_GLOB, k=dice.randint(1, 6)))
            name = "".join(dice.choices(_NAME, k=dice.randint(1, 6))).strip("/") or "a"
        else:
            text, name = " ".join(dice.choices(_WORDS, k=dice.randint(1, 9))), "a/b"
        words = ("git", "annex", "matchexpression", text, f"--file={name}")
        done = world.run(*words, cwd=repo, check=False)
        if "failed to compile regex" in done.stderr:
            assert not is_valid_glob(text.removeprefix("include=")), text
        else:
            assert done.returncode == _status(text, name), (text, name)


def _status(text: str, name: str) -> int:
    try:
        expr = parse(text)
    except ExpressionError:
        return _BAD
    return _MATCHES if matches(expr, Question(HERE, DictFacts(file=name))) else _NO_MATCH
