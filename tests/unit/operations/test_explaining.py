"""Why a key is where it is, and where it would go."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from shoal.annex.matching import Candidate
from shoal.annex.session import Session
from shoal.operations.drain import mark
from shoal.operations.explaining import Put, view_key
from shoal.operations.plan import Goal, KeyPlan
from shoal.operations.world import ClusterWorld
from tests.support.annexrepo import HERE, git
from tests.support.fleet import A, B, C, FleetOfThree


def test_an_upload_does_not_go_to_a_node_without_room(three: FleetOfThree) -> None:
    three.client.repository.logs.set_max_size(A, 4)
    assert three.view(three.give(b"three")).put == Put((B, C), "wanted")


def test_an_upload_is_refused_when_all_that_want_it_are_full(three: FleetOfThree) -> None:
    logs = three.client.repository.logs
    key = three.give(b"three")
    for node in (A, B, C):
        logs.set_wanted(node, "nothing")
    assert three.view(key).put == Put((A, B, C), "unwanted")
    logs.set_max_size(A, 4)
    assert three.view(key).put == Put((B, C), "unwanted")
    logs.set_wanted(A, "anything")
    assert three.view(key).put == Put((), "full")
    three.client.repository.config.set("shoal.full", "store")
    assert three.view(key).put == Put((A,), "wanted")
    mark(logs, A)
    assert three.view(key).put == Put((B, C), "unwanted")


def test_who_has_it_and_who_wants_it(three: FleetOfThree) -> None:
    logs = three.client.repository.logs
    logs.set_wanted(B, "nothing")
    logs.set_required(C, "anything")
    key = three.give(b"three", three.a)
    logs.set_location(key, HERE, True)
    found = three.view(key)
    assert [(node.name, node.is_logged) for node in found.nodes] == [
        ("a", True), ("b", False), ("c", False),
    ]  # fmt: skip
    assert [node.now.matches for node in found.nodes] == [True, False, True]
    assert [node.now.configured for node in found.nodes] == [False, True, True]
    assert [node.required is not None for node in found.nodes] == [False, False, True]
    assert found.outside == (HERE,)


def test_what_would_be_done(three: FleetOfThree) -> None:
    three.client.repository.logs.set_wanted(A, "nothing")
    three.client.repository.logs.set_wanted(C, "nothing")
    key = three.give(b"three", three.a)
    found = three.view(key)
    assert found.put == Put((B,), "wanted")
    assert found.plans[Goal.REBALANCE] == KeyPlan(key, (B,), (A,), "wanted by b, not wanted by a")
    assert found.plans[Goal.HEAL] == KeyPlan(key, (B,), (), "wanted by b")
    assert set(found.drains) == {A}


def test_an_upload_of_what_nobody_wants(three: FleetOfThree) -> None:
    for node in (A, B, C):
        three.client.repository.logs.set_wanted(node, "nothing")
    top = Path(three.client.repository.path)
    key = three.give(b"three")
    for policy, nodes in (("all", (A, B, C)), ("one", (A,)), ("none", ())):
        git(top, "config", "shoal.unwanted", policy)
        three.client.repository.config.reload()
        assert three.view(key).put == Put(nodes, "unwanted")
    three.client.log(key, three.b, present=True)
    assert three.view(key).put == Put((B,), "already there")


def test_the_ranking_of_balanced_nodes(three: FleetOfThree) -> None:
    three.put_in_group("balanced=g:1")
    key = three.give(b"three")
    [chosen] = three.view(key).put.nodes
    wrong = next(node for node in (A, B, C) if node != chosen)
    three.client.repository.logs.set_location(key, wrong, True)
    found = three.view(key)
    by_node = {node.uuid: node for node in found.nodes}
    assert by_node[wrong].now.matches  # it keeps what it has
    assert not by_node[chosen].now.matches  # enough copies are in the group
    after = {uuid: node.rebalanced for uuid, node in by_node.items()}
    assert {u for u, one in after.items() if one is not None and one.matches} == {chosen}


def test_an_upload_to_a_cluster_without_nodes(three: FleetOfThree) -> None:
    key = three.give(b"three")
    empty = replace(three.cluster(), nodes=(), remotes=())
    with closing(Session(three.client.repository)) as session:
        world = ClusterWorld(session, empty, {HERE})
        found = view_key(session, empty, world, Candidate(key), {})
        assert found.put == Put((), "no nodes")
        assert found.nodes == ()
