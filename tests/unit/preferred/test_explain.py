"""Explanations say what evaluation does, and show how balanced members were chosen."""

from __future__ import annotations

from shoal.preferred.evaluate import Question
from shoal.preferred.explain import Step, explain, step_through
from shoal.preferred.parse import parse
from shoal.preferred.policy import Policy
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.facts import HERE, DictFacts

KEY = Key.parse(b"SHA256E-s100--abc.txt")
A, B, C = (UUID(f"{letter * 8}-0000-4000-8000-000000000000") for letter in "abc")
POOL = {repo: {"pool"} for repo in (A, B, C)}


def _values(step: Step) -> list[tuple[str, bool | None]]:
    return [(term.text, term.value) for term in step.terms()]


def test_what_could_not_change_the_answer_is_not_looked_at() -> None:
    question = Question(HERE, DictFacts(key=KEY, file="a.txt"))
    expr = parse("include=*.txt or present and not copies=1")
    seen = step_through(expr, question)
    assert _values(seen) == [("include=*.txt", True), ("present", None), ("copies=1", False)]
    everything = step_through(expr, question, everything=True)
    assert _values(everything)[1] == ("present", False)
    assert seen.value is everything.value is True
    assert seen.kind == "and"
    assert seen.parts[1].kind == "not"


def test_a_group_has_its_meaning_as_a_part() -> None:
    facts = DictFacts(
        key=KEY, file="f", groups_of={HERE: {"g"}},
        group_texts={"g": "not nothing"}, wanted_texts={HERE: "groupwanted"},
    )  # fmt: skip
    root = explain(Policy.of(HERE, facts), facts, default=False).root
    assert (root.kind, root.text, root.value) == ("group", "groupwanted", True)
    assert _values(root) == [("nothing", False)]


def test_an_unstable_expression_matches_nothing_whatever_its_parts_say() -> None:
    facts = DictFacts(key=KEY, file="f", wanted_texts={HERE: "not present"})
    explanation = explain(Policy.of(HERE, facts), facts, default=True)
    assert (explanation.matches, explanation.root.value) == (False, True)
    assert explanation.unstable == ("present",)


def test_nothing_configured_leaves_it_to_the_caller() -> None:
    facts = DictFacts(key=KEY)
    explanation = explain(Policy.of(HERE, facts), facts, default=True)
    assert (explanation.matches, explanation.configured) == (True, False)


def test_required_content_is_explained_alone() -> None:
    facts = DictFacts(
        key=KEY, file="f", wanted_texts={HERE: "anything"}, required_texts={HERE: "include=x"}
    )
    policy = Policy.of(HERE, facts)
    assert _values(explain(policy, facts, default=False, required=True).root) == [
        ("include=x", False)
    ]


def test_members_of_a_balanced_group_in_the_order_of_the_key() -> None:
    """The ranking of the specification's own example: bbbb, cccc, and aaaa is full."""
    facts = DictFacts(
        key=KEY, groups_of=POOL, present_in={C}, max_sizes={A: 150, B: 1000}, sizes={A: 60, B: 500},
        wanted_texts={B: "balanced=pool:1"},
    )  # fmt: skip
    explanation = explain(Policy.of(B, facts), facts, default=False)
    placement = explanation.root.placement
    assert placement is not None
    assert [member.repo for member in placement.members if member.rank is None] == [A]
    ranked = [member for member in placement.members if member.rank]
    first = sorted([B, C])[placement.rank % 2]
    assert [(m.repo == first, m.rank, m.picked) for m in ranked] == [
        (True, 1, True), (False, 2, False)
    ]  # fmt: skip
    of_b = next(member for member in placement.members if member.repo == B)
    assert (of_b.limit, of_b.used, of_b.free, of_b.has_it) == (1000, 500, 0.5, False)
    assert placement.enough, "C has it"
    assert not explanation.matches


def test_what_a_member_has_it_keeps_but_not_when_rebalancing() -> None:
    facts = DictFacts(
        key=KEY, groups_of=POOL, present_in={A, B, C},
        wanted_texts=dict.fromkeys(POOL, "balanced=pool:1"),
    )  # fmt: skip
    explained = [explain(Policy.of(repo, facts), facts, default=False) for repo in POOL]
    assert all(one.matches and one.root.placement.keeps for one in explained if one.root.placement)
    moved = [explain(Policy.of(r, facts), facts, default=False, rebalance=True) for r in POOL]
    assert sum(one.matches for one in moved) == 1
    for one in moved:
        assert one.root.placement is not None
        picked = [member.repo for member in one.root.placement.members if member.picked]
        assert one.matches is (one.repo in picked)
        assert not one.root.placement.keeps


def test_members_chosen_by_size_are_those_with_most_room() -> None:
    facts = DictFacts(
        key=KEY, groups_of=POOL, max_sizes={A: 1000, B: 1000}, sizes={A: 100, B: 500},
        wanted_texts={A: "fullysizebalanced=pool:1"},
    )  # fmt: skip
    placement = explain(Policy.of(A, facts), facts, default=False).root.placement
    assert placement is not None
    assert placement.by_size
    assert [(m.repo, m.free, m.picked) for m in placement.members] == [
        (A, 0.9, True), (B, 0.5, False), (C, None, False)
    ]  # fmt: skip
