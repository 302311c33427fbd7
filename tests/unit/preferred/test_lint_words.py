"""Slips of the pen are told, and what was written on purpose is not."""

from __future__ import annotations

import pytest

from shoal.preferred.lint_words import lint_words

A, B, C = "include=a", "include=b", "include=c"
FINE = [
    "", "anything", f"{A} and {B} or {C}", f"({A} or {B}) and {C}", f"{A} or ({B} and {C})",
    f"{A} ({B} or {C})", f"not {A} and {B}", f"({A} or {B}) ({C})", "largerthan=1.5GB",
    "copies=semitrusted+:2", "balanced=pool:lackingcopies", "balanced=pool", "copies=-1",
    "include=*/archive/*", "metadata=tag=it", f"{A} or not {B} or {C}", "smallerthan=10kib",
]  # fmt: skip
FOUND = {
    f"{A} or {B} and {C}": ("precedence", f"`({A} or {B}) and {C}`"),
    f"{A} or {B} {C}": ("precedence", f"`({A} or {B}) and {C}`"),
    f"{A} or {B} not {C}": ("precedence", f"`({A} or {B}) and not {C}`"),
    f"{A} and ({A} or {B} and {C})": ("precedence", f"`{A} and (({A} or {B}) and {C})`"),
    f"({A} ({B} or {C}))": ("precedence", f"`({A} and {B}) or {C}`"),
    f"or {A}": ("dangling", f"`anything or {A}`"),
    f"{A} or": ("dangling", f"`{A} or anything`"),
    f"{A} and": ("dangling", f"`{A}`"),
    f"and {A}": ("dangling", "`and` has nothing before it"),
    f"{A} and or {B}": ("dangling", f"`{A} and (anything or {B})`"),
    "not": ("dangling", "`not anything`"),
    "()": ("dangling", "no expression at all"),
    f"({A}": ("parentheses", "not closed"),
    f"{A})": ("parentheses", "`)` without its `(`"),
    'include="a*"': ("quotes", 'part of the pattern in `include="a*"`'),
    "exclude=it's": ("quotes", "part of the pattern"),
    "include=[a": ("glob", "never matches"),
    "exclude=[z-a]": ("glob", "always matches"),
    "url=[": ("glob", "never matches"),
    "metadata=tag=[": ("glob", "never matches"),
    r"include=a\*": ("glob", "backslash"),
    "largerthan=1,5GB": ("number", "1 bytes"),
    "copies=2x": ("number", "the number 2"),
    "copies=g:0x10": ("number", "the number 16"),
    "balanced=g:3rd": ("number", "the number 3"),
    "lackingcopies=1.": ("number", "the number 1"),
}


@pytest.mark.parametrize("text", FINE)
def test_what_is_fine(text: str) -> None:
    assert list(lint_words(text)) == []


@pytest.mark.parametrize("text", FOUND)
def test_what_is_found(text: str) -> None:
    kind, part = FOUND[text]
    (finding,) = lint_words(text)
    assert finding.kind == kind
    assert part in finding.text
    assert ": " in str(finding), "says what to do"


def test_each_is_told_once() -> None:
    assert len(list(lint_words("(or include='a' or) and (or include='a' or)"))) == 3
