"""Both programs take the same expressions, and say the same of those that they do not take.

`git-annex vicfg` judges thousands of expressions in one run: it marks each bad line.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from shoal.errors import ExpressionError
from shoal.preferred.parse import parse
from tests.support.world import World

_COUNT = 1500
_NUMBERS = ["copies", "lackingcopies", "approxlackingcopies", "balanced", "fullybalanced"]
_NUMBERS += ["sizebalanced", "fullysizebalanced"]
_SIZES = ["largerthan", "smallerthan"]
_TEXTS = ["include", "exclude", "inbackend", "inallgroup", "onlyingroup", "url", "in", "present"]
_VALUES: dict[str, list[str]] = {}
_VALUES |= {name: [*"1120xgo+-_.,", "=", "=", ":", ":", "g:", "lackingcopies"] for name in _NUMBERS}
_VALUES |= {name: [*"12.,-+_/e", "kb", "KiB", "b", "giga", "byte", "s", "k"] for name in _SIZES}
_VALUES |= {name: [*"ax*?[]/.=:\\'\"é!", "g"] for name in _TEXTS}
_VALUES |= {"metadata": [*'aB1=<>*._-/é"']}
_BARE = [*_VALUES, "anything", "nothing", "standard", "groupwanted", "unused", "securehash"]
_BARE += ["inpreferreddir", "AND", "!", "&&", "=", "-", "anything=", "unused=1", "\u00a0", "\u200b"]
_SYNTAX = ["and", "or", "not", "(", ")"]
_EDITOR = """\
#!/bin/sh
if test -e begun; then cp "$1" judged; cp begun "$1"; else cp "$1" begun; cat added >> "$1"; fi
"""


def expression(dice: random.Random) -> str:
    def word() -> str:
        kind = dice.random()
        if kind < 0.1:
            return dice.choice(_BARE)
        if kind < 0.2:
            return dice.choice(_SYNTAX)
        name = dice.choice([*_VALUES])
        return f"{name}=" + "".join(dice.choices(_VALUES[name], k=dice.randint(0, 6)))

    return " ".join(word() for _ in range(1 if dice.random() < 0.7 else dice.randint(2, 5)))


def judged_by_vicfg(world: World, repo: Path, expressions: list[str]) -> dict[str, str | None]:
    """Give what is wrong with each expression; None: nothing."""
    lines = [f"groupwanted g{number} = {text}\n" for number, text in enumerate(expressions)]
    (repo / "added").write_text("".join(lines))
    (repo / "editor").write_text(_EDITOR)
    (repo / "editor").chmod(0o755)
    world.annex(repo, "vicfg")
    found: dict[str, str | None] = {}
    wrong = None
    for line in (repo / "judged").read_text().split("\n"):
        if "** Parse error in next line: " in line:
            wrong = line.partition(" in next line: ")[2]
            continue
        if entry := re.fullmatch(r"groupwanted g(\d+) = .*", line):
            found[expressions[int(entry[1])]] = wrong
        wrong = None
    return found


def judged_by_shoal(text: str) -> str | None:
    try:
        parse(text)
    except ExpressionError as error:
        return str(error)
    return None


@pytest.mark.parametrize("seed", range(2))
def test_random_expressions(world: World, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = world.make("r")
    monkeypatch.setenv("EDITOR", str(repo / "editor"))
    dice = random.Random(seed)
    expressions = sorted({expression(dice) for _ in range(_COUNT)})
    judged = judged_by_vicfg(world, repo, expressions)
    assert len(judged) == len(expressions)
    assert judged == {text: judged_by_shoal(text) for text in expressions}
    good = sum(wrong is None for wrong in judged.values())
    assert _COUNT / 10 < good < _COUNT * 9 / 10, "both kinds were tried"
