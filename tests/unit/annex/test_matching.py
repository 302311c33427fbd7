"""Matching options choose what git-annex 10.20261026 chooses."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace

import pytest

from shoal.annex.matching import Candidate, asks_for_file_names, compile_options
from shoal.errors import NoSuchRemote, ShoalError
from shoal.logs.presence import Line, Status
from shoal.preferred.facts import Facts
from shoal.preferred.parse import parse
from shoal.preferred.policy import Policy
from shoal.preferred.trail import trail
from shoal.values.clock import clock_from_seconds
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.facts import DictFacts

HERE, B = UUID("u-here"), UUID("u-b")
ONE = Candidate(Key.parse(b"SHA256-s1--one"), "d/f1", "f1", locked=True)
TWO = Candidate(Key.parse(b"MD5-s2000--two"), "d/f2", "f2", locked=False)
BARE = Candidate(Key.parse(b"SHA256-s3--three"))


@dataclass
class Network:
    """This repository, and one other called b."""

    copies: dict[Key, Set[UUID]]
    here: UUID = HERE
    wanted: dict[UUID, str] = field(default_factory=dict)
    explain: Callable[[str], None] | None = None
    rebalance: bool = False
    lines: dict[Key, dict[UUID, Line]] = field(default_factory=dict)

    def uuid_of(self, name: str) -> UUID:
        known = {"here": HERE, "b": B}
        if name not in known:
            raise NoSuchRemote(name)
        return known[name]

    def is_present(self, key: Key) -> bool:
        return HERE in self.copies[key]

    def locations(self, key: Key) -> Set[UUID]:
        return self.copies[key]

    def locations_at(self, key: Key, date: str) -> Set[UUID]:
        return {HERE} if date == "{yesterday}" and key == BARE.key else set()

    def location_lines(self, key: Key) -> Mapping[UUID, Line]:
        return self.lines.get(key, {})

    def accessed(self, key: Key) -> float | None:
        return time.time() - 500 if HERE in self.copies[key] else None

    def files_of(self, key: Key) -> list[str]:
        return {ONE.key: ["f1", "copy.f1"], TWO.key: ["f2"]}.get(key, [])

    def facts(self, candidate: Candidate) -> Facts:
        return DictFacts(
            candidate.key,
            candidate.path,
            self.copies[candidate.key],
            groups_of={B: {"backup"}},
            copies_wanted=2,
        )

    def policy(self, repository: UUID) -> Policy:
        wanted = parse(self.wanted.get(repository, ""))
        return Policy(repository, wanted, parse(""))


def _line(status: Status, seconds_ago: int) -> Line:
    return Line(clock_from_seconds(int(time.time()) - seconds_ago), status, b"")


NETWORK = Network(
    {ONE.key: {HERE, B}, TWO.key: {HERE}, BARE.key: {B}},
    wanted={HERE: "include=d/f1", B: "anything"},
    lines={
        ONE.key: {HERE: _line(Status.PRESENT, 5000), B: _line(Status.MISSING, 100)},
        TWO.key: {HERE: _line(Status.PRESENT, 100), B: _line(Status.DEAD, 5000)},
    },
)


def option(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name, value


def chosen(text: str) -> list[Candidate]:
    tree = compile_options([option(word) for word in text.split()], NETWORK)
    found = [candidate for candidate in (ONE, TWO, BARE) if tree.holds(candidate)]
    assert found == [candidate for candidate in (ONE, TWO, BARE) if tree.step(candidate).value]
    return found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", [ONE, TWO, BARE]),
        ("anything", [ONE, TWO, BARE]),
        ("nothing", []),
        ("in=here", [ONE, TWO]),
        ("in=b", [ONE, BARE]),
        ("not in=here", [BARE]),
        ("in=here in=b", [ONE]),
        ("in=here and in=b", [ONE]),
        ("in=here@{yesterday}", [BARE]),
        ("in=here@{nonsense}", []),
        ("expected-present", [ONE, TWO]),
        ("accessedwithin=1h", [ONE, TWO]),
        ("accessedwithin=1m", []),
        ("presentsince=here:1h", [ONE]),
        ("presentsince=here:1m", [ONE, TWO]),
        ("presentsince=b:1m", []),
        ("lackingsince=b:1m", [ONE, TWO]),
        ("lackingsince=b:1h", [TWO]),
        ("lackingsince=here:1m", []),
        ("changedsince=here:1h", [TWO]),
        ("changedsince=b:1h", [ONE]),
        ("includesamecontent=copy*", [ONE]),
        ("includesamecontent=f*", []),
        ("excludesamecontent=copy*", [TWO, BARE]),
        ("in=here or in=b", [ONE, TWO, BARE]),
        ("not not in=b", [ONE, BARE]),
        ("not in=b or in=b", [ONE, TWO, BARE]),
        ("include=f*", [ONE, TWO]),
        ("include=d/f1", []),
        ("exclude=f1", [TWO, BARE]),
        ("include=f1 or include=f2 in=b", [ONE]),
        ("in=b and ( include=f1 or include=f2 )", [ONE]),
        ("not ( include=f1 or include=f2 )", [BARE]),
        ("( in=b", [ONE, BARE]),
        ("in=b )", [ONE, BARE]),
        ("or nothing", [ONE, TWO, BARE]),
        ("not", []),
        ("copies=2", [ONE]),
        ("copies=backup:1", [ONE, BARE]),
        ("lackingcopies=1", [TWO, BARE]),
        ("inbackend=MD5", [TWO]),
        ("securehash", [ONE, BARE]),
        ("largerthan=1kb", [TWO]),
        ("smallerthan=1kb", [ONE, BARE]),
        ("locked", [ONE]),
        ("unlocked", [TWO]),
        ("inallgroup=backup", [ONE, BARE]),
        ("onlyingroup=backup", [BARE]),
        ("want-get", [ONE]),
        ("want-drop", [TWO, BARE]),
        ("want-get-by=b", [ONE, TWO, BARE]),
        ("want-drop-by=b", []),
    ],
)
def test_options(options: str, expected: list[Candidate]) -> None:
    assert chosen(options) == expected


def test_where_nothing_is_configured_nothing_is_wanted_and_everything_may_go() -> None:
    """Verified with git-annex 10.20261026."""
    network = Network(NETWORK.copies)
    assert not compile_options([("want-get", "")], network).holds(ONE)
    assert compile_options([("want-drop", "")], network).holds(ONE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("in=nosuch", 'there is no available git remote named "nosuch"'),
        ("in=x@{yesterday}", 'there is no available git remote named "x"'),
        ("presentsince=x:1d", 'there is no available git remote named "x"'),
        ("changedsince=b:x", 'failed to parse duration "x" (expected eg "5m" or "1h5m")'),
        ("copies=x", "bad number for copies"),
        ("largerthan=xx", "bad size"),
        ("mimetype=x", "unknown matching option --mimetype"),
        ("include=a or want-get-by=x", 'there is no available git remote named "x"'),
    ],
)
def test_what_is_not_known_fails_before_anything_is_matched(options: str, message: str) -> None:
    with pytest.raises(ShoalError) as error:
        chosen(options)
    assert str(error.value) == message


def test_options_that_need_files() -> None:
    assert asks_for_file_names([("not", ""), ("include", "*")])
    assert not asks_for_file_names([("in", "here"), ("copies", "2")])


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ("include=f1", "include=f1[TRUE]"),
        ("include=f2 and in=b", "include=f2[FALSE]"),
        ("not ( in=here or in=b ) or copies=3", "( not ( in=here[TRUE] ) ) or copies=3[FALSE]"),
        ("include=x or in=b", "include=x[FALSE] or in=b[TRUE]"),
        ("want-get-by=b lackingcopies=1", "want-get-by[TRUE] and lackingcopies[FALSE]"),
        ("largerthan=1kb", "largerthan=1kb[FALSE]"),
        ("or nothing", ""),
    ],
)  # fmt: skip
def test_options_are_explained_as_by_the_real_program(options: str, shown: str) -> None:
    """Seen in git-annex 10.20261026's whereis --explain."""
    tree = compile_options([option(word) for word in options.split()], NETWORK)
    assert trail(tree.step(ONE)) == shown


def test_what_is_wanted_is_explained() -> None:
    told: list[str] = []
    network = replace(NETWORK, explain=told.append)
    assert not compile_options([("want-drop", "")], network).holds(ONE)
    assert told == ["d/f1 matches preferred content: include=d/f1[TRUE]"]


@pytest.mark.parametrize("word", ["(", "not"])
def test_nesting_without_end_is_an_error(word: str) -> None:
    """As in preferred content: the grammar is the same."""
    with pytest.raises(ShoalError, match="nested more than 200 deep"):
        compile_options([(word, "")] * 5000 + [("anything", "")], NETWORK)
