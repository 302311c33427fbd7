"""What can be said of an expression without knowing anything else."""

from __future__ import annotations

import pytest

from shoal.preferred.certain import Verdict, judge
from shoal.preferred.parse import parse

NEVER = [
    "nothing", "not anything", "include=a* and exclude=a*", "copies=2 and not copies=1",
    "largerthan=10mb and smallerthan=1mb", "largerthan=9 and smallerthan=10",
    "copies=pool:2 and not copies=pool:1", "copies=pool:1 and not copies=1",
    "copies=trusted:1 and not copies=semitrusted+:1", "inbackend=WORM and inbackend=URL",
    "not (present or not present)", "(include=x or nothing) and exclude=x", "not",
    "lackingcopies=2 and not lackingcopies=1", "onlyingroup=g and not copies=g:1",
    "include=x and unused", "include=[a", "url=[a or metadata=f=[", "not copies=0",
    "fullybalanced=g:0", "inpreferreddir and exclude=*", "nothing and present",
    "lackingcopies=2 and not lackingcopies=g:2", "metadata=f>3 and not metadata=F=*",
]  # fmt: skip
ALWAYS = [
    "anything", "or present", "anything or include=x", "include=x or exclude=x", "copies=0",
    "largerthan=1kb or smallerthan=2kb", "not (copies=3 and not copies=2)", "not nothing",
    "present or not present", "copies=1 or not copies=2", "exclude=[a",
    "include=x or anything or present", "copies=dead+:1 or not copies=1",
]  # fmt: skip
OPEN = [
    "include=a* and include=b*", "copies=1 and not copies=2", "present", "not copies=1",
    "largerthan=1mb or smallerthan=1mb", "largerthan=9 and smallerthan=11", "standard",
    "not groupwanted", "copies=a:1 and not copies=b:1", "copies=trusted:1 and not copies=trusted:2",
    "lackingcopies=1 and not approxlackingcopies=1", "metadata=f>3 and metadata=f<3",
    "include=a.txt and include=b.txt", "lackingcopies=g:2 and not lackingcopies=2",
    "copies=semitrusted+:1 and not copies=trusted:1", "copies=1 and not copies=g:1",
    "balanced=g:0", "include=x and not include=*x*", "smallerthan=0", "largerthan=-1",
]  # fmt: skip


@pytest.mark.parametrize("text", NEVER)
def test_never(text: str) -> None:
    assert judge(parse(text)) is Verdict.NEVER


@pytest.mark.parametrize("text", ALWAYS)
def test_always(text: str) -> None:
    assert judge(parse(text)) is Verdict.ALWAYS


@pytest.mark.parametrize("text", OPEN)
def test_what_depends(text: str) -> None:
    assert judge(parse(text)) is Verdict.OPEN


def test_very_long_expressions_are_not_judged() -> None:
    long = " and ".join(f"include={number}" for number in range(100))
    assert judge(parse(f"{long} and nothing")) is Verdict.OPEN


def test_looking_for_what_is_certain_has_an_end() -> None:
    """A contradiction that only trying thousands of values would find is not found."""
    hard = " and ".join(f"(include=a{number} or include=b{number})" for number in range(11))
    assert judge(parse(f"{hard} and (include=x and exclude=x)")) is Verdict.OPEN
    assert judge(parse(f"(include=x and exclude=x) and {hard}")) is Verdict.NEVER
