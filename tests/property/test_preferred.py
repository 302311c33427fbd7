"""Laws of preferred content: any text parses or fails cleanly, and picks are fair to nobody."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import ExpressionError
from shoal.preferred.balanced import pick
from shoal.preferred.evaluate import Question, matches
from shoal.preferred.explain import explain
from shoal.preferred.expr import PRESENT
from shoal.preferred.globs import glob_matches
from shoal.preferred.parse import parse
from shoal.preferred.policy import Policy
from shoal.preferred.stability import unstable_terms
from shoal.preferred.trail import trail
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.facts import HERE, DictFacts

KEY = Key.parse(b"SHA256E-s100--abc.txt")
WORDS = [
    *("and", "or", "not", "(", ")", "anything", "nothing", "present", "include=*.txt"),
    *("copies=1", "copies=trusted+:0", "lackingcopies=1", "inallgroup=g", "onlyingroup=g"),
    *("balanced=g:2", "fullysizebalanced=g", "standard", "groupwanted", "unused", "url=*"),
]
expressions = st.one_of(
    st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
)
facts = st.builds(
    DictFacts,
    key=st.sampled_from([None, KEY]),
    file=st.sampled_from([None, "a.txt", "public/b"]),
    present_in=st.frozensets(st.sampled_from([HERE, UUID("u1"), UUID("u2")])),
    groups_of=st.dictionaries(
        st.sampled_from([HERE, UUID("u1"), UUID("u2")]), st.just(frozenset({"g", "client"}))
    ),
    wanted_texts=st.builds(lambda text: {HERE: text}, expressions),
    required_texts=st.builds(lambda text: {HERE: text}, expressions),
    group_texts=st.builds(lambda text: {"g": text}, expressions),
)


@given(expressions, facts)
def test_any_text_can_be_evaluated_or_is_refused(text: str, known: DictFacts) -> None:
    try:
        expr = parse(text)
    except ExpressionError:
        return
    unstable_terms(expr)
    assert matches(expr, Question(HERE, known)) in (True, False)


@given(facts, st.booleans())
def test_any_configuration_gives_an_answer(known: DictFacts, default: bool) -> None:
    policy = Policy.of(HERE, known)
    assert policy.wants(known, default=default) in (True, False)
    if policy.requires(known) and policy.wanted != PRESENT:  # what does not parse is `present`
        assert not policy.lets_go(known, default=default) or not policy.stable


@given(facts, st.booleans(), st.booleans())
def test_an_explanation_says_what_is_decided(
    known: DictFacts, rebalance: bool, everything: bool
) -> None:
    policy = Policy.of(HERE, known)
    explanation = explain(policy, known, default=True, rebalance=rebalance, everything=everything)
    assert explanation.matches is policy.wants(known, default=True, rebalance=rebalance)
    assert trail(explanation.root).count("(") == trail(explanation.root).count(")")
    for term in explanation.root.terms():
        if term.placement is not None:
            picked = [member for member in term.placement.members if member.picked]
            assert len(picked) <= max(0, term.placement.count)
            assert all(member.rank is not None for member in picked)


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_parentheses_around_everything_change_nothing_at_the_outermost_level(
    given_words: list[str],
) -> None:
    """Only neighbours that are groups themselves are read otherwise inside parentheses."""
    if "(" in given_words or ")" in given_words:
        return
    text = " ".join(given_words)
    assert parse(f"({text})") == parse(text)


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_glob_matches_or_does_not(glob: str, name: str) -> None:
    assert glob_matches(glob, name) in (True, False)


@given(
    st.sets(st.uuids().map(lambda u: UUID(str(u))), min_size=1, max_size=8),
    st.integers(-1, 10),
    st.data(),
)
def test_picks_are_so_many_candidates_in_whatever_order_they_come(
    members: set[UUID], count: int, data: st.DataObject
) -> None:
    candidates = data.draw(st.sets(st.sampled_from(sorted(members))))
    picked = pick(members, candidates, KEY, count)
    assert set(picked) <= candidates
    assert len(picked) == len(set(picked)) == max(0, min(count, len(candidates)))
    assert picked == pick(sorted(members, reverse=True), sorted(candidates), KEY, count)
