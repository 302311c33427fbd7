"""What is put together about a cluster."""

from __future__ import annotations

from contextlib import closing

from shoal.annex.session import Session
from shoal.logs.trust import TrustLevel
from shoal.operations.drain import mark
from shoal.operations.probing import Health, State
from shoal.operations.status import ClusterStatus, status_of
from shoal.operations.survey import inspect
from shoal.operations.world import ClusterWorld
from shoal.values.uuid import UUID
from tests.support.fleet import A, B, C, FleetOfThree


def status(three: FleetOfThree, health: dict[UUID, Health], *, fast: bool = False) -> ClusterStatus:
    with closing(Session(three.client.repository)) as session:
        world = ClusterWorld(session, three.cluster(), {A, B, C})
        totals = None if fast else inspect(session, world)
        return status_of(session, three.cluster(), health, totals)


def test_everything_about_a_node(three: FleetOfThree) -> None:
    logs = three.client.repository.logs
    logs.set_groups(A, ["g", "backup"])
    logs.set_wanted(A, "include=*")
    logs.set_required(A, "present")
    logs.set_max_size(A, 1000)
    logs.set_trust(A, TrustLevel.TRUSTED)
    three.give(b"three", three.a)
    [node, _, _] = status(three, {A: Health(State.UP)}).nodes
    assert (node.uuid, node.name, node.description) == (A, "a", "a")
    assert (node.size, node.live_size, node.max_size, node.keys) == (5, 5, 1000, 1)
    assert (node.trust, node.groups) == (TrustLevel.TRUSTED, ("backup", "g"))
    assert (node.wanted, node.required) == ("include=*", "present")
    assert node.cost == three.client.settings(three.a).cost
    assert node.health == Health(State.UP)


def test_live_sizes_have_what_is_on_its_way(three: FleetOfThree) -> None:
    key = three.give(b"three")
    three.client.repository.logs.set_max_size(A, 1000)
    with three.client.repository.sizes.deciding() as decision:
        reservation = decision.reserve(A, key)
    [node, _, _] = status(three, {}).nodes
    assert (node.size, node.live_size) == (0, 5)
    reservation.cancel()


def test_who_is_up(three: FleetOfThree) -> None:
    found = status(three, {A: Health(State.UP), B: Health(State.DOWN, "gone")})
    assert found.up == 1
    assert [node.health.why for node in found.nodes] == ["", "gone", "not asked"]


def test_the_numbers_of_copies(three: FleetOfThree) -> None:
    three.client.repository.logs.set_numcopies(3)
    three.client.repository.logs.set_mincopies(2)
    found = status(three, {})
    assert (found.numcopies, found.mincopies) == (3, 2)


def test_keys_need_not_be_looked_at(three: FleetOfThree) -> None:
    three.give(b"three", three.a)
    found = status(three, {}, fast=True)
    assert found.totals is None
    assert [(node.keys, node.size) for node in found.nodes] == [(None, 5), (None, 0), (None, 0)]


def test_warnings_are_about_the_nodes_and_their_groups(three: FleetOfThree) -> None:
    logs = three.client.repository.logs
    elsewhere = UUID("dddddddd-0000-4000-8000-000000000000")
    logs.set_wanted(elsewhere, "not present")
    assert status(three, {}).warnings == ()
    logs.set_wanted(A, "not present")
    [warning] = status(three, {}).warnings
    assert (warning.kind, warning.repo) == ("unstable", A)


def test_a_node_that_is_being_drained(three: FleetOfThree) -> None:
    mark(three.client.repository.logs, A)
    assert [node.is_draining for node in status(three, {}, fast=True).nodes] == [True, False, False]
