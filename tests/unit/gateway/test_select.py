"""Choosing nodes."""

from __future__ import annotations

import pytest

from shoal.gateway.select import NodeState, for_reading, lacking, wanting
from shoal.values.uuid import UUID

A, B, C = UUID("a"), UUID("b"), UUID("c")
CLUSTER = UUID("acaaaaaa-0000-8000-8000-00000000000c")
GATEWAY = UUID("via g")


def test_downloads_prefer_nodes_that_are_logged() -> None:
    """A dear node that should have the key comes before a cheap one that should not."""
    nodes = [NodeState(A, cost=1), NodeState(B, cost=9)]
    assert for_reading(nodes, {B}) == [B, A]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (NodeState(A, cost=100), NodeState(B, cost=100.1)),
        (NodeState(A, cost=200), NodeState(B, cost=100, shunned=True)),
        (NodeState(A, failures=1), NodeState(B, hops=1)),
        (NodeState(A, in_flight=9), NodeState(B, failures=1)),
        (NodeState(A, in_flight=1, latency=9), NodeState(B, in_flight=2)),
        (NodeState(A, latency=0.004), NodeState(B, latency=0.1)),
        (NodeState(A, latency=0.0079, served=1), NodeState(B, latency=0.004, served=2)),
    ],
)
def test_downloads_prefer(first: NodeState, second: NodeState) -> None:
    """Each rule decides, whatever the rules after it say."""
    assert for_reading([second, first], {A, B}) == [A, B]
    assert for_reading([first, second], set()) == [A, B]


def test_equal_nodes_keep_their_order() -> None:
    nodes = [NodeState(C), NodeState(A), NodeState(B)]
    assert for_reading(nodes, {A, B, C}) == [C, A, B]


def test_lacking_leaves_out_the_logged() -> None:
    assert lacking([C, B, A], {B}) == [C, A]


@pytest.mark.parametrize(
    ("behind", "lacks"), [({B}, True), ({B, C}, True), ({C}, False), (set(), False), (None, True)]
)
def test_a_gateway_lacks_what_one_node_behind_it_lacks(behind: set[UUID], lacks: bool) -> None:
    """The cluster's UUID is in the locations as soon as one of our own nodes has the key."""
    known = None if behind is None else frozenset(behind)
    found = lacking([A, GATEWAY], {CLUSTER, A, C}, {GATEWAY: known})
    assert found == ([GATEWAY] if lacks else [])


def test_wanting_asks_one_after_another() -> None:
    """Nodes that want a key unless one of them has it store one copy."""
    seen = []

    def archive(uuid: UUID, present: frozenset[UUID]) -> bool:
        seen.append((uuid, present))
        return not present & {A, B, C}

    assert wanting([C, B, A], [], archive) == [C]
    assert seen == [(C, frozenset()), (B, {C}), (A, {C})]


def test_wanting_counts_holders_but_not_clusters() -> None:
    held: list[frozenset[UUID]] = []

    def want(uuid: UUID, present: frozenset[UUID]) -> bool:
        held.append(present)
        return False

    assert wanting([A], [CLUSTER, B], want) == []
    assert held == [{B}]


def test_wanting_never_takes_a_node_for_its_own_copy() -> None:
    """A node that is logged to have the key, but said that it has not, is judged without it."""

    def want(uuid: UUID, present: frozenset[UUID]) -> bool:
        return uuid not in present

    assert wanting([A, B], [A, B], want) == [A, B]
