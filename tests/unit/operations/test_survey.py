"""All keys of a cluster: what is to be done, and what is wrong."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from shoal.annex.session import Session
from shoal.logs import location
from shoal.logs.trust import TrustLevel
from shoal.operations.plan import Goal, KeyPlan
from shoal.operations.survey import Finding, Totals, inspect, plans
from shoal.operations.world import ClusterWorld
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE, git
from tests.support.fleet import A, B, C, FleetOfThree

LAPTOP = UUID("dddddddd-0000-4000-8000-000000000000")


def world(session: Session, three: FleetOfThree, *down: UUID) -> ClusterWorld:
    return ClusterWorld(session, three.cluster(), {A, B, C, HERE, LAPTOP} - {*down})


def planned(
    three: FleetOfThree, goal: Goal, *leaving: UUID, down: tuple[UUID, ...] = ()
) -> dict[Key, KeyPlan]:
    with closing(Session(three.client.repository)) as session:
        found = plans(session, world(session, three, *down), goal, leaving=frozenset(leaving))
        return {plan.key: plan for plan in found}


def inspected(three: FleetOfThree, *down: UUID, examples: int = 9) -> Totals:
    with closing(Session(three.client.repository)) as session:
        return inspect(session, world(session, three, *down), examples=examples)


def nobody_wants(three: FleetOfThree, *nodes: UUID) -> None:
    for node in nodes:
        three.client.repository.logs.set_wanted(node, "nothing")


def test_a_plan_for_each_key_that_needs_one(three: FleetOfThree) -> None:
    nobody_wants(three, C)
    one, two = three.give(b"one", three.a), three.give(b"two", three.a, three.b)
    found = planned(three, Goal.HEAL)
    assert found == {one: KeyPlan(one, (B,), (), "wanted by b")}
    assert set(planned(three, Goal.DRAIN, A)) == {one, two}


def test_each_plan_counts_on_those_before(three: FleetOfThree) -> None:
    """B has room for one of the keys only."""
    nobody_wants(three, C)
    three.client.repository.logs.set_max_size(B, 5)
    keys = {three.give(content, three.a) for content in (b"one", b"two")}
    found = planned(three, Goal.HEAL)
    assert set(found) == keys
    assert sorted(plan.copy_to for plan in found.values()) == [(), (B,)]
    assert sorted(plan.blocked for plan in found.values()) == ["", "no room on b"]


def test_drops_make_room_for_the_keys_after(three: FleetOfThree) -> None:
    """A is to lose everything, B to get it; then C gets nothing, and B stays in its limits."""
    nobody_wants(three, A, C)
    three.client.repository.logs.set_max_size(B, 7)
    for content in (b"one", b"two", b"six"):
        three.give(content, three.a)
    found = planned(three, Goal.REBALANCE).values()
    assert sum(plan.copy_to == (B,) and plan.drop_from == (A,) for plan in found) == 2


def test_dead_keys_are_left_out(three: FleetOfThree) -> None:
    branch = three.client.repository.branch
    lost, dead = three.give(b"lost"), three.give(b"dead")
    for key in (lost, dead):
        three.client.log(key, three.a, present=True)
        three.client.log(key, three.a, present=False)
    branch.change(location.path(dead), location.set_dead)
    assert set(planned(three, Goal.HEAL)) == {lost}
    totals = inspected(three)
    assert (totals.keys, totals.found[Finding.LOST]) == (1, 1)
    assert [example.key for example in totals.examples[Finding.LOST]] == [lost]


def test_dead_repositories_hold_nothing(three: FleetOfThree) -> None:
    nobody_wants(three, A, B)
    three.give(b"one", three.c)
    three.client.trust(three.c, TrustLevel.DEAD)
    assert inspected(three).found[Finding.LOST] == 1


def test_files_count_for_expressions_with_file_names(three: FleetOfThree) -> None:
    """A key is wanted when one of its files is; a key without a file is judged by itself."""
    client = three.client
    nobody_wants(three, C)
    client.repository.logs.set_wanted(B, "include=*.dat or exclude=*")
    filed, other, bare = (three.give(content, three.a) for content in (b"1", b"2", b"3"))
    top = Path(client.repository.path)
    for name, key in (("x.dat", filed), ("y.txt", filed), ("z.txt", other)):
        (top / name).symlink_to(f".git/annex/objects/x/y/{key}/{key}")
    git(top, "add", ".")
    assert set(planned(three, Goal.HEAL)) == {filed, bare}


def test_attributes_ask_for_more_copies(three: FleetOfThree) -> None:
    nobody_wants(three, A, B, C)
    key = three.give(b"1", three.a)
    top = Path(three.client.repository.path)
    (top / "x.dat").symlink_to(f".git/annex/objects/x/y/{key}/{key}")
    (top / ".gitattributes").write_text("*.dat annex.numcopies=2\n")
    git(top, "add", ".")
    assert planned(three, Goal.HEAL)[key].reason == "1 of 2 copies"


class TestTotals:
    def test_what_is_where(self, three: FleetOfThree) -> None:
        three.give(b"one", three.a, three.b, three.c)
        three.give(b"three", three.a, three.b, three.c)
        three.client.log(Key.parse(b"URL--x"), three.a, present=True)
        totals = inspected(three)
        assert (totals.keys, totals.size, totals.unknown_sizes) == (3, 8, 1)
        held = {node: (one.keys, one.size) for node, one in totals.nodes.items()}
        assert held == {A: (3, 8), B: (2, 8), C: (2, 8)}

    def test_nothing_is_wrong(self, three: FleetOfThree) -> None:
        three.give(b"one", three.a, three.b, three.c)
        assert not inspected(three).found

    def test_too_few_copies(self, three: FleetOfThree) -> None:
        nobody_wants(three, A, B, C)
        three.client.repository.logs.set_numcopies(2)
        key = three.give(b"one", three.a)
        totals = inspected(three)
        assert dict(totals.found) == {Finding.UNDER_REPLICATED: 1}
        [example] = totals.examples[Finding.UNDER_REPLICATED]
        assert (example.key, example.why) == (key, "1 of 2 copies")

    def test_copies_outside_the_cluster_count(self, three: FleetOfThree) -> None:
        nobody_wants(three, A, B, C)
        three.client.repository.logs.set_numcopies(2)
        key = three.give(b"one", three.a)
        three.client.repository.logs.set_location(key, LAPTOP, True)
        assert not inspected(three).found

    def test_too_many_copies(self, three: FleetOfThree) -> None:
        nobody_wants(three, B)
        three.give(b"one", three.a, three.b, three.c)
        totals = inspected(three)
        assert dict(totals.found) == {Finding.OVER_REPLICATED: 1, Finding.MISPLACED: 1}
        [example] = totals.examples[Finding.OVER_REPLICATED]
        assert example.why == "3 copies, 1 needed, not wanted by b"

    def test_copies_that_are_wanted_are_not_too_many(self, three: FleetOfThree) -> None:
        three.give(b"one", three.a, three.b, three.c)
        assert inspected(three).found[Finding.OVER_REPLICATED] == 0

    def test_in_the_wrong_place(self, three: FleetOfThree) -> None:
        nobody_wants(three, A, C)
        three.give(b"one", three.a)
        totals = inspected(three)
        assert dict(totals.found) == {Finding.MISPLACED: 1}
        [example] = totals.examples[Finding.MISPLACED]
        assert example.why == "wanted by b, not wanted by a"

    def test_nobody_who_has_it_is_up(self, three: FleetOfThree) -> None:
        nobody_wants(three, B, C)
        three.give(b"one", three.a)
        totals = inspected(three, A)
        assert dict(totals.found) == {Finding.UNREACHABLE: 1}
        assert totals.examples[Finding.UNREACHABLE][0].why == "only on a"

    def test_only_so_many_examples_are_kept(self, three: FleetOfThree) -> None:
        nobody_wants(three, A, C)
        for content in (b"1", b"2", b"3"):
            three.give(content, three.a)
        totals = inspected(three, examples=2)
        assert totals.found[Finding.MISPLACED] == 3
        assert len(totals.examples[Finding.MISPLACED]) == 2
