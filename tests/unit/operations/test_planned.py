"""Facts as they would be, if other repositories had the key."""

from __future__ import annotations

from shoal.logs.trust import TrustLevel
from shoal.operations.planned import Network, PlannedFacts
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.facts import DictFacts

A, B, C, DEAD = (UUID(name) for name in ("a", "b", "c", "dead"))
KEY = Key.parse(b"SHA256E-s100--x")
NOW = DictFacts(
    KEY,
    file="f",
    present_in=frozenset({A, DEAD}),
    trusts={DEAD: TrustLevel.DEAD, B: TrustLevel.TRUSTED},
    groups_of={A: {"g"}, B: {"g"}, C: {"h"}},
    copies_wanted=3,
    fields={"tag": ["t"]},
    known_urls=["http://example.org/"],
    dirs={A: "shared"},
    unused=True,
    max_sizes={A: 1000},
    sizes={A: 500, B: 300},
    full_at=0.5,
)


def planned(*copies: UUID, without: frozenset[UUID] = frozenset()) -> PlannedFacts:
    return PlannedFacts(NOW, Network(NOW), frozenset(copies), without)


def test_the_key_is_where_it_would_be() -> None:
    facts = planned(B, C)
    assert facts.locations() == {B, C}
    assert facts.raw_locations() == {B, C, DEAD}  # nothing is planned for the dead
    assert [facts.is_present(repo) for repo in (A, B, C)] == [False, True, True]


def test_sizes_follow() -> None:
    assert [planned(A).live_size(repo) for repo in (A, B, C)] == [500, 300, None]
    assert [planned(B).live_size(repo) for repo in (A, B, C)] == [400, 400, None]


def test_sizes_follow_the_plans_before() -> None:
    network = Network(NOW)
    network.grow(B, 1000)
    network.grow(B, -1)
    assert PlannedFacts(NOW, network, frozenset({A, B})).live_size(B) == 300 + 999 + 100


def test_a_repository_that_nobody_heard_of_grows_as_others_do() -> None:
    assert planned(C).live_size(C) == 100
    network = Network(NOW)
    network.grow(C, 1000)
    assert network.live_size(C) == 1000
    assert PlannedFacts(NOW, network, frozenset({A})).live_size(C) == 1000


def test_a_key_of_unknown_size_changes_none() -> None:
    unknown = DictFacts(Key.parse(b"URL--x"), sizes={A: 500})
    assert PlannedFacts(unknown, Network(unknown), frozenset({A})).live_size(A) == 500


def test_those_who_leave_are_in_no_group() -> None:
    assert planned(A).members("g") == {A, B}
    assert planned(A, without=frozenset({A})).members("g") == {B}


def test_all_else_is_as_it_is() -> None:
    facts = planned(B)
    assert (facts.key, facts.file, facts.full_at) == (KEY, "f", 0.5)
    assert facts.trust(B) is TrustLevel.TRUSTED
    assert (facts.numcopies(), facts.global_numcopies()) == (3, 3)
    assert facts.metadata() == {"tag": ["t"]}
    assert facts.urls() == ["http://example.org/"]
    assert facts.equivalent_keys() == ()
    assert facts.preferred_dir(A) == "shared"
    assert facts.is_unused()
    assert facts.max_size(A) == 1000
