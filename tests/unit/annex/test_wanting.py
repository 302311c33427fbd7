"""What repositories want, with the sentences that git-annex 10.20261026 --explain prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shoal.annex.matching import Candidate
from shoal.annex.wanting import lets_go, requires, wants
from shoal.preferred.facts import Facts
from shoal.preferred.policy import Policy
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.facts import HERE, DictFacts

KEY = Key.parse(b"SHA256E-s100--abc")
ONE, TWO = Candidate(KEY, "d/one", "one"), Candidate(KEY, "two", "../two")
B = UUID("u-b")


@dataclass
class Asked:
    """A repository of one key, whose sentences are kept."""

    known: DictFacts
    rebalance: bool = False
    told: list[str] = field(default_factory=list)
    quiet: bool = False

    @property
    def explain(self) -> Callable[[str], None] | None:
        return None if self.quiet else self.told.append

    def facts(self, candidate: Candidate) -> Facts:
        self.known.key, self.known.file = candidate.key, candidate.path
        return DictFacts(**vars(self.known))

    def policy(self, repository: UUID) -> Policy:
        return Policy.of(repository, self.known)


def _files() -> Sequence[Candidate]:
    return (ONE, TWO)


def _both_ways(ask: Callable[[Asked], bool], known: DictFacts) -> tuple[bool, list[str]]:
    """Ask with and without explaining, which must be the same."""
    asked = Asked(known)
    answer = ask(asked)
    assert ask(Asked(known, quiet=True)) is answer
    return answer, asked.told


def test_what_is_wanted() -> None:
    known = DictFacts(wanted_texts={HERE: "include=*ne and copies=1"}, present_in={B})
    assert _both_ways(lambda asked: wants(asked, HERE, ONE), known) == (
        True,
        ["d/one matches preferred content: include=*ne[TRUE] and copies=1[TRUE]"],
    )
    assert _both_ways(lambda asked: wants(asked, B, ONE), known) == (False, [])


def test_other_files_with_the_key_can_keep_it() -> None:
    known = DictFacts(wanted_texts={HERE: "include=t*"}, present_in={B})
    assert _both_ways(lambda asked: lets_go(asked, HERE, ONE, _files), known) == (
        False,
        [
            "d/one does not match preferred content: include=t*[FALSE]",
            "d/one does not match preferred content: include=t*[FALSE]",
            "two matches preferred content: include=t*[TRUE]",
        ],
    )
    assert _both_ways(lambda asked: lets_go(asked, HERE, ONE), known)[0]
    assert _both_ways(lambda asked: lets_go(asked, B, ONE, _files), known) == (True, [])


def test_what_is_to_go_counts_no_more() -> None:
    known = DictFacts(wanted_texts={HERE: "not copies=1"}, present_in={HERE})
    assert _both_ways(lambda asked: lets_go(asked, HERE, ONE, _files), known) == (
        False,
        ["d/one matches preferred content: not copies=1[FALSE]"],
    )


def test_what_is_required() -> None:
    known = DictFacts(wanted_texts={HERE: "anything"}, required_texts={HERE: "include=t*"})
    answer, told = _both_ways(lambda asked: requires(asked, HERE, ONE, _files), known)
    assert answer
    assert told[-1] == "two matches required content: include=t*[TRUE]"
    assert _both_ways(lambda asked: requires(asked, B, ONE, _files), known) == (False, [])


def test_files_are_looked_up_only_when_they_matter() -> None:
    def fail() -> Sequence[Candidate]:
        raise AssertionError

    known = DictFacts(wanted_texts={HERE: "anything"})
    assert not _both_ways(lambda asked: lets_go(asked, HERE, ONE, fail), known)[0]
    assert not _both_ways(lambda asked: requires(asked, HERE, ONE, fail), known)[0]


def test_rebalancing_looks_at_where_content_belongs() -> None:
    known = DictFacts(
        groups_of={HERE: {"g"}, B: {"g"}}, present_in={HERE, B},
        wanted_texts=dict.fromkeys((HERE, B), "balanced=g"),
        required_texts=dict.fromkeys((HERE, B), "balanced=g"),
    )  # fmt: skip
    for rebalance, number in ((False, 2), (True, 1)):
        asked = Asked(known, rebalance)
        assert sum(wants(asked, repo, ONE) for repo in (HERE, B)) == number
        assert sum(not lets_go(asked, repo, ONE) for repo in (HERE, B)) == number
        assert sum(requires(asked, repo, ONE) for repo in (HERE, B)) == number
        quiet = Asked(known, rebalance, quiet=True)
        assert sum(requires(quiet, repo, ONE) for repo in (HERE, B)) == number
