"""Lint of expressions in their network."""

from __future__ import annotations

import pytest

from shoal.logs.trust import TrustLevel
from shoal.preferred.finding import Finding
from shoal.preferred.lint import lint_group_wanted, lint_network, lint_text, lint_wanted
from shoal.values.uuid import UUID
from tests.support.facts import HERE, DictFacts

A, B, C = (UUID(f"{letter * 8}-0000-4000-8000-000000000000") for letter in "abc")
POOL = {repo: {"pool"} for repo in (A, B, C)}


def _facts(text: str = "", repo: UUID = A) -> DictFacts:
    """A network of three members of the group `pool`, with one expression."""
    return DictFacts(groups_of=POOL, wanted_texts={repo: text})


def _of(facts: DictFacts, repo: UUID = A) -> dict[str, str]:
    """Give what is found in the wanted expression of `repo`: texts by their kind."""
    return {finding.kind: finding.text for finding in lint_wanted("wanted", repo, facts)}


@pytest.mark.parametrize(
    "text",
    ["", "anything", "nothing", "not anything", "present", "include=a* or copies=pool:1",
     "not copies=1", "copies=0", "not (not (present or include=x))"],
)  # fmt: skip
def test_what_is_meant_is_not_told(text: str) -> None:
    assert _of(_facts(text)) == {}


@pytest.mark.parametrize(
    ("text", "kinds", "part"),
    [
        ("not present", ["unstable"], "`present` is negated"),
        ("not (balanced=g or anything)", ["unstable"], "`balanced=g` is negated"),
        ("include=a* and exclude=a*", ["never"], "no key can match"),
        ("copies=1 or not copies=2", ["always"], "every key matches"),
        ("present or (copies=2 and not copies=1)", ["never"], "`copies=2 and not copies=1` never"),
        ("include=a and exclude=a or present", ["never"], "`include=a and exclude=a` never"),
        ("present and not (copies=2 and not copies=1)", ["always"], "`not (copies=2 and"),
        ("present and (unused or (include=a or exclude=a))", ["always"], "always matches: correct"),
        ("or present", ["dangling"], "nothing before it"),
    ],
)
def test_what_the_text_alone_tells(text: str, kinds: list[str], part: str) -> None:
    found = lint_text(text)
    assert [finding.kind for finding in found] == kinds
    assert part in found[0].text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("copies=pol:1", "`copies=pol:1` never matches: correct the name, or run shoal group"),
        ("copies=pol:0 and present", "always matches"),
        ("inallgroup=pol", "always matches"),
        ("onlyingroup=pol", "never matches"),
        ("lackingcopies=pol:1", "counts no copies"),
        ("not copies=1 or fullybalanced=pol", "chooses nobody"),
    ],
)
def test_groups_without_members(text: str, part: str) -> None:
    assert part in _of(_facts(text))["group"]


def test_groups_and_trust_levels_mixed_up() -> None:
    facts = _facts("copies=trusted:1")
    assert _of(facts) == {}
    facts.groups_of = {B: {"trusted"}}
    assert "not members of group `trusted`" in _of(facts)["trust"]
    assert "not a trust level" in _of(_facts("lackingcopies=trusted:1"))["trust"]
    assert "not a trust level" in _of(_facts("inallgroup=semitrusted+"))["trust"]


def test_standard_needs_one_standard_group() -> None:
    facts = _facts("standard")
    assert "aaaaaaaa is in none of the standard groups (client," in _of(facts)["standard"]
    facts.groups_of = {A: {"client", "pool"}}
    assert _of(facts) == {}
    facts.groups_of = {A: {"client", "archive"}}
    assert "several groups (archive, client)" in _of(facts)["standard"]


def test_groupwanted_needs_one_group_with_an_expression() -> None:
    facts = _facts("groupwanted")
    assert "no group that has an expression" in _of(facts)["groupwanted"]
    facts.group_texts = {"pool": "include=x", "other": "anything"}
    assert _of(facts) == {}
    facts.groups_of = {A: {"pool", "other"}}
    assert "several groups (other, pool)" in _of(facts)["groupwanted"]


def test_what_groupwanted_stands_for_can_be_unstable() -> None:
    facts = _facts("not groupwanted")
    facts.group_texts = {"pool": "present and include=x"}
    assert "`groupwanted` is negated" in _of(facts)["unstable"]


