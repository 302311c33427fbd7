"""An explanation in one line, as the real program's --explain shows it.

    ( not copies=archive:1[FALSE] and include=*.txt[TRUE] ) and approxlackingcopies[FALSE]

What was not looked at is left out. Which parentheses are shown, and which are not, is what
git-annex 10.20261026 does; the rules were found by looking at what it shows for some hundred
expressions, and the comments below have examples.
"""

from __future__ import annotations

from shoal.preferred.explain import Explanation, Step

_SHORTENED = frozenset({"lackingcopies", "approxlackingcopies", "want-get-by", "want-drop-by"})
_VALUELESS = frozenset(
    {
        "anything", "nothing", "present", "securehash", "inpreferreddir", "unused", "standard",
        "groupwanted", "locked", "unlocked", "want-get", "want-drop",
    }
)  # fmt: skip
_CONNECTIVES = frozenset({"and", "or"})
_SYNTAX = frozenset({"(", ")", "not"}) | _CONNECTIVES


def sentence(explanation: Explanation, what: str, subject: str) -> str:
    """Give e.g. `f.txt matches preferred content: include=*[TRUE]`; `what` is the kind of
    content, and `subject` the file or key. Of an unstable expression it says first what it would
    be, were it used."""
    value = explanation.root.value if explanation.unstable else explanation.matches
    found = "matches" if value else "does not match"
    text = f"{subject} {found} {what}: {trail(explanation.root)}"
    if not explanation.unstable:
        return text
    terms = " ".join(
        dict.fromkeys(map(_label, reversed(explanation.unstable)))
    )  # each once, the last first
    return (
        f"{text}, but that expression is not stable due to negated use of {terms}, "
        "so will not be used"
    )


def trail(step: Step) -> str:
    """Give the terms that were looked at, with their values."""
    return " ".join(_without_some_parentheses(_tokens(step)))


def _tokens(step: Step) -> list[str]:
    if step.kind in ("term", "group"):
        return [f"{_label(step.text)}[{'TRUE' if step.value else 'FALSE'}]"]
    if step.kind == "not":
        return ["not", *_operand(step.parts[0])]
    if step.kind == "empty":
        return []
    left, right = step.parts
    if left.value is (step.kind == "or"):  # that decided
        return _operand(left)
    return [*_operand(left), step.kind, *_operand(right)]


def _operand(step: Step) -> list[str]:
    """Put parentheses around all but a term and a negated term."""
    inner = step.parts[0] if step.kind == "not" else step
    tokens = _tokens(step)
    plain = inner.kind in ("term", "group") or step.kind == "empty"
    return tokens if plain else ["(", *tokens, ")"]


def _label(word: str) -> str:
    name, _, value = word.partition("=")
    if name in _SHORTENED or name in _VALUELESS:
        return name
    return f"{name}={value}"


def _without_some_parentheses(tokens: list[str]) -> list[str]:
    """Leave out the parentheses that the real program leaves out, from left to right:

    * `( ( a ) b ) c` is `( a b ) c`: of two that open together, the second one and its end;
    * `( a and b ) and c` is `a and b and c`, when `a` and `b` are terms;
    * `a and ( b )` is `a and b`, when `b` is a term.
    """
    left = list(tokens)
    shown: list[str] = []
    while left:
        if left[:2] == ["(", "("]:
            del left[_end(left, 1)]
            shown.append("(")
            del left[:2]
        elif _is_flat(left):
            shown += left[1:4]
            del left[:5]
        elif shown and shown[-1] in _CONNECTIVES and _is_single(left):
            shown.append(left[1])
            del left[:3]
        else:
            shown.append(left.pop(0))
    return shown


def _is_flat(tokens: list[str]) -> bool:
    """Tell whether `( a and b ) and` is next, or the same with `or`."""
    return (
        len(tokens) > 5
        and (tokens[0], tokens[4]) == ("(", ")")
        and tokens[2] == tokens[5]
        and tokens[2] in _CONNECTIVES
        and tokens[1] not in _SYNTAX
        and tokens[3] not in _SYNTAX
    )


def _is_single(tokens: list[str]) -> bool:
    return tokens[:1] == ["("] and tokens[2:3] == [")"] and tokens[1] not in _SYNTAX


def _end(tokens: list[str], start: int) -> int:
    """Give where the parenthesis that opens at `start` is closed."""
    depth = 0
    for place in range(start, len(tokens)):
        depth += (tokens[place] == "(") - (tokens[place] == ")")
        if depth == 0:
            return place
    raise AssertionError(tokens)
