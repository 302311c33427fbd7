"""Terms in the corners that the golden vectors do not reach."""

from __future__ import annotations

from collections.abc import Set

import pytest

from shoal.logs.trust import TrustLevel
from shoal.preferred.evaluate import Question, matches
from shoal.preferred.parse import parse
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.facts import HERE, DictFacts

KEY = Key.parse(b"SHA256E-s100--abc.txt")
A, B, C = (UUID(f"{letter * 8}-0000-4000-8000-000000000000") for letter in "abc")


NOBODY: Set[UUID] = frozenset()


def _matches(
    text: str, facts: DictFacts, absent: Set[UUID] = NOBODY, present: Set[UUID] = NOBODY
) -> bool:
    return matches(parse(text), Question(HERE, facts, absent, present))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("include=*", False),
        ("exclude=*", True),
        ("inpreferreddir", False),
        ("copies=0", True),
        ("unused", False),
        ("standard", True),
    ],
)
def test_without_a_file_name(text: str, expected: bool) -> None:
    assert _matches(text, DictFacts(key=KEY)) is expected


@pytest.mark.parametrize("text", ["copies=0", "largerthan=0", "smallerthan=9", "present", "url=*"])
def test_without_a_key_no_condition_on_keys_matches(text: str) -> None:
    assert not _matches(text, DictFacts(file="f", known_urls=["u"], present_in={HERE}))


def test_unused_keys_match_only_without_a_file_name() -> None:
    assert _matches("unused", DictFacts(key=KEY, unused=True))
    assert not _matches("unused", DictFacts(key=KEY, unused=True, file="f"))


def test_only_present_ignores_what_is_assumed_absent() -> None:
    facts = DictFacts(key=KEY, present_in={HERE, A})
    assert _matches("present and copies=1 and not copies=2", facts, absent={HERE})


def test_what_was_just_chosen_counts_as_a_copy_but_not_as_room_used() -> None:
    """A node chosen a moment ago has not yet got the key: it still needs room for it."""
    facts = DictFacts(
        key=KEY,
        groups_of={HERE: {"g"}, A: {"g"}},
        max_sizes={HERE: 1000, A: 1000},
        sizes={HERE: 0, A: 950},
    )
    assert _matches("copies=1", facts, present={A})
    assert not _matches("balanced=g", facts, present={A})
    assert _matches("fullybalanced=g", facts, present={A})


def test_lackingcopies_asks_for_the_copies_of_the_file_and_approx_does_not() -> None:
    facts = DictFacts(key=KEY, file="f", copies_wanted=1, copies_wanted_of_file=3, present_in={A})
    assert _matches("lackingcopies=2", facts)
    assert not _matches("approxlackingcopies=1", facts)


def test_inallgroup_with_a_dead_member_never_matches() -> None:
    facts = DictFacts(
        key=KEY,
        present_in={A, B},
        groups_of={A: {"g"}, B: {"g"}},
        trusts={B: TrustLevel.DEAD},
    )
    assert not _matches("inallgroup=g", facts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("present", True),
        ("inallgroup=big", True),
        ("onlyingroup=big", False),  # its node is not in the group
        ("copies=1", True),
        ("copies=2", False),
        ("copies=big:1", False),
        ("lackingcopies=1", True),
    ],
)
def test_a_cluster_has_what_a_node_has_but_is_no_copy(text: str, expected: bool) -> None:
    cluster, node = UUID("ac111111-1111-8111-8111-111111111111"), UUID("n")
    facts = DictFacts(
        key=KEY,
        file="a",
        present_in={cluster, node},
        groups_of={cluster: {"big"}},
        copies_wanted=2,
    )
    assert matches(parse(text), Question(cluster, facts)) is expected


@pytest.mark.parametrize(
    ("value", "limit", "expected"),
    [
        ("9", "10", True),
        ("9x", "10", False),  # text, as is all that is not a number from end to end
        ("9", "10x", False),
        (" (9)\t", "1e1", True),
        ("2023-11-14@22-13-20", "2024-01-01", True),
        ("2023-11-14@22-13-20", "2023-11-01", False),
        ("2023-11-14@22-13-20", "2e3", True),
        ("9", "NaN", False),
    ],
)
def test_metadata_is_compared_as_numbers_or_as_text(value: str, limit: str, expected: bool) -> None:
    facts = DictFacts(key=KEY, file="a", fields={"v": [value]})
    assert matches(parse(f"metadata=v<{limit}"), Question(HERE, facts)) is expected


def test_a_repository_that_nobody_heard_of_has_room() -> None:
    facts = DictFacts(key=KEY, groups_of={HERE: {"g"}}, max_sizes={HERE: 1})
    assert _matches("fullybalanced=g", facts)
    assert not _matches("fullysizebalanced=g", facts)


def test_ties_of_free_space_go_to_the_larger_uuid() -> None:
    members = {u: {"g"} for u in (A, B, C)}
    facts = DictFacts(
        key=KEY,
        groups_of=members,
        max_sizes=dict.fromkeys(members, 10**6),
        sizes=dict.fromkeys(members, 0),
    )
    picked = [u for u in members if matches(parse("fullysizebalanced=g:2"), Question(u, facts))]
    assert picked == [B, C]


def test_a_number_that_no_group_can_fill_costs_nothing() -> None:
    facts = DictFacts(key=KEY, groups_of={HERE: {"g"}})
    assert _matches("fullybalanced=g:1000000000000", facts)


@pytest.mark.parametrize(
    ("equivalents", "expected"),
    [([], True), ([KEY], True), ([KEY, Key.parse(b"MD5--x")], False)],
)
def test_a_vurl_key_is_as_secure_as_all_its_equivalents(
    equivalents: list[Key], expected: bool
) -> None:
    facts = DictFacts(key=Key.parse(b"VURL--u"), equivalents=equivalents)
    assert _matches("securehash", facts) is expected