def test_expressions_that_do_not_parse() -> None:
    facts = _facts("newer=term")
    assert 'near "newer=term"' in _of(facts)["broken"]
    facts = _facts("groupwanted")
    facts.group_texts = {"pool": "newer=term"}
    assert "the expression of its group does not parse" in _of(facts)["broken"]


def test_a_balanced_term_is_for_members() -> None:
    facts = _facts("balanced=pool", HERE)
    assert "11111111 is not in group `pool`" in _of(facts, HERE)["outside"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("balanced=pool:4", "wants 4 members, but group `pool` has 3"),
        ("sizebalanced=pool:0", "chooses nobody"),
        ("fullybalanced=pool:-1", "chooses nobody"),
    ],
)
def test_numbers_of_balanced_terms(text: str, part: str) -> None:
    assert part in _of(_facts(text))["count"]


def _balanced(text: str) -> DictFacts:
    return DictFacts(groups_of=POOL, wanted_texts=dict.fromkeys(POOL, text))


def test_a_group_in_order() -> None:
    assert lint_network(_balanced("balanced=pool:2 and include=*.jpg")) == []


def test_members_without_a_maximum_size_are_never_chosen_by_size() -> None:
    facts = _balanced("sizebalanced=pool")
    facts.max_sizes = {A: 100, B: 0}
    found = [finding.text for finding in lint_network(facts) if finding.kind == "maxsize"]
    assert "no maximum size is set for cccccccc of group `pool`" in found[0]
    assert "the maximum size of bbbbbbbb is 0" in found[1]
    assert not [f for f in lint_network(_balanced("balanced=pool")) if f.kind == "maxsize"]


def test_dead_members_are_chosen_still() -> None:
    facts = _balanced("balanced=pool")
    facts.trusts = {C: TrustLevel.DEAD}
    assert [(f.kind, f.group) for f in lint_network(facts)] == [("dead", "pool")]


def test_members_that_do_not_take_their_share() -> None:
    facts = _balanced("balanced=pool:2")
    facts.wanted_texts = {A: "balanced=pool:2", B: "include=x or balanced=pool:2"}
    found = {finding.kind: finding.text for finding in lint_network(facts)}
    assert found.keys() == {"share", "differ"}
    assert "cccccccc is a member of the balanced group `pool`" in found["share"]
    assert "put `balanced=pool:2` into" in found["share"]
    assert (
        "(aaaaaaaa: `balanced=pool:2`; bbbbbbbb: `include=x or balanced=pool:2`)" in found["differ"]
    )


def test_the_same_through_groupwanted_is_no_difference() -> None:
    facts = _balanced("groupwanted")
    facts.group_texts = {"pool": "balanced=pool"}
    assert lint_network(facts) == []
    facts.wanted_texts = {A: "groupwanted", B: "groupwanted", C: "balanced=pool"}
    assert lint_network(facts) == []
    facts.wanted_texts = {A: "groupwanted", B: "groupwanted", C: "sizebalanced=pool"}
    assert {finding.kind for finding in lint_network(facts)} == {"differ", "maxsize"}


def test_findings_say_whose_expression_they_are_about() -> None:
    facts = DictFacts(
        groups_of=POOL, wanted_texts={B: "not present"}, required_texts={A: "or present"},
        group_texts={"pool": "copies=pol:1", "nobody": "groupwanted"},
    )  # fmt: skip
    found = {(f.kind, f.source, f.repo, f.group) for f in lint_network(facts)}
    assert found == {
        ("unstable", "wanted", B, None),
        ("dangling", "required", A, None),
        ("group", "groupwanted", None, "pool"),
        ("group", "groupwanted", None, "nobody"),
        ("groupwanted", "groupwanted", None, "nobody"),
    }


def test_expressions_of_groups() -> None:
    facts = _balanced("groupwanted")
    facts.group_texts = {"pool": "balanced=pool:9 and not present"}
    found = lint_group_wanted("pool", facts)
    assert [finding.kind for finding in found] == ["unstable"]
    assert lint_group_wanted("none", facts)[0].kind == "group"
    assert all(isinstance(finding, Finding) for finding in found)
