"""What lint calls certain is so for all facts, whatever else it has no idea about."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import event, given, settings
from hypothesis import strategies as st

from shoal.logs.trust import TrustLevel
from shoal.preferred.certain import Verdict, judge
from shoal.preferred.evaluate import Question, matches
from shoal.preferred.parse import parse
from shoal.preferred.show import show
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.facts import HERE, DictFacts

REPOS = [HERE, UUID("u1"), UUID("u2"), UUID("u3")]
TERMS = [
    *("anything", "nothing", "present", "unused", "securehash", "inpreferreddir", "include=[a"),
    *("include=*", "exclude=*", "include=a*", "exclude=a*", "include=b", "exclude=[", "url=x"),
    *("copies=0", "copies=1", "copies=2", "copies=g:1", "copies=g:2", "copies=h:1", "url=*"),
    *("copies=trusted:1", "copies=semitrusted+:1", "copies=untrusted+:2", "copies=semitrusted:1"),
    *("copies=dead+:1", "inallgroup=g", "onlyingroup=g", "onlyingroup=h", "inbackend=WORM"),
    *("lackingcopies=1", "lackingcopies=2", "lackingcopies=g:1", "approxlackingcopies=1"),
    *("largerthan=5", "largerthan=9", "smallerthan=5", "smallerthan=10", "smallerthan=11"),
    *("inbackend=SHA256E", "metadata=f=*", "metadata=F=x", "metadata=f>3", "metadata=e=*"),
    *("balanced=g", "fullybalanced=g:2", "fullybalanced=g:0", "sizebalanced=h:1", "metadata=f"),
]
_repos = st.frozensets(st.sampled_from(REPOS))
_facts = st.builds(
    DictFacts,
    key=st.builds(
        lambda backend, size: Key.parse(f"{backend}{size}--abc.txt".encode()),
        st.sampled_from(["SHA256E", "WORM", "MD5"]),
        st.sampled_from(["", "-s0", "-s5", "-s6", "-s9", "-s10", "-s11"]),
    ),
    file=st.sampled_from([None, "a", "ab", "b", "public/b", "a\nb"]),
    present_in=_repos,
    trusts=st.dictionaries(st.sampled_from(REPOS), st.sampled_from(TrustLevel)),
    groups_of=st.dictionaries(st.sampled_from(REPOS), st.frozensets(st.sampled_from("gh"))),
    copies_wanted=st.integers(1, 3),
    copies_wanted_of_file=st.none() | st.integers(1, 3),
    fields=st.dictionaries(
        st.sampled_from(["f", "F", "e"]), st.lists(st.sampled_from(["x", "4", "2", ""]), max_size=2)
    ),
    known_urls=st.lists(st.sampled_from(["x", "y"]), max_size=2),
    unused=st.booleans(),
    max_sizes=st.dictionaries(st.sampled_from(REPOS), st.sampled_from([0, 8, 100])),
    sizes=st.dictionaries(st.sampled_from(REPOS), st.sampled_from([0, 5, 99])),
)
_questions = st.builds(
    Question, st.sampled_from(REPOS), _facts, _repos, _repos, rebalance=st.booleans()
)
_terms = st.sampled_from(TERMS)
_expressions = st.recursive(
    _terms,
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ({text})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        ),
    ),
    max_leaves=6,
)
_pairs = st.tuples(
    st.sampled_from(["", "not "]), _terms, st.sampled_from(["and", "or"]),
    st.sampled_from(["", "not "]), _terms,
).map(" ".join)  # fmt: skip


@settings(max_examples=400)
@given(st.one_of(_pairs, _pairs, _expressions), st.lists(_questions, min_size=1, max_size=12))
def test_what_is_certain_is_so(text: str, questions: list[Question]) -> None:
    expr = parse(text)
    verdict = judge(expr)
    event(verdict.name)
    if verdict is not Verdict.OPEN:
        for question in questions:
            assert matches(expr, question) is (verdict is Verdict.ALWAYS), question


@given(_expressions, _questions)
def test_an_expression_shown_means_the_same(text: str, question: Question) -> None:
    expr = parse(text)
    assert matches(parse(show(expr)), question) is matches(expr, question)
    assert show(parse(show(expr))) == show(expr)


def test_every_pair_of_terms_that_excludes_the_other_does() -> None:
    """The same for all pairs of terms, with facts that are worth a try."""
    questions = [
        _question(size, file, holders)
        for size in ("", "-s5", "-s6", "-s10")
        for file in (None, "a", "public/b")
        for holders in ([], REPOS[:1], REPOS)
    ]
    for one in TERMS:
        for other in TERMS:
            expr = parse(f"{one} and {other}")
            if judge(expr) is Verdict.NEVER:
                assert not any(matches(expr, question) for question in questions), (one, other)


def _question(size: str, file: str | None, holders: list[UUID]) -> Question:
    groups: Mapping[UUID, frozenset[str]] = {repo: frozenset("gh") for repo in REPOS[1:]}
    facts = DictFacts(
        key=Key.parse(f"SHA256E{size}--a".encode()), file=file, present_in=frozenset(holders),
        groups_of=groups, fields={"F": ["x", "4"], "e": ["1"]}, known_urls=["x"], unused=True,
    )  # fmt: skip
    return Question(HERE, facts)
