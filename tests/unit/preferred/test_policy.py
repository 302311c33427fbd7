"""What a repository wants, from all that is configured for it."""

from __future__ import annotations

import pytest

from shoal.preferred.policy import Policy
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.facts import HERE, DictFacts

KEY = Key.parse(b"SHA256E-s100--abc.txt")
OTHER = UUID("22222222-2222-4222-8222-222222222222")


def _policy(wanted: str = "", required: str = "", groups: str = "", **texts: str) -> Policy:
    rules = DictFacts(
        wanted_texts={HERE: wanted},
        required_texts={HERE: required},
        groups_of={HERE: frozenset(groups.split())},
        group_texts=texts,
    )
    return Policy.of(HERE, rules)


HELD = DictFacts(key=KEY, file="f", present_in={HERE})
LACKED = DictFacts(key=KEY, file="f")


@pytest.mark.parametrize("default", [True, False])
def test_without_configuration_the_caller_decides(default: bool) -> None:
    policy = _policy(wanted="( )")
    assert not policy.is_configured
    assert policy.wants(LACKED, default=default) is default
    assert policy.lets_go(HELD, default=default) is not default


def test_with_neither_key_nor_file_the_caller_decides() -> None:
    assert _policy("nothing").wants(DictFacts(), default=True)


@pytest.mark.parametrize(("wanted", "required"), [("bogus", "anything"), ("anything", "bogus")])
def test_a_broken_expression_freezes_what_is_there(wanted: str, required: str) -> None:
    policy = _policy(wanted, required)
    assert policy.wants(HELD, default=False)
    assert not policy.lets_go(HELD, default=False)
    assert not policy.wants(LACKED, default=True)


def test_a_broken_group_expression_freezes_too() -> None:
    policy = _policy("groupwanted or anything", groups="g", g="bogus")
    assert not policy.wants(LACKED, default=True)


def test_required_content_is_wanted_and_stays() -> None:
    policy = _policy("nothing", "include=f")
    assert policy.wants(LACKED, default=False)
    assert policy.requires(HELD)
    assert not policy.lets_go(HELD, default=False)
    assert not _policy("include=f").requires(HELD)


def test_one_file_that_wants_the_content_keeps_it() -> None:
    policy = _policy("include=g")
    assert policy.lets_go(HELD, default=False)
    assert not policy.lets_go(HELD, [DictFacts(key=KEY, file="g")], default=False)


def test_an_unstable_expression_never_matches() -> None:
    policy = _policy("not present or anything")
    assert not policy.wants(LACKED, default=True)
    assert policy.lets_go(HELD, default=True)


def test_negation_inside_groupwanted_is_not_looked_at() -> None:
    """Verified with git-annex 10.20261026: `groupwanted` with `not present` is followed."""
    assert _policy("groupwanted", groups="g", g="not present").wants(LACKED, default=False)
    assert not _policy("not groupwanted", groups="g", g="present").wants(LACKED, default=False)


def test_an_empty_group_in_groupwanted_matches_but_empty_text_is_present() -> None:
    """Verified: `()` as a group's expression matches everything, an empty one is `present`."""
    assert _policy("groupwanted", groups="g", g="()").wants(LACKED, default=False)
    assert not _policy("groupwanted", groups="g", g="").wants(LACKED, default=True)


def test_several_groups_with_expressions_are_as_none() -> None:
    policy = _policy("groupwanted", groups="g h", g="anything", h="anything")
    assert not policy.wants(LACKED, default=True)
    assert policy.wants(HELD, default=False)


def test_two_copies_are_enough_to_let_one_go() -> None:
    facts = DictFacts(key=KEY, file="f", present_in={HERE, OTHER})
    assert _policy("not copies=2").wants(facts, default=False) is False
    assert not _policy("not copies=2").lets_go(facts, default=False)
    assert _policy("not copies=1").lets_go(facts, default=False)
