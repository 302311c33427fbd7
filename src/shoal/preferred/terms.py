"""One word of an expression into a test: the table of all terms.

Source: the manual page git-annex-preferred-content, and git-annex 10.20261026 where that is
laxer or newer (`include` without a value, `copies=1x`, `lackingcopies=GROUP:N`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from shoal.logs.trust import TrustLevel
from shoal.preferred.expr import (
    Balanced,
    Copies,
    Exclude,
    InAllGroup,
    InBackend,
    Include,
    LackingCopies,
    LargerThan,
    Metadata,
    OnlyInGroup,
    SmallerThan,
    Term,
    Test,
    Url,
    Word,
)
from shoal.preferred.lexer import quoted
from shoal.values.number import read_int
from shoal.values.size import parse_size

_METADATA = re.compile(r"([^=<>]*)(?:(<=|>=|=|<|>)(.*))?", re.DOTALL)
_TRUST = {level.name.lower(): level for level in TrustLevel}
_WORDS = {word.value: word for word in Word}


def parse_term(word: str) -> Term:
    """Give the term that `word` means. Raises ValueError with the real program's message."""
    if word in _WORDS:
        return Term(word, _WORDS[word])
    name, _, value = word.partition("=")
    if name not in _VALUED:
        raise ValueError(f"near {quoted(word)}")
    return Term(word, _VALUED[name](value))


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError:
        raise ValueError("bad size") from None


def _number(text: str, message: str) -> int:
    try:
        return read_int(text)
    except ValueError:
        raise ValueError(message) from None


def _split_count(value: str, message: str) -> tuple[str, str, int]:
    """Split `WHOSE:N`, `GROUP=N` or `N` into what is before the sign, the sign, and N.

    With exactly one colon that is the sign; else the only equals sign, unless it is at the
    start; else what follows the number does not matter, so that `1:2:3` is 1, and so is `=1`
    (verified, but documented nowhere).
    """
    sign = ":" if value.count(":") == 1 else "=" if value.count("=") == 1 else ""
    if sign == "=" and value.startswith("="):
        return "", "", _number(value[1:], message)
    whose, _, number = value.rpartition(sign) if sign else ("", "", value)
    return whose, sign, _number(number, message)


def _copies(value: str) -> Copies:
    if value.count(":") != 1 and value.count("=") > 1:
        raise ValueError("bad value for copies")
    whose, sign, count = _split_count(value, "bad number for copies")
    if not sign:
        return Copies(count)
    or_better = whose.endswith("+")
    level = _TRUST.get(whose.removesuffix("+"))
    if sign == ":" and level is not None:
        return Copies(count, trust=level, or_better=or_better)
    return Copies(count, group=whose)


def _lacking(value: str, *, approximate: bool) -> LackingCopies:
    group, sign, count = _split_count(value, "bad value for number of lacking copies")
    return LackingCopies(count, approximate, group if sign else None)


def _metadata(value: str) -> Metadata:
    found = _METADATA.fullmatch(value)
    assert found is not None  # the pattern matches every text
    field, operator, wanted = found.groups(default="")
    if not (field[:1].isalnum() and all(c.isalnum() or c in "_-." for c in field)):
        raise ValueError(f'Illegal metadata field name, "{field}"')
    return Metadata(field, operator or "=", wanted)


def _balanced(term: str, value: str) -> Balanced:
    fully = term.startswith("fully")
    by_size = "size" in term
    if value.count(":") > 1:
        raise ValueError(f"bad value for {term}")
    group, colon, number = value.partition(":")
    if number == "lackingcopies":
        return Balanced(group, None, by_size, None if fully else LackingCopies(1))
    count = _number(number, f"bad number for {term}") if colon else 1
    return Balanced(group, count, by_size, None if fully else _copies(f"{group}:{count}"))


_VALUED: dict[str, Callable[[str], Test]] = {
    "include": Include,
    "exclude": Exclude,
    "largerthan": lambda value: LargerThan(_size(value)),
    "smallerthan": lambda value: SmallerThan(_size(value)),
    "copies": _copies,
    "lackingcopies": lambda value: _lacking(value, approximate=False),
    "approxlackingcopies": lambda value: _lacking(value, approximate=True),
    "inallgroup": InAllGroup,
    "onlyingroup": OnlyInGroup,
    "inbackend": InBackend,
    "metadata": _metadata,
    "url": Url,
    "balanced": lambda value: _balanced("balanced", value),
    "fullybalanced": lambda value: _balanced("fullybalanced", value),
    "sizebalanced": lambda value: _balanced("sizebalanced", value),
    "fullysizebalanced": lambda value: _balanced("fullysizebalanced", value),
}
