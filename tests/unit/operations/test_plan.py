"""What is planned for one key, to rebalance, to drain and to heal."""

from __future__ import annotations

import pytest

from shoal.logs.trust import TrustLevel
from shoal.operations.plan import Goal, KeyPlan
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.planning import DictWorld, node

A, B, C, OUTSIDE = node(1), node(2), node(3), node(9)
KEY = Key.parse(b"SHA256E-s100--2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae")
OTHER = Key.parse(b"SHA256E-s60--fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9")


def world(*holders: UUID, **about: object) -> DictWorld:
    """Make a cluster of A, B and C in which `holders` have KEY."""
    return DictWorld([A, B, C], {KEY: set(holders)}, **about)  # type: ignore[arg-type]


def in_group(name: str) -> dict[UUID, set[str]]:
    """Put all nodes into one group."""
    return {one: {name} for one in (A, B, C)}


def what(plan: KeyPlan | None) -> tuple[set[UUID], set[UUID]]:
    """Give who gets the key and who loses it."""
    return (set(), set()) if plan is None else (set(plan.copy_to), set(plan.drop_from))


class TestHeal:
    def test_a_key_goes_to_every_node_that_wants_it(self) -> None:
        plan = world(A, wanted={C: "nothing"}).plan(Goal.HEAL, KEY)
        assert plan == KeyPlan(KEY, (B,), (), "wanted by r2")

    def test_nothing_is_dropped(self) -> None:
        assert world(A, B, C, wanted={C: "nothing"}).plan(Goal.HEAL, KEY) is None

    def test_nodes_decide_in_turn(self) -> None:
        """With `not copies=archive:1` on all, one copy is enough, not one on each."""
        archives = dict.fromkeys((A, B, C), "not copies=archive:1")
        case = world(OUTSIDE, wanted=archives, groups=in_group("archive"))
        assert what(case.plan(Goal.HEAL, KEY)) == ({A}, set())

    def test_a_node_that_begins_to_want_it_is_asked_again(self) -> None:
        case = world(OUTSIDE, wanted={A: "copies=2", B: "anything", C: "copies=3"})
        assert what(case.plan(Goal.HEAL, KEY)) == ({A, B, C}, set())

    def test_numcopies_are_made_where_nobody_wants_them(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        plan = world(A, wanted=nobody, numcopies=2, max_sizes={B: 500, C: 900}).plan(Goal.HEAL, KEY)
        assert plan == KeyPlan(KEY, (C,), (), "1 of 2 copies")

    def test_a_copy_for_numcopies_may_make_others_want_it(self) -> None:
        case = world(A, wanted={A: "nothing", B: "nothing", C: "copies=2"}, numcopies=2)
        assert what(case.plan(Goal.HEAL, KEY)) == ({B, C}, set())

    def test_an_untrusted_node_does_not_make_a_copy(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        case = world(A, wanted=nobody, numcopies=2, trusts={B: TrustLevel.UNTRUSTED})
        assert what(case.plan(Goal.HEAL, KEY)) == ({C}, set())

    def test_an_untrusted_copy_is_none(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        case = world(A, wanted=nobody, trusts={A: TrustLevel.UNTRUSTED})
        assert what(case.plan(Goal.HEAL, KEY)) == ({B}, set())

    def test_copies_outside_the_cluster_count(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        assert world(A, OUTSIDE, wanted=nobody, numcopies=2).plan(Goal.HEAL, KEY) is None

    def test_a_copy_on_a_node_that_is_down_still_counts(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        assert world(A, B, wanted=nobody, numcopies=2, down={B}).plan(Goal.HEAL, KEY) is None

    def test_mincopies_count_too(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        assert what(world(A, wanted=nobody, mincopies=3).plan(Goal.HEAL, KEY)) == ({B, C}, set())

    def test_required_content_is_wanted(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        plan = world(A, wanted=nobody, required={B: "anything"}).plan(Goal.HEAL, KEY)
        assert what(plan) == ({B}, set())

    def test_a_full_node_is_not_asked(self) -> None:
        plan = world(A, wanted={C: "nothing"}, max_sizes={B: 99}).plan(Goal.HEAL, KEY)
        assert plan == KeyPlan(KEY, (), (), "", "no room on r2")

    def test_a_node_that_is_down_is_not_asked(self) -> None:
        plan = world(A, wanted={C: "nothing"}, down={B}).plan(Goal.HEAL, KEY)
        assert plan == KeyPlan(KEY, (), (), "", "r2 cannot be reached")

    def test_too_few_nodes_with_room(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        case = world(A, wanted=nobody, numcopies=3, max_sizes={B: 99})
        plan = case.plan(Goal.HEAL, KEY)
        assert plan == KeyPlan(KEY, (C,), (), "1 of 3 copies", "no other node can take it")

    def test_a_key_that_cannot_be_read(self) -> None:
        plan = world(A, down={A}).plan(Goal.HEAL, KEY)
        assert plan == KeyPlan(KEY, (), (), "wanted by r2 and r3", "no copy can be reached: r1")

    def test_a_lost_key(self) -> None:
        plan = world(numcopies=2).plan(Goal.HEAL, KEY)
        assert plan == KeyPlan(KEY, (), (), "0 of 2 copies", "no copy of it is known")

    def test_a_leaving_node_takes_nothing_and_counts_for_nothing(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        case = world(A, wanted=nobody)
        assert what(case.plan(Goal.HEAL, KEY, A)) == ({B}, set())
        assert what(case.plan(Goal.HEAL, KEY, A, B)) == ({C}, set())


class TestRebalance:
    def test_all_is_well(self) -> None:
        assert world(A, B, C).plan(Goal.REBALANCE, KEY) is None
        assert world(A, wanted={B: "nothing", C: "nothing"}).plan(Goal.REBALANCE, KEY) is None

    def test_a_key_moves_to_where_it_is_wanted(self) -> None:
        plan = world(A, wanted={A: "nothing", C: "nothing"}).plan(Goal.REBALANCE, KEY)
        assert plan == KeyPlan(KEY, (B,), (A,), "wanted by r2, not wanted by r1")

    @pytest.mark.parametrize("term", ["balanced", "fullybalanced"])
    def test_a_key_moves_to_its_balanced_place(self, term: str) -> None:
        nodes = (A, B, C)
        case = world(A, wanted=dict.fromkeys(nodes, f"{term}=g"), groups=in_group("g"))
        first = case.plan(Goal.REBALANCE, KEY)
        assert first is None or (len(first.copy_to) == 1 and first.drop_from == (A,))
        moves = []
        for holder in nodes:
            case.have[KEY] = {holder}
            moves.append(case.plan(Goal.REBALANCE, KEY))
        goals = {plan.copy_to for plan in moves if plan is not None}
        assert moves.count(None) == 1
        assert len(goals) == 1

    def test_without_rebalancing_balanced_content_stays_where_it_is(self) -> None:
        nodes = (A, B, C)
        for holder in nodes:
            case = world(
                holder,
                wanted=dict.fromkeys(nodes, "balanced=g"),
                groups=in_group("g"),
            )
            assert case.plan(Goal.HEAL, KEY) is None

    def test_copies_never_get_fewer_than_numcopies(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        plan = world(A, B, C, wanted=nobody, numcopies=2).plan(Goal.REBALANCE, KEY)
        assert plan == KeyPlan(KEY, (), (A,), "not wanted by r1")
        assert world(A, B, wanted=nobody, numcopies=2).plan(Goal.REBALANCE, KEY) is None
        assert world(A, B, wanted=nobody, mincopies=2).plan(Goal.REBALANCE, KEY) is None

    def test_copies_outside_count_when_they_can_be_verified(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        assert what(world(A, OUTSIDE, wanted=nobody).plan(Goal.REBALANCE, KEY)) == (set(), {A})
        down = {"wanted": nobody, "down": {OUTSIDE}}
        assert world(A, OUTSIDE, **down).plan(Goal.REBALANCE, KEY) is None
        trusted = world(A, OUTSIDE, **down, trusts={OUTSIDE: TrustLevel.TRUSTED})
        assert what(trusted.plan(Goal.REBALANCE, KEY)) == (set(), {A})
        untrusted = world(A, OUTSIDE, wanted=nobody, trusts={OUTSIDE: TrustLevel.UNTRUSTED})
        assert untrusted.plan(Goal.REBALANCE, KEY) is None

    def test_copies_on_nodes_that_are_down_do_not_count(self) -> None:
        case = world(A, B, wanted={A: "nothing", C: "nothing"}, down={B})
        assert case.plan(Goal.REBALANCE, KEY) is None
        case.have[KEY] = {A, C}
        plan = case.plan(Goal.REBALANCE, KEY)
        assert plan == KeyPlan(KEY, (), (A,), "not wanted by r1", "r2 cannot be reached")

    def test_a_node_that_is_down_loses_nothing(self) -> None:
        case = world(A, B, wanted={A: "nothing", C: "nothing"}, down={A})
        assert case.plan(Goal.REBALANCE, KEY) is None

    def test_required_content_stays(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        case = world(A, B, wanted=nobody, required={A: "anything"})
        assert what(case.plan(Goal.REBALANCE, KEY)) == (set(), {B})

    def test_nothing_leaves_when_there_is_no_room_where_it_is_wanted(self) -> None:
        case = world(A, wanted={A: "nothing", C: "nothing"}, max_sizes={B: 50})
        plan = case.plan(Goal.REBALANCE, KEY)
        assert plan == KeyPlan(KEY, (), (), "", "no room on r2")

    def test_expressions_that_chase_each_other_move_nothing(self) -> None:
        """A's copy makes B want it, then C; without A and B, who let go, A wants it again."""
        wanted = {
            A: "not copies=b:1",
            B: "copies=a:1 and not copies=c:1",
            C: "copies=b:1",
        }
        case = world(A, wanted=wanted, groups={A: {"a"}, B: {"b"}, C: {"c"}})
        plan = case.plan(Goal.REBALANCE, KEY)
        assert plan == KeyPlan(KEY, (), (), "", "what the nodes want contradicts itself")

    def test_a_key_nobody_has_is_left_alone(self) -> None:
        assert world().plan(Goal.REBALANCE, KEY) is None


class TestDrain:
    def test_content_goes_to_who_wants_it_then(self) -> None:
        plan = world(A, wanted={C: "nothing"}).plan(Goal.DRAIN, KEY, A)
        assert plan == KeyPlan(KEY, (B,), (A,), "wanted by r2, 0 of 1 copies, leaves r1")

    def test_the_leaving_node_is_in_no_group(self) -> None:
        """Without it the other two make up the balanced group, so one of them wants the key,
        also when the leaving node was the group's choice."""
        nodes = (A, B, C)
        case = world(wanted=dict.fromkeys(nodes, "balanced=g"), groups=in_group("g"))
        for leaving in nodes:
            case.have[KEY] = {leaving}
            plan = case.plan(Goal.DRAIN, KEY, leaving)
            assert plan is not None
            assert (len(plan.copy_to), plan.drop_from) == (1, (leaving,))
            assert plan.reason.startswith("wanted by ")

    def test_where_nobody_wants_it_any_node_with_room_takes_it(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        plan = world(A, wanted=nobody, max_sizes={B: 99, C: 100}).plan(Goal.DRAIN, KEY, A)
        assert plan == KeyPlan(KEY, (C,), (A,), "0 of 1 copies, leaves r1")

    def test_enough_copies_elsewhere_need_no_more(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        assert what(world(A, B, wanted=nobody).plan(Goal.DRAIN, KEY, A)) == (set(), {A})
        assert what(world(A, OUTSIDE, wanted=nobody).plan(Goal.DRAIN, KEY, A)) == (set(), {A})

    def test_copies_that_cannot_be_verified_are_not_enough(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        case = world(A, B, wanted=nobody, down={B})
        assert what(case.plan(Goal.DRAIN, KEY, A)) == ({C}, {A})

    def test_required_content_leaves_too(self) -> None:
        nobody = dict.fromkeys((A, B, C), "nothing")
        case = world(A, wanted=nobody, required={A: "anything"})
        copies, drops = what(case.plan(Goal.DRAIN, KEY, A))
        assert (len(copies), drops) == (1, {A})

    def test_it_stays_until_there_are_enough_copies_elsewhere(self) -> None:
        plan = world(A, max_sizes={B: 99}, numcopies=2).plan(Goal.DRAIN, KEY, A)
        assert plan == KeyPlan(
            KEY,
            (C,),
            (),
            "wanted by r2 and r3, 0 of 2 copies, leaves r1".replace("r2 and r3", "r3"),
            "only 1 of 2 copies could be verified without it",
        )

    def test_nothing_is_to_do_for_keys_that_are_elsewhere(self) -> None:
        assert world(B).plan(Goal.DRAIN, KEY, A) is None
        assert world().plan(Goal.DRAIN, KEY, A) is None

    def test_several_nodes_leave_at_once(self) -> None:
        assert what(world(A, B).plan(Goal.DRAIN, KEY, A, B)) == ({C}, {A, B})

    def test_a_leaving_node_that_is_down_cannot_be_emptied(self) -> None:
        plan = world(A, B, down={A}).plan(Goal.DRAIN, KEY, A)
        assert plan == KeyPlan(KEY, (C,), (), "wanted by r3, leaves r1", "r1 cannot be reached")


class TestSizes:
    def test_other_keys_take_room(self) -> None:
        case = world(A, wanted={C: "nothing"}, max_sizes={B: 150})
        case.have[OTHER] = {B}
        assert what(case.plan(Goal.HEAL, KEY)) == (set(), set())
        case.have[OTHER] = {A}
        assert what(case.plan(Goal.HEAL, KEY)) == ({B}, set())

    def test_a_maximum_size_of_0_is_no_limit(self) -> None:
        case = world(A, wanted={C: "nothing"}, max_sizes={B: 0})
        assert what(case.plan(Goal.HEAL, KEY)) == ({B}, set())

    def test_a_key_of_unknown_size_needs_no_room(self) -> None:
        unknown = Key.parse(b"URL--http://example.org/x")
        case = DictWorld([A, B], {unknown: {A}}, max_sizes={B: 1})
        assert what(case.plan(Goal.HEAL, unknown)) == ({B}, set())

    def test_the_roomiest_node_is_chosen_by_size(self) -> None:
        nodes = (A, B, C)
        case = world(
            A,
            wanted=dict.fromkeys(nodes, "sizebalanced=g"),
            groups=in_group("g"),
            max_sizes={A: 1000, B: 1000, C: 1000},
        )
        case.have[OTHER] = {A, B}
        assert what(case.plan(Goal.REBALANCE, KEY)) == ({C}, {A})
