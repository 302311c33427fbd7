"""Laws of plans for a cluster, over random clusters, expressions, sizes and failures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.logs.trust import TrustLevel
from shoal.operations.plan import Goal, KeyPlan
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.planning import DictWorld, node

NODES = [node(number) for number in (1, 2, 3, 4)]
REPOS = [*NODES, node(8), node(9)]
KEYS = [
    Key.parse(b"SHA256E-s%d--%d" % (size, number))
    for number, size in enumerate((10, 30, 30, 50, 80))
]
WORDS = [
    *("and", "or", "and", "or", "not", "(", ")", "anything", "nothing", "present"),
    *("copies=1", "copies=2", "copies=g:1", "copies=h:1", "inallgroup=g", "onlyingroup=h"),
    *("lackingcopies=1", "approxlackingcopies=1", "largerthan=20", "smallerthan=40"),
    *(
        "balanced=g",
        "balanced=g:2",
        "fullybalanced=g",
        "fullybalanced=h:2",
        "balanced=g:lackingcopies",
    ),
    *("sizebalanced=g", "fullysizebalanced=h:2", "standard", "groupwanted"),
]
GOOD = [
    "", "anything", "nothing", "present", "not copies=g:1", "not copies=h:2", "balanced=g",
    "balanced=g:2", "fullybalanced=g", "fullybalanced=g:2", "sizebalanced=g", "standard",
    "balanced=g:lackingcopies or approxlackingcopies=1", "fullysizebalanced=g:2",
]  # fmt: skip
expressions = st.sampled_from(GOOD) | st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)
groups = st.frozensets(st.sampled_from(["g", "h", "client", "archive"]), max_size=2)
worlds = st.builds(
    DictWorld,
    nodes=st.permutations(NODES),
    have=st.fixed_dictionaries({key: st.sets(st.sampled_from(REPOS), max_size=4) for key in KEYS}),
    wanted=st.dictionaries(st.sampled_from(NODES), expressions, max_size=4),
    required=st.dictionaries(st.sampled_from(NODES), expressions, max_size=1),
    groups=st.dictionaries(st.sampled_from(REPOS), groups, max_size=6),
    trusts=st.dictionaries(st.sampled_from(REPOS), st.sampled_from([*TrustLevel]), max_size=2).map(
        lambda trusts: {
            u: t for u, t in trusts.items() if t is not TrustLevel.DEAD or u not in NODES
        }
    ),
    max_sizes=st.dictionaries(
        st.sampled_from(NODES), st.sampled_from([0, 60, 110, 200]), max_size=4
    ),
    down=st.sets(st.sampled_from(REPOS), max_size=2),
    numcopies=st.integers(1, 3),
    mincopies=st.integers(1, 2),
)
leavers = st.frozensets(st.sampled_from(NODES), min_size=1, max_size=2)


def goals_of(leaving: frozenset[UUID]) -> list[tuple[Goal, frozenset[UUID]]]:
    return [
        (Goal.REBALANCE, frozenset()),
        (Goal.HEAL, frozenset()),
        (Goal.HEAL, leaving),
        (Goal.DRAIN, leaving),
    ]


def verifiable(world: DictWorld, key: Key, without: frozenset[UUID]) -> int:
    """Count the copies that a drop could count on."""
    return sum(
        world.trust(repo) is TrustLevel.TRUSTED
        or (world.is_up(repo) and world.trust(repo) is TrustLevel.SEMITRUSTED)
        for repo in world.locations(key) - without
    )


@given(worlds, leavers)
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(
    world: DictWorld, leaving: frozenset[UUID]
) -> None:
    before = {key: set(holders) for key, holders in world.have.items()}
    for goal, leavers in goals_of(leaving):
        for key in KEYS:
            world.have = {one: set(holders) for one, holders in before.items()}
            plan = world.plan(goal, key, *leavers)
            if plan is None:
                continue
            world.carry_out(plan)
            again = world.plan(goal, key, *leavers)
            assert again is None or not (again.copy_to or again.drop_from), (goal, plan, again)


@given(worlds, leavers)
def test_plans_are_safe(world: DictWorld, leaving: frozenset[UUID]) -> None:
    """No key gets fewer copies than numcopies and mincopies, no node grows past its maximum
    size, and nothing is asked of a node that is down or leaves."""
    before = {key: set(holders) for key, holders in world.have.items()}
    for goal, leavers in goals_of(leaving):
        world.have = {key: set(holders) for key, holders in before.items()}
        for key in KEYS:
            plan = world.plan(goal, key, *leavers)
            if plan is None:
                continue
            assert plan.copy_to or plan.drop_from or plan.blocked
            check_nodes(world, plan, leavers)
            had = {repo: world.size(repo) for repo in NODES}
            world.carry_out(plan)
            for repo in plan.copy_to:
                limit = world.max_sizes.get(repo)
                assert not limit or world.size(repo) <= limit
                assert world.size(repo) > had[repo]
            if plan.drop_from:
                needed = max(world.numcopies, world.mincopies)
                assert verifiable(world, key, leavers) >= needed


def check_nodes(world: DictWorld, plan: KeyPlan, leaving: frozenset[UUID]) -> None:
    holders = world.locations(plan.key)
    assert holders.isdisjoint(plan.copy_to)
    assert holders >= set(plan.drop_from)
    assert world.down.isdisjoint({*plan.copy_to, *plan.drop_from})
    assert leaving.isdisjoint(plan.copy_to)
    assert not plan.copy_to or any(map(world.is_up, holders))


@given(worlds)
def test_healing_drops_nothing_and_gives_every_key_its_copies(world: DictWorld) -> None:
    for key in KEYS:
        plan = world.plan(Goal.HEAL, key)
        if plan is not None:
            assert not plan.drop_from
            world.carry_out(plan)
        counted = [r for r in world.locations(key) if world.trust(r) is not TrustLevel.UNTRUSTED]
        if plan is None or not plan.blocked:
            assert len(counted) >= max(world.numcopies, world.mincopies)
            assert all(
                one in world.have[key]
                for one in NODES
                if world.wants(one, key, world.locations(key), rebalance=False, without=set())
            )


@given(worlds, leavers)
def test_draining_empties_the_node_or_says_why_not(
    world: DictWorld, leaving: frozenset[UUID]
) -> None:
    for key in KEYS:
        plan = world.plan(Goal.DRAIN, key, *leaving)
        if plan is not None:
            world.carry_out(plan)
        assert (plan is not None and plan.blocked) or world.have[key].isdisjoint(leaving)


@given(st.sampled_from(KEYS), st.permutations(NODES), st.integers(1, 4), st.integers(1, 3))
def test_only_the_copies_that_are_missing_are_made(
    key: Key, order: list[UUID], holders: int, count: int
) -> None:
    """Of a balanced group without limits, exactly N have the key in the end: N minus those who
    are right already are copied to, and the wrong ones are dropped from."""
    world = DictWorld(
        NODES,
        {key: set(order[:holders])},
        wanted=dict.fromkeys(NODES, f"fullybalanced=g:{count}"),
        groups={one: {"g"} for one in NODES},
    )
    chosen = {n for n in NODES if world.wants(n, key, set(), rebalance=True, without=set())}
    plan = world.plan(Goal.REBALANCE, key)
    moved = (set(), set()) if plan is None else (set(plan.copy_to), set(plan.drop_from))
    assert len(chosen) == count
    assert moved == (chosen - set(order[:holders]), set(order[:holders]) - chosen)
